use gas_json::FromJson;
use gas_tariff::{CheckError, Explanation};
use gas_units::{
    MeterNumber, Money, RefundId, ReplacementId, Unit, UnixMillis, UnixTime, VendId, Volume,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::{QuoteHash, Sha256Digest};

mod sealed {
    #[expect(unnameable_types, reason = "that is how nobody else implements it")]
    pub trait Sealed {}
}

/// One of the statements of this crate.
pub trait Statement:
    Clone + DeserializeOwned + FromJson + Serialize + Send + Sync + sealed::Sealed + 'static
{
    /// The `typ` of its JWS header (RFC 7515, section 4.1.9).
    const TYP: &'static str;

    /// The meter it is about.
    fn meter(&self) -> MeterNumber;
}

/// A statement about one vend.
pub(crate) trait OfVend: Statement {
    /// The vend it is about.
    fn vend_id(&self) -> VendId;
}

macro_rules! statements {
    ($($name:ident = $typ:literal),* $(,)?) => {$(
        impl sealed::Sealed for $name {}

        impl Statement for $name {
            const TYP: &'static str = $typ;

            fn meter(&self) -> MeterNumber {
                self.meter
            }
        }
    )*};
}

macro_rules! of_vends {
    ($($name:ident),* $(,)?) => {$(
        impl OfVend for $name {
            fn vend_id(&self) -> VendId {
                self.vend_id
            }
        }
    )*};
}

statements! {
    Quote = "pilotlight-quote+jws",
    Payment = "pilotlight-payment+jws",
    Issue = "pilotlight-issue+jws",
    Settlement = "pilotlight-settlement+jws",
    RefundOrder = "pilotlight-refund-order+jws",
    Refunded = "pilotlight-refunded+jws",
    MeterReplaced = "pilotlight-meter-replaced+jws",
}

of_vends! { Quote, Payment, Issue, Settlement, RefundOrder, Refunded }

/// The company: this vend costs that much, for these reasons.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Tariff, reading, want, lines, payable and credit.
    pub explanation: Explanation,
    /// Sequence of the last token that the meter had applied.
    pub last_seq: u32,
    /// The meter's clock when its status was read. Never evidence.
    pub meter_time: UnixTime,
    /// SHA-256 of the status message that the quote was computed from.
    pub status_sha256: Sha256Digest,
    /// When it was made.
    pub created_at_ms: UnixMillis,
    /// From when on a payment can no longer be begun. What was paid is issued even later.
    pub valid_until_ms: UnixMillis,
}

/// Why a genuine quote must not be paid.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuoteCheckError {
    /// Its arithmetic does not hold.
    #[error(transparent)]
    Arithmetic(#[from] CheckError),
    /// It ends before it begins.
    #[error("the quote's validity ends before it begins")]
    Validity,
}

impl Quote {
    /// What is to be paid, fen.
    #[must_use]
    pub const fn payable(&self) -> Money {
        self.explanation.payable_fen
    }

    /// What the meter will be credited, in [`Quote::unit`].
    #[must_use]
    pub const fn credit(&self) -> i32 {
        self.explanation.credit
    }

    /// What the meter counts in.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.explanation.basis.unit
    }

    /// Whether a payment can still be begun.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixMillis) -> bool {
        now < self.valid_until_ms
    }

    /// Computes the quote again from its own basis. For phones, before anyone pays.
    ///
    /// # Errors
    /// [`QuoteCheckError`]: it must not be paid.
    pub fn check(&self) -> Result<(), QuoteCheckError> {
        self.explanation.check()?;
        if self.valid_until_ms <= self.created_at_ms {
            return Err(QuoteCheckError::Validity);
        }
        Ok(())
    }
}

/// In which currency was paid.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
pub enum Currency {
    /// Renminbi (ISO 4217).
    #[serde(rename = "CNY")]
    Cny,
}

/// The payment server: that quote was paid.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The vend.
    pub vend_id: VendId,
    /// The meter, as the quote names it.
    pub meter: MeterNumber,
    /// Hash of the quote that was paid.
    pub quote_hash: QuoteHash,
    /// How much was paid.
    pub amount_fen: Money,
    /// In which currency.
    pub currency: Currency,
    /// At which provider.
    pub provider: String,
    /// The order number there.
    pub order_no: String,
    /// The provider's own number of the payment.
    pub transaction_id: String,
    /// When, as the provider says.
    pub paid_at_ms: UnixMillis,
}

