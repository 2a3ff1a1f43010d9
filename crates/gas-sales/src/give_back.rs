use gas_statement::RefundOrder;
use gas_units::{MeterNumber, RefundId, UnixMillis};

use crate::book::MeterBook;
use crate::debit::OpenDebit;
use crate::halt::Halt;
use crate::issue::{Issuance, IssueRefusal, PaidQuote};
use crate::prove::MeterKeyring;
use crate::token::{Correction, Exhausted};

/// A payment that came once another meter stood in place of the one that it is for: sold and cancelled at
/// once, by two tokens of which the first never leaves the company.
#[derive(Clone, Debug)]
pub struct GivenBack {
    /// The sale. Its token must not be shown to anybody.
    pub sale: Issuance,
    /// The token behind it, which takes it back; its book is the one from now on.
    pub debit: Correction,
    /// What was taken back, as a refund keeps it.
    pub taken: OpenDebit,
    /// The order to give the money back.
    pub order: RefundOrder,
}

impl MeterBook {
    /// The meter in this one's place, where a sale of sequence `seq` was given back at once: its token must
    /// not be shown.
    #[must_use]
    pub fn given_back(&self, seq: u32) -> Option<MeterNumber> {
        let retired = self.retired.filter(|retired| seq > retired.seq.bits())?;
        Some(retired.new_meter)
    }

    /// Company rule 8, late money: the meter is sold nothing any more, and the one in its place was not asked
    /// for, so what was paid goes back. No proof of a meter is needed, since no token left (rule 4). That a
    /// vend is given back once only is for the caller's unique key to hold.
    ///
    /// # Errors
    /// [`IssueRefusal`]; nothing was issued. [`IssueRefusal::NotReplaced`] for a meter that still stands.
    pub fn give_back(
        &self,
        refund_id: RefundId,
        paid: &PaidQuote,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<GivenBack, IssueRefusal> {
        if self.frozen {
            return Err(IssueRefusal::Halted(Halt::Frozen));
        }
        let (Some(_), Some(believed)) = (self.retired, self.believed) else {
            return Err(IssueRefusal::NotReplaced);
        };
        let sale = self.issue_anyway(paid, keys, now)?;
        let stated = &sale.statement;
        let credit = u32::try_from(stated.credit).map_err(|_| Exhausted("credit"))?;
        let mut book = sale.book.with_next_token(now)?;
        book.total = self.total;
        book.year = self.year;
        let reference = stated.vend_id.reference();
        // Cannot overflow: a credit is not negative.
        let debit = book.into_correction(-stated.credit, reference, keys, now)?;
        let taken = OpenDebit {
            refund_id,
            vend_id: stated.vend_id,
            credit,
            amount: stated.amount_fen,
            payment_sha256: stated.payment_sha256,
            sold_at: now,
            seq: debit.seq,
            tag: debit.token.tag.short(),
            reversal: None,
        };
        let order = RefundOrder {
            refund_id,
            vend_id: taken.vend_id,
            meter: self.meter,
            payment_sha256: taken.payment_sha256,
            amount_fen: taken.amount,
            seq: debit.seq.bits(),
            message_sha256: believed.message_sha256,
            ordered_at_ms: now,
        };
        Ok(GivenBack {
            sale,
            debit,
            taken,
            order,
        })
    }
}
