use gas_units::{MeterNumber, RefundId, ReplacementId};

use crate::book::MeterBook;

/// Why a meter is neither quoted, reserved, issued nor debited for now. What was paid meanwhile is issued
/// once it is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Halt {
    /// A debit is open: until the meter has shown what became of it, nobody knows what the next total is.
    #[error("refund {0} waits for the meter's answer; deliver its token and read the meter")]
    DebitOpen(RefundId),
    /// A genuine state has contradicted the issue log.
    #[error("the meter is frozen for sales until the gas company has looked at it")]
    Frozen,
    /// Another meter stands in its place.
    #[error("meter {0} stands in its place now; nothing is sold to this one any more")]
    Replaced(MeterNumber),
    /// The meter's credit is being taken off it for another meter.
    #[error("replacement {0} waits for the meter's answer; deliver its token and read the meter")]
    Replacing(ReplacementId),
    /// The books were restored, and the meter has not shown the new epoch's token yet.
    #[error(
        "the books were restored from a backup; the meter is sold to again once it has shown its \
         next token"
    )]
    Restoring,
}

impl MeterBook {
    /// Whether the meter may be sold to, and why not.
    ///
    /// # Errors
    /// [`Halt`].
    pub fn may_sell(&self) -> Result<(), Halt> {
        if self.frozen {
            return Err(Halt::Frozen);
        }
        if let Some(retired) = &self.retired {
            return Err(Halt::Replaced(retired.new_meter));
        }
        if let Some(replacement) = &self.replacement {
            return Err(Halt::Replacing(replacement.replacement_id));
        }
        if let Some(debit) = &self.debit {
            return Err(Halt::DebitOpen(debit.refund_id));
        }
        if self.is_restoring() {
            return Err(Halt::Restoring);
        }
        Ok(())
    }

    /// Whether the epoch was opened by a restore and no believed state shows it yet.
    #[must_use]
    pub fn is_restoring(&self) -> bool {
        let shown = self
            .believed
            .map_or(0, |believed| believed.state.last_seq.epoch());
        self.epoch > shown
    }
}