/// The company: a token was issued for that payment.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Hash of the quote.
    pub quote_hash: QuoteHash,
    /// SHA-256 of the payment's compact JWS.
    pub payment_sha256: Sha256Digest,
    /// What was paid.
    pub amount_fen: Money,
    /// Sequence of the token.
    pub seq: u32,
    /// What `total` and `credit` count.
    pub unit: Unit,
    /// All sold to this meter up to this token.
    pub total: u32,
    /// What this sale adds.
    pub credit: i32,
    /// SHA-256 of the whole token as first sealed.
    pub token_sha256: Sha256Digest,
    /// When.
    pub issued_at_ms: UnixMillis,
}

/// Which message of the meter settled a sale.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The receipt for this token: applied just then.
    ReceiptApplied,
    /// The receipt for this token: known already.
    ReceiptDuplicate,
    /// A status, or the receipt for another token: the total is cumulative, so it shows this sale too.
    LaterState,
    /// A message of another meter: the sale's own was declared dead, and the one in its place has shown the
    /// token that brought it all the credit.
    CarriedOver {
        /// The meter that has shown it.
        new_meter: MeterNumber,
        /// The replacement.
        replacement_id: ReplacementId,
        /// Sequence of that token.
        seq: u32,
    },
}

/// The company: the meter has shown that it was credited.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// Sequence of the sale's token.
    pub seq: u32,
    /// What showed it.
    pub evidence: Evidence,
    /// SHA-256 of that message.
    pub message_sha256: Sha256Digest,
    /// Sequence of the last token that the meter had applied; at least `seq`. This and what follows is of the
    /// meter that has shown it.
    pub last_seq: u32,
    /// All that was ever credited to it, in its unit.
    pub total: u32,
    /// Its balance, in its unit.
    pub balance: i32,
    /// Its register.
    pub register_centi_m3: Volume,
    /// When the company came to believe it.
    pub settled_at_ms: UnixMillis,
}

impl Settlement {
    /// Whether what the meter has shown holds the sale.
    #[must_use]
    pub const fn holds(&self) -> bool {
        let needed = match self.evidence {
            Evidence::ReceiptApplied | Evidence::ReceiptDuplicate | Evidence::LaterState => {
                self.seq
            }
            Evidence::CarriedOver { seq, .. } => seq,
        };
        self.last_seq >= needed
    }
}

/// The company: the meter has shown that it no longer holds this sale, so the money goes back.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RefundOrder {
    /// The refund; the provider is asked under this id.
    pub refund_id: RefundId,
    /// The vend whose sale was taken back.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// SHA-256 of the compact JWS of the payment that goes back.
    pub payment_sha256: Sha256Digest,
    /// How much goes back: all that was paid for the vend.
    pub amount_fen: Money,
    /// Sequence of the debit token that took the sale off the meter.
    pub seq: u32,
    /// SHA-256 of the meter's message that shows the debit as applied. For late money of a replaced meter, whose
    /// token never left the company: of the last one that was believed of it.
    pub message_sha256: Sha256Digest,
    /// When the company came to believe that message.
    pub ordered_at_ms: UnixMillis,
}

/// The payment server: the money went back.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Refunded {
    /// The refund.
    pub refund_id: RefundId,
    /// The vend.
    pub vend_id: VendId,
    /// The meter, as the order names it.
    pub meter: MeterNumber,
    /// SHA-256 of the order's compact JWS.
    pub order_sha256: Sha256Digest,
    /// At which provider.
    pub provider: String,
    /// The provider's own number of the refund.
    pub provider_refund_id: String,
    /// How much went back.
    pub amount_fen: Money,
    /// When, as the provider says.
    pub refunded_at_ms: UnixMillis,
}

/// The company: the credit of this meter has left it, and goes to the meter in its place.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MeterReplaced {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// The old meter.
    pub meter: MeterNumber,
    /// The meter that gets its credit.
    pub new_meter: MeterNumber,
    /// What both count in.
    pub unit: Unit,
    /// How much goes to the new meter.
    pub credit: u32,
    /// Sequence of the token that takes it off the old one.
    pub seq: u32,
    /// Why it has left.
    pub evidence: ReplacementEvidence,
    /// SHA-256 of the old meter's message that the company believed last: the one that shows the debit as
    /// applied, or the last one before the meter was declared dead.
    pub message_sha256: Sha256Digest,
    /// When the company came to believe it, or the decision was taken.
    pub replaced_at_ms: UnixMillis,
}

/// Why the credit of a replaced meter has left it.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReplacementEvidence {
    /// The old meter has shown it.
    Shown,
    /// It can show nothing any more: two people have said so.
    DeclaredDead {
        /// Who.
        approved_by: [String; 2],
        /// Why; for people.
        reason: String,
    },
}
