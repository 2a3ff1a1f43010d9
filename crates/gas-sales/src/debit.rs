use gas_statement::{Issue, RefundOrder, Sha256Digest, Signed};
use gas_token::{ReceiptResult, Seq, ShortTag};
use gas_units::{Money, RefundId, UnixMillis, VendId, Volume};

use crate::book::MeterBook;
use crate::halt::Halt;
use crate::prove::{MeterKeyring, Told};
use crate::token::{Correction, Exhausted};

/// A sale that is being taken back: its debit is out, and the meter has not answered for it yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenDebit {
    /// The refund.
    pub refund_id: RefundId,
    /// The vend that is taken back.
    pub vend_id: VendId,
    /// What its sale had added, in the meter's unit.
    pub credit: u32,
    /// What was paid for it, and goes back.
    pub amount: Money,
    /// SHA-256 of the payment's compact JWS.
    pub payment_sha256: Sha256Digest,
    /// When the sale was issued.
    pub sold_at: UnixMillis,
    /// Sequence of the debit token.
    pub seq: Seq,
    /// First 4 bytes of its tag.
    pub tag: ShortTag,
    /// Sequence of the reversal, once there is one.
    pub reversal: Option<Seq>,
}

/// The tokens of an open debit.
pub(crate) struct DebitTokens {
    pub(crate) seq: Seq,
    pub(crate) tag: ShortTag,
    pub(crate) reversal: Option<Seq>,
}

/// What the newest believed state says of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// It does not tell.
    Nothing,
    /// The meter has taken the debit, and no reversal is out.
    Taken,
    /// The meter has refused the debit.
    Refused,
    /// The meter has taken the reversal, or what came after it.
    Reversed,
}

impl OpenDebit {
    const fn tokens(&self) -> DebitTokens {
        DebitTokens {
            seq: self.seq,
            tag: self.tag,
            reversal: self.reversal,
        }
    }
}

/// Why a sale cannot be taken back now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DebitRefusal {
    /// A number would leave its range.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The meter is sold nothing for now, and nothing is taken back.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// The keys are not those of this meter.
    #[error("the keys at hand are not those of this meter; nothing was taken back")]
    Keys,
    /// The sale was for another meter, or in another unit.
    #[error("the sale does not fit the meter's book")]
    Meter,
    /// No debit waits to be reversed.
    #[error("no debit of this meter waits to be reversed")]
    NoDebit,
    /// A payment for this meter may be under way.
    #[error("a payment for this meter is under way; finish or close it first")]
    Reserved(VendId),
}

/// What a believed state means for the open debit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Conclusion {
    /// Nothing is open, or the state does not tell.
    Nothing,
    /// The meter no longer holds the sale: the debit is closed and the money goes back by this order.
    MoneyDue(Box<MeterBook>, Box<RefundOrder>),
    /// The meter refused the debit, its balance was used up: [`MeterBook::reverse`] is to be issued.
    ReversalDue,
    /// The meter holds the sale again: the debit is closed, no money goes back.
    Closed(Box<MeterBook>, Box<OpenDebit>),
}

