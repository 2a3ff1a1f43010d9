//! What can happen in the town, and what must hold in every state of it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use stateright::{Model, Property};

use crate::parts::{CREDITS, Parts};
use crate::state::{Kind, Message, Phone, State, Town, VENDS};

/// In every state.
pub const NEVER_ABOVE: &str = "never credited above what was paid and not given back";

/// Where nothing is under way.
pub const EXACT_AT_REST: &str = "at rest, credited exactly what was paid and not given back";

/// The meter has taken the debit.
pub const PROOF_ONLY: &str = "money is ordered back on the meter's proof only";

/// Only the meter accepts.
pub const SETTLED_IS_ON_THE_METER: &str = "what is settled is on the meter";

/// No state is a dead end: it is enough that nobody hinders it.
pub const CAN_BE_CLOSED: &str = "from here everything can be closed";

/// One error planted beside the rules, to see that the exploration finds it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// The meter takes a sequence that it had before.
    NoSequenceCheck,
    /// Money is ordered back when the debit is issued.
    MoneyWithoutProof,
    /// The company sells while a debit is open.
    SellsWhileDebitIsOpen,
    /// A vend counts as settled once a phone says that it has delivered its token.
    SettledWhenDelivered,
    /// The company issues a second token when it is asked again.
    IssuesAgain,
    /// Any refused token reverses the debit, and money goes back though a reversal is out.
    AnyRefusalReverses,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A vend is paid.
    Pay(usize),
    /// The company is asked to issue for a paid vend, again and again.
    Sell(usize),
    /// The company is asked to take a vend back.
    Ask(usize),
    /// The payment server takes the company's order.
    GiveBack,
    /// A phone delivers the token at this place of the log.
    Deliver {
        /// Which token.
        at: usize,
        /// The phone that the receipt comes back to; [`None`] where it is lost.
        heard_by: Option<usize>,
    },
    /// A phone says that it has delivered the token at this place of the log.
    Claim {
        /// Which token.
        at: usize,
    },
    /// A phone reads the meter's status.
    Read {
        /// Which phone.
        phone: usize,
    },
    /// A phone reports the message that it holds, which it keeps.
    Report {
        /// Which phone.
        phone: usize,
    },
    /// The household burns gas.
    Burn,
    /// The household types the second vend's code.
    Type,
}

/// The town, with the rules that ship and at most one fault beside them.
#[derive(Debug, Default)]
pub struct CreditModel {
    parts: Parts,
    fault: Option<Fault>,
}

thread_local! {
    /// Whether an end can be reached from there.
    static ENDS: RefCell<BTreeMap<(Option<Fault>, Town), bool>> = const { RefCell::new(BTreeMap::new()) };
}

impl CreditModel {
    /// The town with one error in it.
    #[must_use]
    pub fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    fn act(&self, town: &Town, phones: &mut [Phone; 2], action: Action) -> Option<Town> {
        let mut after = *town;
        match action {
            Action::Pay(vend) => after.paid[vend] = true,
            Action::Sell(vend) => {
                after.company = self.parts.sell(&town.company, vend, self.fault)?;
            }
            Action::Ask(vend) => {
                after.company = self.parts.ask(&town.company, vend, self.fault)?;
            }
            Action::GiveBack => after.given_back = true,
            Action::Claim { at } => {
                if let (Some(Fault::SettledWhenDelivered), Kind::Sale(vend)) =
                    (self.fault, town.company.log[at]?.kind)
                {
                    after.company.settled[vend] = true;
                }
            }
            Action::Deliver { at, heard_by } => {
                let entry = town.company.log[at]?;
                let (meter, receipt) = self.parts.deliver(town.meter, entry, self.fault);
                after.meter = meter;
                if let Some(phone) = heard_by {
                    phones[phone].message = Some(receipt);
                }
            }
            Action::Read { phone } => {
                phones[phone].message = Some(Message {
                    answers: None,
                    shown: town.meter.shown,
                });
            }
            Action::Report { phone } => {
                let message = phones[phone].message?;
                after.company = self.parts.learn(&town.company, &message, self.fault);
            }
            Action::Burn => after.meter.shown.burnt += 1,
            Action::Type => after.meter = self.parts.type_code(town.meter, &town.company)?,
        }
        Some(after)
    }

    /// What happens where nobody hinders it: the newest token is fetched, delivered and its receipt
    /// reported, what is paid is issued, what is ordered is given back.
    fn ends(&self, town: &Town) -> bool {
        const ROUNDS: usize = 6;
        if town.is_closed() {
            return true;
        }
        let key = (self.fault, *town);
        if let Some(known) = ENDS.with_borrow(|ends| ends.get(&key).copied()) {
            return known;
        }
        let mut at_last = *town;
        for _ in 0..ROUNDS {
            at_last = self.round(&at_last);
        }
        let ends = at_last.is_closed();
        ENDS.with_borrow_mut(|known| known.insert(key, ends));
        ends
    }

