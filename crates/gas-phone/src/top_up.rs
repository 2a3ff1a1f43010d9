use core::ops::Not;

use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendState, VendWanted};
use gas_api::{HexBytes, Problem, Want, codes};
use gas_json::FromJson;
use gas_link::{Refusal, Response};
use gas_token::{Kind, Receipt, ReceiptResult, Tagged, Total};
use gas_units::{MeterNumber, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;
use crate::receipt_file::ReceiptFile;
use crate::step::{Ending, Event, EventError, Step};
use crate::trust::{Distrust, Expected, Statements, Trust};

/// How long until a payment request that was refused is asked for again, ms: what stands in the way (another
/// purchase, say) takes minutes.
const TENDER_AGAIN_MS: u32 = 10_000;

/// One vend as its phone remembers it. Save it after every [`TopUp::apply`] and before performing the
/// next [`Step`]: every step can be repeated, by the same ids, with the same outcome.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    format: Format,
    vend_id: VendId,
    meter: MeterNumber,
    want: Want,
    begun_at_ms: UnixMillis,
    /// The meter's status that the quote shall rest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<HexBytes>,
    /// The meter is not read for it: the quote rests on the newest reading that the gas company has.
    #[serde(default, skip_serializing_if = "Not::not")]
    unread: bool,
    /// The newest that the cloud has said, all of it verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vend: Option<Vend>,
    /// When the user agreed to pay the quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreed_at_ms: Option<UnixMillis>,
    /// When the user said that it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed_at_ms: Option<UnixMillis>,
    /// The token on its way through the card.
    #[serde(default, skip_serializing_if = "Delivery::is_new")]
    delivery: Delivery,
    /// The meter has another key by now and takes this token no more. Its newest one, which whoever reads the
    /// meter carries, brings this credit too, and the cloud hears of it.
    #[serde(default, skip_serializing_if = "Not::not")]
    outdated: bool,
    /// The card was missed since the cloud was heard of last: the cloud's turn, where it is behind.
    #[serde(default, skip_serializing_if = "Not::not")]
    card_missed: bool,
    /// The meter's answer to the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<HexBytes>,
    /// The cloud has said what it makes of this receipt.
    #[serde(default, skip_serializing_if = "Not::not")]
    receipt_uploaded: bool,
    /// Where the cloud stands, while that is behind what is proven here: it was restored from a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<Behind>,
    /// A cloud that is behind was told that it is paid.
    #[serde(default, skip_serializing_if = "Not::not")]
    led_on: bool,
    /// It ended without payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Unpaid>,
}

/// What a cloud still knows of a vend that was paid. What is proven stays proven; the cloud is led there
/// again, and nobody is asked to pay again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Behind {
    /// Nothing.
    Unknown,
    /// The vend in this state and version; `refused`: what was asked for last.
    At {
        state: VendState,
        version: u32,
        refused: bool,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
enum Format {
    #[serde(rename = "pilotlight-top-up-1")]
    One,
}

/// How it ended before anything could be paid.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unpaid {
    Declined,
    Refused(Problem),
}

impl TopUp {
    /// Begins; save it before anything is sent. `vend_id` must be new.
    #[must_use]
    pub fn new(vend_id: VendId, meter: MeterNumber, want: Want, now: UnixMillis) -> Self {
        Self {
            format: Format::One,
            vend_id,
            meter,
            want,
            begun_at_ms: now,
            status: None,
            unread: false,
            vend: None,
            agreed_at_ms: None,
            confirmed_at_ms: None,
            delivery: Delivery::default(),
            outdated: false,
            card_missed: false,
            receipt: None,
            receipt_uploaded: false,
            behind: None,
            led_on: false,
            ended: None,
        }
    }

    /// Takes up a vend that another phone has begun and whose id its owner has told: whoever knows it may pay
    /// for it, and carry it.
    ///
    /// # Errors
    /// [`Distrust`]: what the cloud shows of it does not hold.
    pub fn of_another(vend: Vend, now: UnixMillis, trust: &Trust) -> Result<Self, Distrust> {
        let mut taken_up = Self::new(vend.vend_id, vend.meter, vend.want, now);
        taken_up.unread = true;
        trust.check(&vend, &taken_up.expected())?;
        taken_up.vend = Some(vend);
        Ok(taken_up)
    }