impl MeterBook {
    /// Company rule 4, first half: total minus the credit of `sale`, next sequence. Nothing is sold while
    /// it is open. `reserved` is the vend that holds this meter's reservation, if any. That a vend is taken
    /// back once only is for the caller's unique key to hold.
    ///
    /// # Errors
    /// [`DebitRefusal`]; nothing was issued.
    pub fn debit(
        &self,
        refund_id: RefundId,
        sale: &Signed<Issue>,
        reserved: Option<VendId>,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, DebitRefusal> {
        self.may_sell()?;
        if let Some(vend_id) = reserved {
            return Err(DebitRefusal::Reserved(vend_id));
        }
        if !self.has_keys(keys) {
            return Err(DebitRefusal::Keys);
        }
        let sale = sale.statement();
        if sale.meter != self.meter || sale.unit != self.unit {
            return Err(DebitRefusal::Meter);
        }
        Ok(self.take_back(refund_id, sale, keys, now)?)
    }

    /// The token that takes a sale of this book off the meter, with the debit that is open then.
    pub(crate) fn take_back(
        &self,
        refund_id: RefundId,
        sale: &Issue,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, Exhausted> {
        let credit = u32::try_from(sale.credit).map_err(|_| Exhausted("credit"))?;
        let mut book = self.with_next_token(now)?;
        book.total = self.total.checked_sub(credit).ok_or(Exhausted("total"))?;
        let reference = sale.vend_id.reference();
        // Cannot overflow: the credit came from an i32 above.
        let mut debit = book.into_correction(-sale.credit, reference, keys, now)?;
        debit.book.debit = Some(OpenDebit {
            refund_id,
            vend_id: sale.vend_id,
            credit,
            amount: sale.amount_fen,
            payment_sha256: sale.payment_sha256,
            sold_at: sale.issued_at_ms,
            seq: debit.seq,
            tag: debit.token.tag.short(),
            reversal: None,
        });
        Ok(debit)
    }

    /// Company rule 4, second half. To be called with the book after [`MeterBook::believe`], also where the
    /// state was known already; told by any other state than the newest believed one, nothing follows.
    ///
    /// * Money goes back on the meter's proof only: a believed state at or past the debit, while no
    ///   reversal was issued. Nothing else is issued in between, so the meter shows that very debit.
    /// * A refusal counts only as the answer to the debit itself. The meter may refuse an older token
    ///   (one that a keypad code has overtaken) and still take the debit.
    /// * Once a reversal is out, money never goes back: the reversal would credit it a second time. A
    ///   meter that has refused the debit refuses it for ever (nothing that arrives late raises
    ///   `balance - total`), so the reversal, or a later token, is what it shows in the end.
    #[must_use]
    pub fn conclude(&self, told: &Told, now: UnixMillis) -> Conclusion {
        let Some(debit) = self.debit else {
            return Conclusion::Nothing;
        };
        match self.shown(&debit.tokens(), told) {
            Shown::Nothing => Conclusion::Nothing,
            Shown::Taken => {
                let order = self.order(&debit, told.sha256, now);
                let mut book = self.without_debit();
                book.take_from_year(&debit);
                Conclusion::MoneyDue(Box::new(book), Box::new(order))
            }
            Shown::Refused => Conclusion::ReversalDue,
            Shown::Reversed => Conclusion::Closed(Box::new(self.without_debit()), Box::new(debit)),
        }
    }

    /// What a state says of the tokens of an open debit, whatever its value is for.
    pub(crate) fn shown(&self, tokens: &DebitTokens, told: &Told) -> Shown {
        let Some(believed) = self.believed else {
            return Shown::Nothing;
        };
        if self.frozen || believed.message_sha256 != told.sha256 {
            return Shown::Nothing;
        }
        let shown = believed.state.last_seq;
        match tokens.reversal {
            Some(reversal) if shown >= reversal => Shown::Reversed,
            Some(_) => Shown::Nothing,
            None if shown >= tokens.seq => Shown::Taken,
            None if refuses(told, tokens.tag) => Shown::Refused,
            None => Shown::Nothing,
        }
    }

    /// Gives back to the meter what the refused debit would have taken: next sequence, total as before.
    ///
    /// # Errors
    /// [`DebitRefusal`]; nothing was issued.
    pub fn reverse(
        &self,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, DebitRefusal> {
        let debit = match self.debit {
            Some(debit) if debit.reversal.is_none() => debit,
            Some(_) | None => return Err(DebitRefusal::NoDebit),
        };
        if self.frozen {
            return Err(DebitRefusal::Halted(Halt::Frozen));
        }
        if !self.has_keys(keys) {
            return Err(DebitRefusal::Keys);
        }
        let mut book = self.with_next_token(now)?;
        book.total = self
            .total
            .checked_add(debit.credit)
            .ok_or(Exhausted("total"))?;
        let amount = i32::try_from(debit.credit).map_err(|_| Exhausted("credit"))?;
        let mut reversal = book.into_correction(amount, debit.vend_id.reference(), keys, now)?;
        reversal.book.debit = Some(OpenDebit {
            reversal: Some(reversal.seq),
            ..debit
        });
        Ok(reversal)
    }

    /// The order to give back what an open debit has taken; `message_sha256` is of the message that it rests on.
    pub(crate) const fn order(
        &self,
        debit: &OpenDebit,
        message_sha256: Sha256Digest,
        now: UnixMillis,
    ) -> RefundOrder {
        RefundOrder {
            refund_id: debit.refund_id,
            vend_id: debit.vend_id,
            meter: self.meter,
            payment_sha256: debit.payment_sha256,
            amount_fen: debit.amount,
            seq: debit.seq.bits(),
            message_sha256,
            ordered_at_ms: now,
        }
    }

    fn without_debit(&self) -> Self {
        let mut book = self.clone();
        book.debit = None;
        book
    }

    /// What was given back no longer counts for the tiers of the running year.
    fn take_from_year(&mut self, debit: &OpenDebit) {
        if self.year.includes(debit.sold_at) {
            let left = self.year.purchased.centi_m3().saturating_sub(debit.credit);
            self.year.purchased = Volume::from_centi_m3(left);
        }
    }
}

fn refuses(told: &Told, debit: ShortTag) -> bool {
    told.result == Some(ReceiptResult::Insufficient)
        && told.answers.is_some_and(|tag| tag.short() == debit)
}