    fn round(&self, town: &Town) -> Town {
        let mut now = *town;
        let mut phones = [Phone::default(); 2];
        let newest = now.company.entries().count().checked_sub(1);
        let steps = [
            newest.map(|at| Action::Deliver {
                at,
                heard_by: Some(0),
            }),
            newest.map(|_| Action::Report { phone: 0 }),
            now.company.ordered.map(|_| Action::GiveBack),
        ];
        let sales = (0..VENDS).filter(|vend| town.paid[*vend]).map(Action::Sell);
        for action in steps.into_iter().flatten().chain(sales) {
            now = self.act(&now, &mut phones, action).unwrap_or(now);
        }
        now
    }
}

impl Town {
    /// What was paid and not given back, fen.
    fn owed(&self) -> u8 {
        let paid = (0..VENDS).filter(|vend| self.paid[*vend]);
        let owed: u8 = paid.map(|vend| CREDITS[vend]).sum();
        match self.company.ordered {
            Some(vend) if self.given_back => owed.saturating_sub(CREDITS[vend]),
            Some(_) | None => owed,
        }
    }

    /// Nothing is under way: all that was paid is issued and applied, nothing waits to be given back.
    fn is_at_rest(&self) -> bool {
        self.all_issued()
            && self.company.debit.is_none()
            && self.company.ordered.is_some() == self.given_back
            && self.meter.shown.last == self.company.newest()
    }

    /// At rest, and the company knows it.
    fn is_closed(&self) -> bool {
        let settled = (0..VENDS).all(|vend| !self.paid[vend] || self.company.settled[vend]);
        self.is_at_rest() && settled && !self.company.frozen
    }

    fn all_issued(&self) -> bool {
        let issued = |vend| self.company.entry_for(Kind::Sale(vend)).is_some();
        (0..VENDS).all(|vend| !self.paid[vend] || issued(vend))
    }

    /// What is believed to be settled, or was ordered back for a debit, the meter has taken.
    fn has_taken(&self, kind: Kind) -> bool {
        let entry = self.company.entry_for(kind);
        entry.is_some_and(|entry| self.meter.shown.seq() >= entry.seq)
    }
}

impl Model for CreditModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let town = &state.town;
        for vend in 0..VENDS {
            if town.paid[vend] {
                actions.push(Action::Sell(vend));
                actions.push(Action::Ask(vend));
            } else {
                actions.push(Action::Pay(vend));
            }
        }
        if town.company.ordered.is_some() && !town.given_back {
            actions.push(Action::GiveBack);
        }
        for at in 0..town.company.entries().count() {
            for heard_by in [None, Some(0), Some(1)] {
                actions.push(Action::Deliver { at, heard_by });
            }
            actions.push(Action::Claim { at });
        }
        for phone in 0..state.phones.len() {
            actions.push(Action::Read { phone });
            actions.push(Action::Report { phone });
        }
        if town.meter.shown.burnt < town.meter.shown.total() {
            actions.push(Action::Burn);
        }
        actions.push(Action::Type);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut phones = state.phones;
        let town = self.act(&state.town, &mut phones, action)?;
        phones.sort();
        let after = State { town, phones };
        (after != *state).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_ABOVE, |_, s: &State| {
                s.town.meter.shown.total() <= s.town.owed()
            }),
            Property::always(EXACT_AT_REST, |_, s: &State| {
                !s.town.is_at_rest() || s.town.meter.shown.total() == s.town.owed()
            }),
            Property::always(PROOF_ONLY, |_, s: &State| {
                let ordered = s.town.company.ordered;
                ordered.is_none_or(|vend| s.town.has_taken(Kind::Debit(vend)))
            }),
            Property::always(SETTLED_IS_ON_THE_METER, |_, s: &State| {
                let settled = s.town.company.settled;
                (0..VENDS).all(|vend| !settled[vend] || s.town.has_taken(Kind::Sale(vend)))
            }),
            Property::always("no sequence is used twice", |_, s: &State| {
                !s.town.company.reused
            }),
            Property::always("an honest meter is never frozen", |_, s: &State| {
                !s.town.company.frozen
            }),
            Property::always(CAN_BE_CLOSED, |model: &Self, s: &State| model.ends(&s.town)),
            Property::sometimes("both vends are settled", |_, s: &State| {
                s.town.company.settled == [true; VENDS]
            }),
            Property::sometimes("money went back", |_, s: &State| s.town.given_back),
            Property::sometimes(
                "a refused debit was closed without money",
                |_, s: &State| {
                    let company = &s.town.company;
                    let reversed = |vend| company.entry_for(Kind::Reversal(vend)).is_some();
                    company.debit.is_none() && company.asked.is_some_and(reversed)
                },
            ),
            Property::sometimes("a paid vend waits for a debit", |_, s: &State| {
                s.town.company.debit.is_some() && !s.town.all_issued()
            }),
            Property::sometimes("a typed code counts", |_, s: &State| {
                s.town.meter.shown.keypad > 0
            }),
        ]
    }
}
