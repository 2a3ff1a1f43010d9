//! Meters that are replaced: somebody comes with a new one, reads both, and the desk moves the credit.

use gas_api::desk::{KeyWanted, Replacement, ReplacementState, ReplacementWanted};
use gas_units::ReplacementId;

use crate::event::{CardEvent, Event, MeterEvent};
use crate::fault::Fault;
use crate::net::{Ask, Asker, CompanyAsk, DeskMatter, Failure, Outcome, To, Told};
use crate::oracle::VendTruth;
use crate::world::World;

/// Between two looks at the desk, ms; and while faults are over.
const AGAIN_MS: (u64, u64) = (300_000, 3_600_000);
const AGAIN_CALM_MS: (u64, u64) = (60_000, 600_000);

/// Meters that are replaced because they are broken for good, in 100,000.
const DEAD: u32 = 40_000;

/// A replacement, as the desk has noted it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replacing {
    /// The home whose meter goes.
    pub(crate) old: usize,
    /// The place of the meter that comes.
    pub(crate) new: usize,
    /// The old meter is broken for good: two people say so.
    pub(crate) dead: bool,
    /// Another one where the old meter had burnt gas meanwhile and keeps its credit.
    id: ReplacementId,
    /// The company has said that the credit is in the new meter's token.
    pub(crate) carried: bool,
    /// The desk's question whose answer, or silence, is waited for.
    call: u64,
}

impl World {
    /// A new meter comes for this home, if one of its kind stands ready and the company cannot lose the word
    /// about it with its disk (docs/exactly-once.md, "Not covered yet").
    pub(crate) fn maybe_replace_meter(&mut self, home: usize) {
        if !(self.sim.faults).may_strike(Fault::MeterReplaced, &mut self.sim.rng) {
            return;
        }
        let utility = self.homes[home].utility;
        let of = &self.utilities[utility];
        if of.frail == of.company || self.homes[home].spare || self.replacing_of(home).is_some() {
            return;
        }
        // Nothing can be on a meter that nobody has read yet, and nothing is asked about it.
        let was_read = |vend: &VendTruth| vend.home == home && vend.quoted.is_some();
        if !self.vends.values().any(was_read) {
            return;
        }
        let unit = self.meters[home].unit;
        let new = (0..self.homes.len()).find(|place| {
            let candidate = &self.homes[*place];
            candidate.spare
                && candidate.utility == utility
                && self.meters[*place].unit == unit
                && self.replacing_of(*place).is_none()
        });
        let Some(new) = new else {
            return;
        };
        self.sim.faults.struck(Fault::MeterReplaced);
        let id = self.replacement_id();
        let dead = self.sim.rng.chance(DEAD);
        self.replacing.push(Replacing {
            old: home,
            new,
            dead,
            id,
            carried: false,
            call: 0,
        });
        let how = if dead { "is dead, and is" } else { "is" };
        self.sim
            .line(|| format!("home {home}: its meter {how} to be replaced by that of {new}"));
        // The pipe is moved now, or only when all is done.
        if dead || self.sim.rng.chance(50_000) {
            self.moves_pipe(home, new);
        }
        if dead {
            self.homes[home].meter.dies();
        }
        // The new one comes out of its box, and is read.
        self.sim.schedule(1, Event::Card(new, CardEvent::On));
        self.sim.schedule(60_000, Event::Reads(new));
        self.desk_replaces(self.replacing.len() - 1);
    }

    fn replacement_id(&mut self) -> ReplacementId {
        let unix_ms = u64::try_from(self.wall().millis()).unwrap_or_default();
        ReplacementId::from_parts(unix_ms, self.sim.rng.bytes())
    }

    /// The replacement that this place takes part in.
    pub(crate) fn replacing_of(&self, place: usize) -> Option<&Replacing> {
        let takes_part = |one: &&Replacing| one.old == place || one.new == place;
        self.replacing.iter().find(takes_part)
    }

    /// Whether this meter still lies in its box.
    pub(crate) fn is_boxed(&self, home: usize) -> bool {
        self.homes[home].spare && self.replacing_of(home).is_none()
    }

    /// Where the household of a meter that was replaced lives on.
    pub(crate) fn lives_on_at(&self, home: usize) -> Option<usize> {
        let replaced = |one: &&Replacing| one.old == home && one.carried;
        self.replacing.iter().find(replaced).map(|one| one.new)
    }