    /// Its id.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        self.vend_id
    }

    /// Its meter.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// What was asked for.
    #[must_use]
    pub const fn want(&self) -> Want {
        self.want
    }

    /// When it was begun.
    #[must_use]
    pub const fn begun_at(&self) -> UnixMillis {
        self.begun_at_ms
    }

    /// The vend as the cloud last showed it, verified.
    #[must_use]
    pub const fn vend(&self) -> Option<&Vend> {
        self.vend.as_ref()
    }

    /// The receipt, once the card has given it.
    #[must_use]
    pub const fn receipt(&self) -> Option<&HexBytes> {
        self.receipt.as_ref()
    }

    /// Whether something is left to do, or to come. An expired one is open: late money brings it back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let over = [Some(VendState::Accepted), Some(VendState::Refunded)];
        self.ended.is_none() && !over.contains(&self.state())
    }

    /// Whether money may be under way or has come, for gas that is still to be had: then giving it up would
    /// lose something.
    #[must_use]
    pub fn may_be_paid(&self) -> bool {
        let may_be = match self.state() {
            None | Some(VendState::Quoted | VendState::TenderRequested) => {
                self.agreed_at_ms.is_some()
            }
            Some(VendState::Expired) => self.confirmed_at_ms.is_some(),
            Some(
                VendState::TenderConfirmed
                | VendState::TokenIssued
                | VendState::Delivered
                | VendState::Accepted,
            ) => true,
            Some(VendState::RefundPending | VendState::Refunded) => false,
        };
        self.is_open() && may_be
    }

    fn state(&self) -> Option<VendState> {
        self.vend.as_ref().map(|vend| vend.state)
    }

    /// What to do next. `trust` is needed for the end: what is called accepted is proven.
    ///
    /// # Errors
    /// [`Distrust`] where what the cloud showed does not hold any more: other keys are trusted now.
    pub fn next(&self, trust: &Trust) -> Result<Step, Distrust> {
        if let Some(ended) = &self.ended {
            return Ok(Step::End(match ended {
                Unpaid::Declined => Ending::Declined,
                Unpaid::Refused(problem) => Ending::Refused(problem.clone()),
            }));
        }
        let Some(vend) = self.vend.as_ref().filter(|_| self.is_read()) else {
            return Ok(self.beginning());
        };
        let statements = trust.check(vend, &self.expected())?;
        if let Some(step) = self.leading_on(vend) {
            return Ok(step);
        }
        Ok(match vend.state {
            // Whatever the cloud has begun: nobody is asked to pay what was not shown and agreed to.
            VendState::Quoted | VendState::TenderRequested if self.agreed_at_ms.is_none() => {
                Step::Offer
            }
            VendState::Quoted => open_tender(vend, vend.obstacle.is_some()),
            VendState::TenderRequested => self.paying(vend),
            VendState::Expired => Step::End(Ending::Expired),
            VendState::TenderConfirmed => follow(vend),
            VendState::TokenIssued | VendState::Delivered => self.delivering(vend),
            VendState::Accepted => Step::End(Ending::Accepted(proof(vend, &statements)?)),
            VendState::RefundPending => Step::End(Ending::RefundPending(proof(vend, &statements)?)),
            VendState::Refunded => Step::End(Ending::Refunded(proof(vend, &statements)?)),
        })
    }

    fn beginning(&self) -> Step {
        if self.is_read() {
            self.begin()
        } else {
            Step::ReadStatus
        }
    }

    /// Whether it is known on what reading the quote shall rest.
    const fn is_read(&self) -> bool {
        self.status.is_some() || self.unread
    }

    fn begin(&self) -> Step {
        Step::Begin(VendWanted {
            meter: self.meter,
            status: self.status.clone(),
            want: self.want,
        })
    }

    /// What leads a cloud that is behind to where the vend was; `None` where it is not behind, or not
    /// needed yet: the token that is here goes to the meter first. Not where the card has it already or the
    /// meter has another key: the meter may be gone, and the cloud hears otherwise that the credit is there.
    /// Where the card is missed, it may be gone too: then the two take turns.
    fn leading_on(&self, vend: &Vend) -> Option<Step> {
        let for_card = !self.outdated && !self.card_missed && !self.delivery.card_has_token();
        let first = self.is_at_card() && for_card;
        let needed = self.is_open() && !first;
        let behind = self.behind.filter(|_| needed)?;
        Some(match behind {
            Behind::Unknown => self.begin(),
            Behind::At {
                state,
                version,
                refused,
            } => match state {
                VendState::Quoted => open_tender(vend, refused),
                VendState::TenderRequested | VendState::Expired if self.led_on => Step::Follow {
                    after_version: version,
                },
                VendState::TenderRequested | VendState::Expired => Step::Confirm(consent(vend)),
                VendState::TenderConfirmed
                | VendState::TokenIssued
                | VendState::Delivered
                | VendState::Accepted
                | VendState::RefundPending
                | VendState::Refunded => {
                    let after_version = version;
                    let follow = Step::Follow { after_version };
                    // No news leads from there to a refund: the cloud must be asked anew, later.
                    return (vend.state != VendState::RefundPending).then_some(follow);
                }
            },
        })
    }

    fn paying(&self, vend: &Vend) -> Step {
        match &vend.payment_request {
            Some(request) if self.confirmed_at_ms.is_none() => Step::Pay(request.clone()),
            Some(_) if vend.consented_at_ms.is_none() => Step::Confirm(consent(vend)),
            Some(_) | None => follow(vend),
        }
    }

    fn delivering(&self, vend: &Vend) -> Step {
        if let Some(receipt) = &self.receipt {
            if self.receipt_uploaded {
                return follow(vend);
            }
            return Step::UploadReceipt(ReceiptDelivered {
                receipt: receipt.clone(),
            });
        }
        if self.outdated {
            return follow(vend);
        }
        let token = vend.token.as_ref().map(|token| token.0.as_slice());
        let Some((request, after_ms)) = self.delivery.request(token.unwrap_or_default()) else {
            return Step::NameDelivery;
        };
        Step::AskCard { request, after_ms }
    }

    const fn expected(&self) -> Expected<'_> {
        Expected {
            vend_id: self.vend_id,
            meter: self.meter,
            want: self.want,
            status: self.status.as_ref(),
            known: self.vend.as_ref(),
        }
    }

    /// Takes note of what happened.
    ///
    /// # Errors
    /// [`EventError`]; nothing was changed, but for what must not be tried again in the same way.
    pub fn apply(&mut self, event: Event, trust: &Trust) -> Result<(), EventError> {
        if self.ended.is_some() {
            return Err(EventError::Unexpected);
        }
        match event {
            Event::StatusRead(status) => self.status_read(status),
            Event::Unread => {
                belongs(!self.is_read())?;
                self.unread = true;
                Ok(())
            }
            Event::Vend(vend) => self.vend_shown(vend, trust),
            Event::Refused(problem) => self.refused(problem),
            Event::Agreed(now) => {
                belongs(self.is_offered())?;
                self.agreed_at_ms = Some(now);
                Ok(())
            }
            Event::Declined => {
                belongs(self.is_offered())?;
                self.ended = Some(Unpaid::Declined);
                Ok(())
            }
            Event::Confirmed(now) => {
                belongs(self.is_payable())?;
                self.confirmed_at_ms = Some(now);
                Ok(())
            }
            Event::DeliveryNamed(id) => {
                belongs(self.is_at_card() && !self.delivery.is_named())?;
                self.delivery.name(id);
                Ok(())
            }
            Event::Card(response) => self.card_answered(&response),
            Event::CardMissed => {
                self.card_missed = self.is_at_card();
                Ok(())
            }
        }
    }

    /// The quote waits for the user's word.
    fn is_offered(&self) -> bool {
        let offered = [VendState::Quoted, VendState::TenderRequested];
        self.agreed_at_ms.is_none() && self.state().is_some_and(|state| offered.contains(&state))
    }

    /// The payment request waits for the user.
    fn is_payable(&self) -> bool {
        let requested = |vend: &Vend| {
            vend.state == VendState::TenderRequested && vend.payment_request.is_some()
        };
        self.agreed_at_ms.is_some()
            && self.confirmed_at_ms.is_none()
            && self.vend.as_ref().is_some_and(requested)
    }

    /// The token is there, and the meter's answer is not.
    fn is_at_card(&self) -> bool {
        let issued = [VendState::TokenIssued, VendState::Delivered];
        self.receipt.is_none() && self.state().is_some_and(|state| issued.contains(&state))
    }

    fn status_read(&mut self, bytes: HexBytes) -> Result<(), EventError> {
        // Another status under the same vend id would be another request.
        belongs(!self.is_read())?;
        let status = Tagged::<gas_token::Status>::parse(&bytes.0)
            .map_err(|error| EventError::Card(error.to_string()))?;
        if status.message.meter != self.meter {
            return Err(EventError::OtherMeter(self.meter));
        }
        self.status = Some(bytes);
        Ok(())
    }

    fn vend_shown(&mut self, vend: Vend, trust: &Trust) -> Result<(), EventError> {
        belongs(self.is_read())?;
        let vend = self.with_what_was_known(vend);
        trust.check(&vend, &self.expected())?;
        self.card_missed = false;
        let knows_less = |known: &Vend| {
            (known.payment.is_some() && vend.payment.is_none())
                || (known.token.is_some() && vend.token.is_none())
                || (known.settlement.is_some() && vend.settlement.is_none())
                || (known.refund_order.is_some() && vend.refund_order.is_none())
                || (known.refunded.is_some() && vend.refunded.is_none())
        };
        if self.vend.as_ref().is_some_and(knows_less) {
            let state = vend.state;
            let version = vend.version;
            // Once it is told, it asks by itself.
            self.led_on = vend.consented_at_ms.is_some();
            let refused = vend.obstacle.is_some();
            self.behind = Some(Behind::At {
                state,
                version,
                refused,
            });
            return Ok(());
        }
        self.behind = None;
        self.led_on = false;
        self.receipt_uploaded = self.receipt.is_some() && vend.receipt == self.receipt;
        if vend.state == VendState::Delivered
            && self.receipt_uploaded
            && vend.obstacle.as_ref().is_some_and(|o| disbelieved(&o.code))
        {
            self.delivered_in_vain();
        }
        self.vend = Some(vend);
        Ok(())
    }

    /// A cloud that was restored learns of a refund without learning again of what was taken back.
    fn with_what_was_known(&self, mut vend: Vend) -> Vend {
        let same_payment = |known: &&Vend| known.payment == vend.payment;
        let known = self.vend.as_ref().filter(same_payment);
        if let Some(known) = known.filter(|_| vend.refund_order.is_some()) {
            let Vend {
                token,
                issue,
                receipt,
                settlement,
                ..
            } = known.clone();
            vend.token = vend.token.or(token);
            vend.issue = vend.issue.or(issue);
            vend.receipt = vend.receipt.or(receipt);
            vend.settlement = vend.settlement.or(settlement);
        }
        vend
    }

    /// What the card has said is of no use: it says the same for ever under this id.
    fn delivered_in_vain(&mut self) {
        self.receipt = None;
        self.receipt_uploaded = false;
        self.delivery.was_in_vain();
    }

    fn refused(&mut self, problem: Problem) -> Result<(), EventError> {
        let Some(vend) = &self.vend else {
            self.beginning_refused(problem);
            return Ok(());
        };
        if problem.code == codes::VEND_UNKNOWN {
            // Restored from a backup that is older than the vend: begin it again, by the same words.
            self.card_missed = false;
            self.behind = Some(Behind::Unknown);
            self.led_on = false;
            return Ok(());
        }
        // It was asked for before: what stands is that, and the cloud shows it.
        let stands = [codes::WRONG_STATE, codes::PRESENTATION_DIFFERS];
        let useless = problem.code == codes::WRONG_STATE && !self.shows_the_token();
        match vend.state {
            // Without a tender nothing can be paid: the cloud opens none after a refusal.
            VendState::Quoted
                if self.agreed_at_ms.is_some() && !stands.contains(&problem.code.as_str()) =>
            {
                self.ended = Some(Unpaid::Refused(problem));
                Ok(())
            }
            VendState::TokenIssued | VendState::Delivered
                if self.receipt.is_some() && (disbelieved(&problem.code) || useless) =>
            {
                self.delivered_in_vain();
                Ok(())
            }
            VendState::Quoted
            | VendState::TenderRequested
            | VendState::Expired
            | VendState::TenderConfirmed
            | VendState::TokenIssued
            | VendState::Delivered
            | VendState::Accepted
            | VendState::RefundPending
            | VendState::Refunded => Err(EventError::Refused(Box::new(problem))),
        }
    }

    /// Whether the receipt at hand shows this vend's token, or a later one, on the meter.
    fn shows_the_token(&self) -> bool {
        let token = self.vend.as_ref().and_then(|vend| vend.token.as_ref());
        let token = token.and_then(|token| Tagged::<Total>::parse(&token.0).ok());
        let receipt = self.receipt.as_ref();
        let receipt = receipt.and_then(|receipt| Tagged::<Receipt>::parse(&receipt.0).ok());
        let (Some(token), Some(receipt)) = (token, receipt) else {
            return false;
        };
        let (seq, tag) = (token.message.seq, token.tag.short());
        let state = receipt.message.state;
        match receipt.message.result {
            ReceiptResult::Applied | ReceiptResult::Duplicate => {
                state.last_seq > seq || (state.last_seq, state.last_tag) == (seq, tag)
            }
            ReceiptResult::Insufficient | ReceiptResult::OutOfRange => false,
        }
    }

    fn beginning_refused(&mut self, problem: Problem) {
        let read_first = [codes::NOT_ENROLLED, codes::READING_TOO_OLD];
        if problem.code == codes::NONCE_NOT_LIVE {
            self.status = None;
        } else if self.unread && read_first.contains(&problem.code.as_str()) {
            self.unread = false;
        } else {
            self.ended = Some(Unpaid::Refused(problem));
        }
    }

    fn card_answered(&mut self, response: &Response) -> Result<(), EventError> {
        // A receipt that is here must not be lost to an answer that was late.
        belongs(self.is_at_card())?;
        let answered = self.delivery.answered(response, self.meter, Kind::Total);
        self.outdated = answered == Err(EventError::MeterRefused(Refusal::OTHER_GENERATION));
        let receipt = answered?;
        self.card_missed = false;
        self.receipt_uploaded = false;
        self.receipt = receipt;
        Ok(())
    }
}

/// What is left of a vend at its end.
fn proof(vend: &Vend, statements: &Statements) -> Result<Box<ReceiptFile>, Distrust> {
    let file = ReceiptFile::of(vend, statements);
    let file = file.ok_or(Distrust::Unproven(vend.state, "settlement"))?;
    Ok(Box::new(file))
}

const fn belongs(fits: bool) -> Result<(), EventError> {
    if fits {
        Ok(())
    } else {
        Err(EventError::Unexpected)
    }
}

/// The company will never believe this receipt; another one may do.
fn disbelieved(code: &str) -> bool {
    [
        codes::MESSAGE_FORGED,
        codes::MESSAGE_MALFORMED,
        codes::OTHER_METER,
    ]
    .contains(&code)
}

fn open_tender(vend: &Vend, refused: bool) -> Step {
    Step::OpenTender {
        consent: consent(vend),
        after_ms: if refused { TENDER_AGAIN_MS } else { 0 },
    }
}

const fn consent(vend: &Vend) -> Consent {
    Consent {
        quote_hash: vend.quote_hash,
    }
}

const fn follow(vend: &Vend) -> Step {
    Step::Follow {
        after_version: vend.version,
    }
}
