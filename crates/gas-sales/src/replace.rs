use gas_token::{MeterState, Seq, ShortTag};
use gas_units::{MeterNumber, ReplacementId, UnixMillis, VendId, Volume};

use crate::book::MeterBook;
use crate::debit::{DebitTokens, Shown};
use crate::halt::Halt;
use crate::prove::{MeterKeyring, Told};
use crate::quote::OverLimit;
use crate::token::{Correction, Exhausted};

/// Longest name of a person who approves, bytes.
const NAME_MAX: usize = 64;

/// A meter that is being replaced: the debit that takes all credit off it is out, and it has not answered
/// for it yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenReplacement {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// The meter that gets the credit.
    pub new_meter: MeterNumber,
    /// How much, in the unit of both.
    pub credit: u32,
    /// Sequence of the debit token.
    pub seq: Seq,
    /// First 4 bytes of its tag.
    pub tag: ShortTag,
    /// Sequence of the reversal, once there is one.
    pub reversal: Option<Seq>,
}

/// A meter in whose place another stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retired {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// The meter that stands there now.
    pub new_meter: MeterNumber,
    /// Sequence of the debit that takes all credit off the old one.
    pub seq: Seq,
    /// Its register, as far as the company knew.
    pub register: Volume,
    /// Two people have declared it dead: it has not shown the debit.
    pub dead: bool,
}

/// The meter that takes another's place.
#[derive(Clone, Copy, Debug)]
pub struct Successor<'a> {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// Its book.
    pub book: &'a MeterBook,
}

/// Two different people who have decided something together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval([String; 2]);

/// Why two names do not approve.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ApprovalError {
    /// A name is empty or too long.
    #[error("a name must be 1 to 64 bytes")]
    Name,
    /// One person twice.
    #[error("two different people must decide this")]
    SamePerson,
}

impl Approval {
    /// Two names, 1 to 64 bytes each; capitals and spaces around make nobody another person.
    ///
    /// # Errors
    /// [`ApprovalError`].
    pub fn new(names: &[String; 2]) -> Result<Self, ApprovalError> {
        let names = names.each_ref().map(|name| name.trim());
        if names
            .iter()
            .any(|name| !(1..=NAME_MAX).contains(&name.len()))
        {
            return Err(ApprovalError::Name);
        }
        let [first, second] = names;
        if first.to_lowercase() == second.to_lowercase() {
            return Err(ApprovalError::SamePerson);
        }
        Ok(Self(names.map(str::to_owned)))
    }

    /// The names.
    #[must_use]
    pub const fn names(&self) -> &[String; 2] {
        &self.0
    }
}

/// Why a meter cannot be replaced now. Nothing was issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplaceRefusal {
    /// Another meter's credit is on its way to this one.
    #[error("the credit of replacement {0} is on its way to this meter; let it come first")]
    Awaits(ReplacementId),
    /// A number would leave its range.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The meter is sold nothing for now, and nothing is taken off it.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// The keys are not those of this meter.
    #[error("the keys at hand are not those of this meter; nothing was taken off it")]
    Keys,
    /// The new meter is frozen, or was itself replaced.
    #[error("the new meter cannot take another's place: {0}")]
    New(Halt),
    /// No debit of a replacement waits to be reversed.
    #[error("no replacement of this meter waits to be reversed")]
    NoReplacement,
    /// Above the new meter's limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// A payment for this meter may be under way.
    #[error("a payment for this meter is under way; finish or close it first")]
    Reserved(VendId),
    /// A meter cannot stand in its own place.
    #[error("a meter cannot replace itself")]
    SameMeter,
    /// One counts money, the other gas.
    #[error("the two meters count in different units")]
    Unit,
    /// The company has never believed a state of this meter.
    #[error("the company knows no state of meter {0} yet; read its status first")]
    Unread(MeterNumber),
}

/// Why credit cannot be given to a meter now. It waits; nothing is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiveRefusal {
    /// A number would leave its range.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The meter is given nothing for now.
    #[error(transparent)]
    Halted(#[from] Halt),
    /// The keys are not those of this meter.
    #[error("the keys at hand are not those of this meter; nothing was given to it")]
    Keys,
}

/// What a believed state means for the open replacement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReplaceConclusion {
    /// Nothing is open, or the state does not tell.
    Nothing,
    /// The credit has left the meter, which is retired: [`MeterBook::receive`] is due at the new one.
    Left(Box<MeterBook>, OpenReplacement),
    /// The meter refused the debit, gas was burnt meanwhile: [`MeterBook::reverse_replacement`] is due.
    ReversalDue,
    /// The meter holds its credit again: closed; to be asked for again with what is left.
    Closed(Box<MeterBook>, OpenReplacement),
}

/// What a retired meter shows that it should not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LaterSign {
    /// It was declared dead, and has told a state. Its credit, in its unit, was carried before.
    Alive {
        /// What it holds.
        balance: i32,
        /// Burnt since the last state that was known, where the register has moved.
        burnt: Volume,
    },
    /// Gas flows through it still.
    Burns(Volume),
}