    /// The household burns its gas through the new meter from now on.
    fn moves_pipe(&mut self, old: usize, new: usize) {
        if self.homes[old].meter.burns_nothing() {
            return;
        }
        for place in [old, new] {
            let did = self.homes[place].meter.live_on(&mut self.sim);
            self.meter_did(place, did);
        }
        let household = self.homes[old].meter.moves_out();
        self.homes[new].meter.moves_in(household);
        self.sim.schedule(0, Event::Meter(new, MeterEvent::Press));
    }

    /// The desk asks the company for a replacement, or how it stands: the same words for both.
    pub(crate) fn desk_replaces(&mut self, number: usize) {
        let Replacing {
            old, new, id, dead, ..
        } = self.replacing[number];
        let approved_by = dead.then(|| ["Li".to_owned(), "Wang".to_owned()]);
        let wanted = ReplacementWanted {
            meter: self.homes[old].number,
            new_meter: self.homes[new].number,
            reason: "worn out".to_owned(),
            approved_by,
        };
        let company = self.utilities[self.homes[old].utility].company;
        let ask = Ask::Company(CompanyAsk::Replace(id, wanted));
        self.desk_calls += 1;
        self.replacing[number].call = self.desk_calls;
        let asker = Asker::Desk(DeskMatter::Replacement(number));
        self.send(To::Server(company), ask, asker, self.desk_calls);
    }

    /// The company's answer. The first of each question counts.
    pub(crate) fn desk_told_of_replacement(&mut self, number: usize, call: u64, outcome: Outcome) {
        let Replacing {
            old,
            new,
            id,
            call: asked,
            ..
        } = self.replacing[number];
        if call != asked {
            return;
        }
        self.replacing[number].call = 0;
        match outcome {
            Ok(Told::Replacement(stands)) if stands.replacement_id == id => {
                self.replacement_stands(number, &stands);
            }
            // An older one, answered late.
            Ok(Told::Replacement(_)) => {}
            Ok(told) => self.violated(format!("the desk was told {told:?}")),
            // Not now: a payment is under way, or the meters were not read yet.
            Err(Failure::Problem(_) | Failure::Silence) => {}
        }
        if self.replacing[number].carried {
            self.sim
                .line(|| format!("home {old}: the meter of {new} stands in its place"));
            self.moves_pipe(old, new);
            return;
        }
        let (low, high) = if self.sim.faults.are_on() {
            AGAIN_MS
        } else {
            AGAIN_CALM_MS
        };
        let after = self.sim.rng.within(low, high);
        self.sim.schedule(after, Event::DeskReplaces(number));
    }

    fn replacement_stands(&mut self, number: usize, stands: &Replacement) {
        match stands.state {
            ReplacementState::Open | ReplacementState::Reversed | ReplacementState::CarryDue => {}
            ReplacementState::Carried => self.replacing[number].carried = true,
            // Gas was burnt meanwhile: asked for again with what is left, and now no more is burnt. Without
            // that a household that burns all day is never done (seed 11, before this line).
            ReplacementState::Closed => {
                self.replacing[number].id = self.replacement_id();
                let Replacing { old, new, .. } = self.replacing[number];
                self.moves_pipe(old, new);
            }
        }
    }

    /// The desk gives a meter its next key.
    pub(crate) fn maybe_change_key(&mut self, home: usize) {
        if self.sim.strikes(Fault::KeyChanged) {
            self.homes[home].key_generation += 1;
            self.desk_changes_key(home);
        }
    }

    pub(crate) fn desk_changes_key(&mut self, home: usize) {
        let generation = self.homes[home].key_generation;
        self.sim
            .line(|| format!("desk: meter {home} is to have key {generation}"));
        let company = self.utilities[self.homes[home].utility].company;
        let wanted = KeyWanted { generation };
        let ask = Ask::Company(CompanyAsk::ChangeKey(self.homes[home].number, wanted));
        self.desk_calls += 1;
        self.homes[home].key_call = self.desk_calls;
        let asker = Asker::Desk(DeskMatter::Key(home));
        self.send(To::Server(company), ask, asker, self.desk_calls);
    }

    /// Asked until it is answered; the phones do the rest. The first answer of each question counts.
    pub(crate) fn desk_told_of_key(&mut self, home: usize, call: u64, outcome: &Outcome) {
        if self.homes[home].key_call != call {
            return;
        }
        self.homes[home].key_call = 0;
        if matches!(outcome, Err(Failure::Silence)) {
            let (low, high) = AGAIN_MS;
            let after = self.sim.rng.within(low, high);
            self.sim.schedule(after, Event::DeskChangesKey(home));
        }
    }
}
