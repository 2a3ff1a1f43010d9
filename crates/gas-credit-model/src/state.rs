//! The state in its smallest form: what real books, accounts and messages are made from again.

/// How many vends there are; they are called by their index.
pub const VENDS: usize = 2;

/// Most tokens that are ever issued: two sales, a debit, its reversal, and what a planted fault adds.
pub const LOG_MAX: usize = 6;

/// What a token was issued for; the number is the vend's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// It was sold.
    Sale(usize),
    /// It is taken back.
    Debit(usize),
    /// It is given to the meter again.
    Reversal(usize),
}

/// A token in the issue log. Its bytes, tag included, follow from this.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Entry {
    /// Its sequence; the epoch is 0.
    pub seq: u8,
    /// Its TID, counted from the first.
    pub tid: u8,
    /// All sold up to it, fen.
    pub total: u8,
    /// What it is for.
    pub kind: Kind,
}

/// What the meter shows of itself.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Shown {
    /// The token last applied.
    pub last: Option<Entry>,
    /// What was typed since, fen.
    pub keypad: u8,
    /// Gas burnt so far, fen.
    pub burnt: u8,
}

impl Shown {
    /// All that the meter was ever credited, fen.
    #[must_use]
    pub fn total(&self) -> u8 {
        self.last.map_or(0, |entry| entry.total) + self.keypad
    }

    /// Sequence of the token last applied; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u8 {
        self.last.map_or(0, |entry| entry.seq)
    }
}

/// A message of the meter. Its bytes, tag included, follow from this.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Message {
    /// For a receipt, the token that it answers and the result's byte; a status answers none.
    pub answers: Option<(Entry, u8)>,
    /// What it shows.
    pub shown: Shown,
}

/// The meter. Its balance is its total less what was burnt: it never was credited otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Meter {
    /// What it shows.
    pub shown: Shown,
    /// TIDs up to this one are refused.
    pub floor: u8,
    /// Whether the one keypad code was typed.
    pub typed: bool,
}

/// A debit that waits for the meter's answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Debit {
    /// The vend that is taken back.
    pub vend: usize,
    /// The debit's token.
    pub entry: Entry,
    /// Sequence of the reversal, once there is one.
    pub reversal: Option<u8>,
}

/// The company's database.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Company {
    /// Counter of the last token.
    pub counter: u8,
    /// TID of the last token.
    pub tid: u8,
    /// All sold.
    pub total: u8,
    /// A state has contradicted the log.
    pub frozen: bool,
    /// The newest believed state.
    pub believed: Option<Shown>,
    /// The one debit.
    pub debit: Option<Debit>,
    /// The issue log, oldest first.
    pub log: [Option<Entry>; LOG_MAX],
    /// Which vends are settled.
    pub settled: [bool; VENDS],
    /// The vend whose refund was asked for.
    pub asked: Option<usize>,
    /// The vend whose money the payment server was ordered to give back.
    pub ordered: Option<usize>,
    /// A sequence was given to two tokens. No database would have it; the model must see it.
    pub reused: bool,
}

impl Company {
    /// The tokens of the log, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.log.iter().flatten().copied()
    }

    /// The newest token.
    #[must_use]
    pub fn newest(&self) -> Option<Entry> {
        self.entries().last()
    }

    /// The first token that was issued for this.
    #[must_use]
    pub fn entry_for(&self, kind: Kind) -> Option<Entry> {
        self.entries().find(|entry| entry.kind == kind)
    }
}

/// All but the phones: what stays when every phone is lost.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Town {
    /// Which vends were paid.
    pub paid: [bool; VENDS],
    /// The company.
    pub company: Company,
    /// The meter.
    pub meter: Meter,
    /// Whether the payment server has given the money back.
    pub given_back: bool,
}

/// A phone. Which tokens it carries makes no difference: it can fetch any token of the log at any time.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Phone {
    /// The meter's message that it read last, and keeps.
    pub message: Option<Message>,
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct State {
    /// All but the phones.
    pub town: Town,
    /// The phones, smaller first: which is which makes no difference.
    pub phones: [Phone; 2],
}
