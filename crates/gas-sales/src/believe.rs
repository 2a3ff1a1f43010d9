use gas_token::{Seq, ShortTag};
use gas_units::UnixMillis;

use crate::book::{BelievedState, MeterBook};
use crate::prove::Told;

/// What the issue log holds of one sequence: of several seals of one token, the one that the state shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// First 4 bytes of the token's tag.
    pub tag: ShortTag,
    /// All sold up to that token.
    pub total: u32,
}

impl LogEntry {
    /// Before the first token: a meter shows sequence 0, a tag of zeros and nothing sold.
    pub const BEFORE_THE_FIRST: Self = Self {
        tag: ShortTag([0; 4]),
        total: 0,
    };
}

/// How a genuine state disagrees with what the company has issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Contradiction {
    /// A sequence that the company never issued.
    #[error("meter shows token {0}, which was never issued")]
    NeverIssued(Seq),
    /// Another token at that sequence.
    #[error("meter shows another token at {0} than the one that was issued")]
    OtherToken(Seq),
    /// Another total at that sequence.
    #[error("meter shows {found} sold as of {seq}; {issued} were issued")]
    OtherTotal {
        /// The sequence.
        seq: Seq,
        /// What the issue log says.
        issued: u32,
        /// What the meter shows, keypad codes taken off.
        found: i64,
    },
}

/// What became of a state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Belief {
    /// Believed, and the newest: the book from now on.
    Believed(MeterBook),
    /// The meter is frozen for sales and an alarm is due: the book from now on.
    Contradicts(MeterBook, Contradiction),
    /// The very message that told the newest believed state. Nothing changes.
    Known,
    /// True, and not news: a newer one is believed already. Nothing changes.
    Old,
    /// It shows a token of an epoch before the restored books' own, which they may have forgotten; the meter
    /// is to be given its newest token first. Nothing of it is believed but its key generation, since the
    /// meter takes that token under no other: the book from now on.
    NotYet(Box<MeterBook>),
}

impl MeterBook {
    /// Company rule 2. `logged` is the issue log at the state's `last_seq`, for sequence 0
    /// [`LogEntry::BEFORE_THE_FIRST`]. The log is whole for the book's own epoch; of older ones, which end
    /// with a restore, it may lack what came after the backup.
    ///
    /// A state under an older key generation than the meter is known to have is old, whatever it shows: its
    /// key may be what the change was made for. One under a newer generation concludes the change, also one
    /// that restored books have forgotten: nobody but the company could give the meter that key.
    #[must_use]
    pub fn believe(&self, told: &Told, logged: Option<LogEntry>, now: UnixMillis) -> Belief {
        if told.generation < self.generation {
            return Belief::Old;
        }
        if logged.is_none() && told.state.last_seq.epoch() < self.epoch {
            if self.knows_newer_than(told) {
                return Belief::Old;
            }
            let mut book = self.clone();
            book.know_generation(told.generation);
            return Belief::NotYet(Box::new(book));
        }
        if let Err(contradiction) = agrees(told, logged) {
            let mut book = self.clone();
            book.frozen = true;
            return Belief::Contradicts(book, contradiction);
        }
        if self
            .believed
            .is_some_and(|believed| believed.message_sha256 == told.sha256)
        {
            return Belief::Known;
        }
        if self.knows_newer_than(told) {
            return Belief::Old;
        }
        let mut book = self.clone();
        book.know_generation(told.generation);
        book.year = book.year.at(now, told.state.volume);
        book.believed = Some(BelievedState {
            state: told.state,
            battery_percent: told.battery_percent.or_else(|| self.known_battery()),
            message_sha256: told.sha256,
            believed_at: now,
        });
        Belief::Believed(book)
    }

    /// A change that is still open was sealed under the generation before, which the meter takes no more: it
    /// is over, and may be begun again from here.
    const fn know_generation(&mut self, generation: u8) {
        if self.generation != generation {
            self.generation = generation;
            self.next_generation = None;
        }
    }

    /// By sequence, then by register: within a key generation both only rise. Time is never evidence.
    fn knows_newer_than(&self, told: &Told) -> bool {
        told.generation == self.generation
            && self.believed.is_some_and(|believed| {
                (told.state.last_seq, told.state.volume)
                    < (believed.state.last_seq, believed.state.volume)
            })
    }

    fn known_battery(&self) -> Option<u8> {
        self.believed.and_then(|believed| believed.battery_percent)
    }
}

fn agrees(told: &Told, logged: Option<LogEntry>) -> Result<(), Contradiction> {
    let seq = told.state.last_seq;
    let logged = logged.ok_or(Contradiction::NeverIssued(seq))?;
    if told.state.last_tag != logged.tag {
        return Err(Contradiction::OtherToken(seq));
    }
    let found = i64::from(told.state.total) - i64::from(told.state.keypad);
    if found != i64::from(logged.total) {
        return Err(Contradiction::OtherTotal {
            seq,
            issued: logged.total,
            found,
        });
    }
    Ok(())
}