impl MeterBook {
    /// Company rule 8, first half: a debit of all credit, next sequence. Nothing is sold while it is open.
    /// `reserved` is the vend that holds this meter's reservation, `incoming` a replacement that is to bring
    /// credit to this meter, if there are any.
    ///
    /// # Errors
    /// [`ReplaceRefusal`]; nothing was issued.
    pub fn replace(
        &self,
        successor: Successor<'_>,
        reserved: Option<VendId>,
        incoming: Option<ReplacementId>,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, ReplaceRefusal> {
        self.may_sell()?;
        self.may_be_replaced(successor, reserved, incoming)?;
        let mut debit = self.without_credit(successor, self.total, keys, now)?;
        debit.book.replacement = Some(OpenReplacement {
            replacement_id: successor.replacement_id,
            new_meter: successor.book.meter,
            credit: self.total - debit.total,
            seq: debit.seq,
            tag: debit.token.tag.short(),
            reversal: None,
        });
        Ok(debit)
    }

    /// Company rule 8 where no state can come any more and two people say so: what the last believed state
    /// shows, and what was sold since, has left the meter without its answer. A debit is issued all the same:
    /// should the meter come alive, it is the next token that it is given. A refund or replacement that was
    /// open is over; no money goes back.
    ///
    /// That two people have decided is for the caller to hold, by an [`Approval`] that it keeps.
    ///
    /// # Errors
    /// [`ReplaceRefusal`]; nothing was issued.
    pub fn declare_dead(
        &self,
        successor: Successor<'_>,
        _approval: &Approval,
        reserved: Option<VendId>,
        incoming: Option<ReplacementId>,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, ReplaceRefusal> {
        match self.may_sell() {
            Ok(()) | Err(Halt::DebitOpen(_) | Halt::Restoring) => {}
            Err(Halt::Replacing(open)) if open == successor.replacement_id => {}
            Err(halt @ (Halt::Frozen | Halt::Replaced(_) | Halt::Replacing(_))) => {
                return Err(ReplaceRefusal::Halted(halt));
            }
        }
        self.may_be_replaced(successor, reserved, incoming)?;
        let sold = self.total_without_debits()?;
        let mut debit = self.without_credit(successor, sold, keys, now)?;
        let carried = sold - debit.total;
        debit.book.debit = None;
        debit.book = debit
            .book
            .retired(successor.replacement_id, successor.book.meter, debit.seq)?
            .after_carrying_out(carried)?;
        if let Some(retired) = &mut debit.book.retired {
            retired.dead = true;
        }
        Ok(debit)
    }

    /// Company rule 8, second half. To be called with the book after [`MeterBook::believe`], also where the
    /// state was known already; told by any other state than the newest believed one, nothing follows. The
    /// proof is that of [`MeterBook::conclude`].
    ///
    /// # Errors
    /// [`Exhausted`]; nothing has changed then.
    pub fn conclude_replacement(&self, told: &Told) -> Result<ReplaceConclusion, Exhausted> {
        let Some(open) = self.replacement else {
            return Ok(ReplaceConclusion::Nothing);
        };
        let tokens = DebitTokens {
            seq: open.seq,
            tag: open.tag,
            reversal: open.reversal,
        };
        Ok(match self.shown(&tokens, told) {
            Shown::Nothing => ReplaceConclusion::Nothing,
            Shown::Taken => {
                let book = self
                    .retired(open.replacement_id, open.new_meter, open.seq)?
                    .after_carrying_out(open.credit)?;
                ReplaceConclusion::Left(Box::new(book), open)
            }
            Shown::Refused => ReplaceConclusion::ReversalDue,
            Shown::Reversed => {
                let mut book = self.clone();
                book.replacement = None;
                ReplaceConclusion::Closed(Box::new(book), open)
            }
        })
    }

    /// Gives back to the meter what the refused debit would have taken: next sequence, total as before.
    ///
    /// # Errors
    /// [`ReplaceRefusal`]; nothing was issued.
    pub fn reverse_replacement(
        &self,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, ReplaceRefusal> {
        let open = match self.replacement {
            Some(open) if open.reversal.is_none() => open,
            Some(_) | None => return Err(ReplaceRefusal::NoReplacement),
        };
        if self.frozen {
            return Err(ReplaceRefusal::Halted(Halt::Frozen));
        }
        if !self.has_keys(keys) {
            return Err(ReplaceRefusal::Keys);
        }
        let mut book = self.with_next_token(now)?;
        book.total = self.total_without_debits()?;
        let amount = i32::try_from(open.credit).map_err(|_| Exhausted("credit"))?;
        let mut reversal =
            book.into_correction(amount, open.replacement_id.reference(), keys, now)?;
        reversal.book.replacement = Some(OpenReplacement {
            reversal: Some(reversal.seq),
            ..open
        });
        Ok(reversal)
    }

    /// Gives the credit that has left `old`, and the household's place in the tariff year, to this meter:
    /// next sequence. That it is given once only is for the caller's state to hold.
    ///
    /// # Errors
    /// [`ReceiveRefusal`]; nothing was issued, and the same call works once it is mended.
    pub fn receive(
        &self,
        old: &Self,
        replacement_id: ReplacementId,
        credit: u32,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, ReceiveRefusal> {
        self.may_sell()?;
        if !self.has_keys(keys) {
            return Err(ReceiveRefusal::Keys);
        }
        let amount = i32::try_from(credit).map_err(|_| Exhausted("credit"))?;
        let mut book = self.with_next_token(now)?;
        book.total = self.total.checked_add(credit).ok_or(Exhausted("total"))?;
        book.carried_in = self
            .carried_in
            .checked_add(credit)
            .ok_or(Exhausted("total"))?;
        if let (Some(own), Some(theirs)) = (self.believed, old.believed) {
            let old_year = old.year.at(now, theirs.state.volume);
            let year = self.year.at(now, own.state.volume);
            book.year = year.succeeding(old_year, theirs.state.volume);
        }
        Ok(book.into_correction(amount, replacement_id.reference(), keys, now)?)
    }

    /// What a state of this meter, believed as news, shows that a retired meter should not.
    #[must_use]
    pub fn later_sign(&self, state: &MeterState) -> Option<LaterSign> {
        let retired = self.retired?;
        let burnt = state
            .volume
            .checked_sub(retired.register)
            .unwrap_or(Volume::ZERO);
        if retired.dead {
            let balance = state.balance;
            return Some(LaterSign::Alive { balance, burnt });
        }
        (burnt > Volume::ZERO).then_some(LaterSign::Burns(burnt))
    }

    fn may_be_replaced(
        &self,
        successor: Successor<'_>,
        reserved: Option<VendId>,
        incoming: Option<ReplacementId>,
    ) -> Result<(), ReplaceRefusal> {
        if let Some(vend_id) = reserved {
            return Err(ReplaceRefusal::Reserved(vend_id));
        }
        if let Some(incoming) = incoming {
            return Err(ReplaceRefusal::Awaits(incoming));
        }
        let new = successor.book;
        if new.meter == self.meter {
            return Err(ReplaceRefusal::SameMeter);
        }
        if new.unit != self.unit {
            return Err(ReplaceRefusal::Unit);
        }
        for book in [self, new] {
            if book.believed.is_none() {
                return Err(ReplaceRefusal::Unread(book.meter));
            }
        }
        match new.may_sell() {
            // What is open there ends, and the credit waits for it.
            Ok(()) | Err(Halt::DebitOpen(_) | Halt::Restoring) => Ok(()),
            Err(halt @ (Halt::Frozen | Halt::Replaced(_) | Halt::Replacing(_))) => {
                Err(ReplaceRefusal::New(halt))
            }
        }
    }

    /// The token that leaves nothing of what was sold on this meter; `sold` is all that was, open debits
    /// given back.
    fn without_credit(
        &self,
        successor: Successor<'_>,
        sold: u32,
        keys: &impl MeterKeyring,
        now: UnixMillis,
    ) -> Result<Correction, ReplaceRefusal> {
        if !self.has_keys(keys) {
            return Err(ReplaceRefusal::Keys);
        }
        let believed = self.believed.ok_or(ReplaceRefusal::Unread(self.meter))?;
        let undelivered = sold.saturating_sub(believed.state.total);
        let left = i64::from(believed.state.balance) + i64::from(undelivered);
        // Arrears stay behind, and so does a balance that was not bought.
        let credit = u32::try_from(left.max(0)).map_err(|_| Exhausted("credit"))?;
        let credit = credit.min(sold);
        let amount = i32::try_from(credit).map_err(|_| Exhausted("credit"))?;
        successor.book.within_limit(amount)?;
        let mut book = self.with_next_token(now)?;
        book.total = sold - credit;
        let reference = successor.replacement_id.reference();
        // Cannot overflow: the amount is not negative.
        Ok(book.into_correction(-amount, reference, keys, now)?)
    }

    /// All that was sold, as if what an open debit takes were still there.
    fn total_without_debits(&self) -> Result<u32, Exhausted> {
        let of_refund = self.debit.filter(|debit| debit.reversal.is_none());
        let of_replacement = self.replacement.filter(|open| open.reversal.is_none());
        let taken = of_refund
            .map(|debit| debit.credit)
            .or_else(|| of_replacement.map(|open| open.credit))
            .unwrap_or(0);
        self.total.checked_add(taken).ok_or(Exhausted("total"))
    }

    fn retired(
        &self,
        replacement_id: ReplacementId,
        new_meter: MeterNumber,
        seq: Seq,
    ) -> Result<Self, Exhausted> {
        let believed = self.believed.ok_or(Exhausted("register"))?;
        let mut book = self.clone();
        book.replacement = None;
        book.retired = Some(Retired {
            replacement_id,
            new_meter,
            seq,
            register: believed.state.volume,
            dead: false,
        });
        Ok(book)
    }

    fn after_carrying_out(mut self, credit: u32) -> Result<Self, Exhausted> {
        self.carried_out = self
            .carried_out
            .checked_add(credit)
            .ok_or(Exhausted("total"))?;
        Ok(self)
    }
}
