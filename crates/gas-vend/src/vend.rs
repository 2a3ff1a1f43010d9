use gas_api::cloud::{Obstacle, VendState};
use gas_api::pay::{PaymentRequest, Way};
use gas_api::{Digest, HexBytes, Jws, Want};
use gas_token::{Seq, ShortTag};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::apply::Applied;
use crate::proof::{IssuedToken, ProofError, SignedQuote};

/// What a phone asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// The vend's id, made by the phone.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// What is wanted.
    pub want: Want,
}

/// One purchase, end to end: all that is known of it so far.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Vend {
    pub(crate) vend_id: VendId,
    pub(crate) meter: MeterNumber,
    pub(crate) want: Want,
    pub(crate) quote: Quote,
    pub(crate) consented_at: Option<UnixMillis>,
    pub(crate) stage: Stage,
    pub(crate) opening: Opening,
    /// How it is to be paid: as first asked for since the last refusal, and so told with every opening.
    #[serde(default)]
    pub(crate) way: Way,
    /// Reservations given up so far.
    pub(crate) releases: u32,
    pub(crate) shown: Option<Shown>,
    pub(crate) obstacle: Option<Obstacle>,
    /// The first payment statement that could not belong here. Stays for people.
    pub(crate) contradiction: Option<Obstacle>,
    /// Once it was taken back; the stage is what it had reached then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refund: Option<Refund>,
}

/// Facts of the company's signed quote.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Quote {
    pub(crate) jws: Jws,
    pub(crate) hash: Digest,
    pub(crate) amount: Money,
    pub(crate) valid_until: UnixMillis,
}

/// The company has taken the gas back, and the money goes back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Refund {
    pub(crate) refund_id: RefundId,
    /// The company's order.
    pub(crate) order: Jws,
    /// The payment server's word that it is done.
    pub(crate) done: Option<Jws>,
}

/// How often the payment server was to open the tender: again where it has forgotten it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Opening {
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// Since the last of them the payment server has not said that it knows the tender.
    pub(crate) pending: bool,
}

/// The newest receipt that was shown to the company.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Shown {
    pub(crate) receipt: HexBytes,
    /// Reports to the company so far.
    pub(crate) reports: u32,
    /// When the last of them was due.
    pub(crate) reported_at: UnixMillis,
}

/// Each state with exactly what is known in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Quoted(Quoted),
    TenderRequested(TenderRequested),
    Expired,
    TenderConfirmed(Paid),
    TokenIssued(Issued),
    Delivered(Delivered),
    Accepted(Accepted),
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Quoted {
    /// Attempts to reserve so far.
    pub(crate) attempts: u32,
    pub(crate) reserving: Reserving,
}

