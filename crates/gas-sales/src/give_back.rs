use gas_statement::RefundOrder;
use gas_units::{MeterNumber, RefundId, UnixMillis};

use crate::book::MeterBook;
use crate::debit::OpenDebit;
use crate::halt::Halt;
use crate::issue::{Issuance, IssueRefusal, PaidQuote};
use crate::prove::MeterKeyring;
use crate::token::Correction;

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
        let mut debit = sale.book.take_back(refund_id, &sale.statement, keys, now)?;
        debit.book.year = self.year;
        // It waits for no meter: nothing of it is out.
        let taken = debit.book.debit.take().ok_or(IssueRefusal::NotReplaced)?;
        let order = self.order(&taken, believed.message_sha256, now);
        Ok(GivenBack {
            sale,
            debit,
            taken,
            order,
        })
    }
}