/// Who has not answered the last attempt to reserve yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reserving {
    Nobody,
    Company,
    /// The company refuses. The payment server may know of a tender of this vend all the same, from a life
    /// that our backup does not remember; the refusal stands only if it does not.
    Pay(Obstacle),
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct TenderRequested {
    /// The attempt that reserved.
    pub(crate) reservation: u32,
    /// The company has issued for this vend already, in a life that our backup does not remember: it is
    /// paid, and nobody is asked to pay it again.
    pub(crate) issued: bool,
    /// Absent until the payment server has one.
    pub(crate) request: Option<PaymentRequest>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Paid {
    pub(crate) payment: Payment,
    /// Attempts to have the token issued so far.
    pub(crate) sales: u32,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Issued {
    pub(crate) payment: Payment,
    pub(crate) token: Token,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Delivered {
    pub(crate) issued: Issued,
    pub(crate) receipt: HexBytes,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Accepted {
    pub(crate) issued: Issued,
    /// Absent where the meter's credit was shown otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<HexBytes>,
    pub(crate) settlement: Jws,
}

/// A payment that was believed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Payment {
    pub(crate) jws: Jws,
    /// The provider and its number of the payment.
    pub(crate) transaction: String,
}

/// A token that was believed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Token {
    pub(crate) bytes: HexBytes,
    pub(crate) issue: Jws,
    seq: u32,
    tag: [u8; 4],
}

impl Token {
    pub(crate) fn new(issued: &IssuedToken) -> Self {
        Self {
            bytes: issued.token().clone(),
            issue: issued.issue(),
            seq: issued.seq().bits(),
            tag: issued.tag().0,
        }
    }

    pub(crate) const fn seq(&self) -> Seq {
        Seq::from_bits(self.seq)
    }

    pub(crate) const fn tag(&self) -> ShortTag {
        ShortTag(self.tag)
    }
}

impl Vend {
    /// The company has quoted: a new vend.
    ///
    /// # Errors
    /// [`ProofError::Differs`] where the quote is not for what was asked.
    pub fn quoted(asked: Asked, quote: &SignedQuote) -> Result<Applied, ProofError> {
        quote.answers(&asked)?;
        let vend = Self {
            vend_id: asked.vend_id,
            meter: asked.meter,
            want: asked.want,
            quote: Quote {
                jws: quote.jws(),
                hash: quote.hash(),
                amount: quote.amount(),
                valid_until: quote.valid_until(),
            },
            consented_at: None,
            stage: Stage::Quoted(Quoted {
                attempts: 0,
                reserving: Reserving::Nobody,
            }),
            opening: Opening::default(),
            way: Way::default(),
            releases: 0,
            shown: None,
            obstacle: None,
            contradiction: None,
            refund: None,
        };
        Ok(Applied {
            vend,
            reached: vec![VendState::Quoted],
            effects: vec![],
        })
    }

    /// Its id.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        self.vend_id
    }

    /// The meter.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// What was asked for.
    #[must_use]
    pub const fn want(&self) -> Want {
        self.want
    }

    /// How the payment server is to ask for payment.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> VendState {
        match &self.refund {
            Some(Refund { done: Some(_), .. }) => return VendState::Refunded,
            Some(Refund { done: None, .. }) => return VendState::RefundPending,
            None => {}
        }
        match &self.stage {
            Stage::Quoted(_) => VendState::Quoted,
            Stage::TenderRequested(_) => VendState::TenderRequested,
            Stage::Expired => VendState::Expired,
            Stage::TenderConfirmed(_) => VendState::TenderConfirmed,
            Stage::TokenIssued(_) => VendState::TokenIssued,
            Stage::Delivered(_) => VendState::Delivered,
            Stage::Accepted(_) => VendState::Accepted,
        }
    }

    /// Whether a tender was asked for and another server has not answered yet.
    #[must_use]
    pub const fn awaits_tender(&self) -> bool {
        match &self.stage {
            Stage::Quoted(quoted) => match quoted.reserving {
                Reserving::Nobody => false,
                Reserving::Company | Reserving::Pay(_) => true,
            },
            Stage::TenderRequested(tender) => tender.request.is_none(),
            Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => false,
        }
    }

    /// Whether [`Effect::OpenTender`](crate::Effect::OpenTender) with this attempt is still to be performed.
    #[must_use]
    pub fn awaits_opening(&self, attempt: u32) -> bool {
        match &self.stage {
            Stage::TenderRequested(_) => true,
            Stage::Expired => {
                self.opening
                    == Opening {
                        attempts: attempt,
                        pending: true,
                    }
            }
            Stage::Quoted(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => false,
        }
    }

    /// Whether [`Effect::LookForTender`](crate::Effect::LookForTender) is still to be performed.
    #[must_use]
    pub const fn awaits_look(&self) -> bool {
        match &self.stage {
            Stage::Quoted(quoted) => matches!(quoted.reserving, Reserving::Pay(_)),
            Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => false,
        }
    }

    /// Whether [`Effect::LookAtSale`](crate::Effect::LookAtSale) is still to be performed.
    #[must_use]
    pub const fn awaits_settlement(&self) -> bool {
        match &self.stage {
            Stage::TokenIssued(_) | Stage::Delivered(_) => self.refund.is_none(),
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::Accepted(_) => false,
        }
    }

    /// Whether [`Effect::LapseReservation`](crate::Effect::LapseReservation) is still to be performed.
    #[must_use]
    pub const fn holds_no_tender(&self) -> bool {
        match &self.stage {
            Stage::Quoted(_) | Stage::Expired => true,
            Stage::TenderRequested(_)
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => false,
        }
    }

    /// The company's signed quote.
    #[must_use]
    pub const fn quote(&self) -> &Jws {
        &self.quote.jws
    }

    /// Its hash.
    #[must_use]
    pub const fn quote_hash(&self) -> Digest {
        self.quote.hash
    }

    /// What is to be paid: the quote's amount, and no other.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.quote.amount
    }

    /// When the customer consented, if so.
    #[must_use]
    pub const fn consented_at(&self) -> Option<UnixMillis> {
        self.consented_at
    }

    /// What the payer is shown, while it can be paid.
    #[must_use]
    pub const fn payment_request(&self) -> Option<&PaymentRequest> {
        match &self.stage {
            Stage::TenderRequested(tender) => tender.request.as_ref(),
            Stage::Quoted(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_)
            | Stage::Accepted(_) => None,
        }
    }

    /// The payment server's signed statement, once paid.
    #[must_use]
    pub const fn payment(&self) -> Option<&Jws> {
        match self.believed_payment() {
            Some(payment) => Some(&payment.jws),
            None => None,
        }
    }

    pub(crate) const fn believed_payment(&self) -> Option<&Payment> {
        match &self.stage {
            Stage::Quoted(_) | Stage::TenderRequested(_) | Stage::Expired => None,
            Stage::TenderConfirmed(paid) => Some(&paid.payment),
            Stage::TokenIssued(issued)
            | Stage::Delivered(Delivered { issued, .. })
            | Stage::Accepted(Accepted { issued, .. }) => Some(&issued.payment),
        }
    }

    pub(crate) const fn issued(&self) -> Option<&Token> {
        match &self.stage {
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_) => None,
            Stage::TokenIssued(issued)
            | Stage::Delivered(Delivered { issued, .. })
            | Stage::Accepted(Accepted { issued, .. }) => Some(&issued.token),
        }
    }

    /// The token, once issued.
    #[must_use]
    pub fn token(&self) -> Option<&HexBytes> {
        self.issued().map(|token| &token.bytes)
    }

    /// The company's signed statement of issue, once issued.
    #[must_use]
    pub fn issue(&self) -> Option<&Jws> {
        self.issued().map(|token| &token.issue)
    }

    /// The newest receipt, once delivered.
    #[must_use]
    pub const fn receipt(&self) -> Option<&HexBytes> {
        match &self.stage {
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_) => None,
            Stage::Delivered(Delivered { receipt, .. }) => Some(receipt),
            Stage::Accepted(Accepted { receipt, .. }) => receipt.as_ref(),
        }
    }

    /// The company's signed settlement, once accepted.
    #[must_use]
    pub const fn settlement(&self) -> Option<&Jws> {
        match &self.stage {
            Stage::Quoted(_)
            | Stage::TenderRequested(_)
            | Stage::Expired
            | Stage::TenderConfirmed(_)
            | Stage::TokenIssued(_)
            | Stage::Delivered(_) => None,
            Stage::Accepted(accepted) => Some(&accepted.settlement),
        }
    }

    /// The company's signed order that the money goes back, once the gas was taken back.
    #[must_use]
    pub const fn refund_order(&self) -> Option<&Jws> {
        match &self.refund {
            Some(refund) => Some(&refund.order),
            None => None,
        }
    }

    /// The payment server's signed statement that the money went back.
    #[must_use]
    pub const fn refunded(&self) -> Option<&Jws> {
        match &self.refund {
            Some(Refund { done, .. }) => done.as_ref(),
            None => None,
        }
    }

    /// What stands in the way, while something does.
    #[must_use]
    pub const fn obstacle(&self) -> Option<&Obstacle> {
        match (&self.obstacle, &self.contradiction, self.believed_payment()) {
            (Some(obstacle), _, _) | (None, Some(obstacle), None) => Some(obstacle),
            (None, Some(_), Some(_)) | (None, None, _) => None,
        }
    }

    /// A payment statement that could not belong to this vend, if one ever came. For people to look at.
    #[must_use]
    pub const fn contradiction(&self) -> Option<&Obstacle> {
        self.contradiction.as_ref()
    }
}
