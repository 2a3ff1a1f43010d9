//! The real meter core on a memory whose power can go at any byte.

use std::mem;

use gas_meter::{
    Effect, Event, Household, MeterCore, Provision, SLOT_LEN, Slot, Start, View, newest_steady,
    seal,
};

use crate::fault::Fault;
use crate::sim::Sim;

/// How long the meter is dark after its power was cut, ms.
const DARK_MS: (u64, u64) = (200, 90_000);

/// A meter.
#[derive(Debug)]
pub(crate) struct Meter {
    core: Option<MeterCore>,
    memory: Vec<u8>,
    /// A cell that a cut write left between zero and one: its place, and the bits that read either way.
    weak: Option<(usize, u8)>,
    slot: Slot,
    counter: u64,
    household: Household,
    /// The household has moved to another meter.
    idle: bool,
    /// It is broken for good.
    dead: bool,
    /// Until when it has lived, ms of virtual time.
    lived_to: u64,
    /// Counts its lives: what was on the way to an earlier one is lost.
    life: u32,
}

/// What a meter did when it was told something.
#[derive(Debug, Default)]
pub(crate) struct MeterDid {
    /// A frame to be sent, after so many ms. Replaces one that still waits.
    pub(crate) transmit: Option<(u64, Vec<u8>)>,
    /// Its power went; it is back after so many ms.
    pub(crate) dark_ms: Option<u64>,
}

impl Meter {
    pub(crate) fn new(provision: &Provision, start: Start, household: Household, now: u64) -> Self {
        let core = MeterCore::new(provision, start);
        let mut meter = Self {
            memory: vec![0xFF; 2 * SLOT_LEN],
            weak: None,
            slot: Slot::B,
            counter: 0,
            household,
            idle: false,
            dead: false,
            lived_to: now,
            life: 0,
            core: None,
        };
        let snapshot = core.snapshot();
        meter.write(snapshot.as_slice(), None);
        meter.core = Some(core);
        meter
    }

    /// Which of its lives it lives.
    pub(crate) const fn life(&self) -> u32 {
        self.life
    }

    /// What a person who looks at it sees; `None` while it is dark.
    pub(crate) fn view(&self) -> Option<View> {
        self.core.as_ref().map(MeterCore::view)
    }

    /// Bytes came on the serial line.
    pub(crate) fn hear(&mut self, bytes: &[u8], sim: &mut Sim) -> MeterDid {
        let mut did = self.live_on(sim);
        if did.dark_ms.is_none() {
            let line_ms = sim.now;
            self.handle(Event::Serial { bytes, line_ms }, &mut did, sim);
        }
        did
    }

    /// Something happened at the meter itself.
    pub(crate) fn happens(&mut self, event: Event<'_>, sim: &mut Sim) -> MeterDid {
        let mut did = self.live_on(sim);
        if did.dark_ms.is_none() {
            self.handle(event, &mut did, sim);
        }
        did
    }

    /// The household burns gas and the clock runs, up to now.
    pub(crate) fn live_on(&mut self, sim: &mut Sim) -> MeterDid {
        let mut did = MeterDid::default();
        let seconds = sim.now.saturating_sub(self.lived_to) / 1_000;
        let Some(core) = self.core.as_ref().filter(|_| seconds > 0) else {
            return did;
        };
        self.lived_to += seconds * 1_000;
        let steps = self.household.steps(core, seconds);
        self.handle(Event::Elapsed(&steps), &mut did, sim);
        did
    }

    /// Whether nobody burns gas behind it.
    pub(crate) const fn burns_nothing(&self) -> bool {
        self.idle
    }

    /// It never wakes again.
    pub(crate) fn dies(&mut self) {
        self.core = None;
        self.life += 1;
        self.dead = true;
    }

    /// The household moves to another meter.
    pub(crate) fn moves_out(&mut self) -> Household {
        self.idle = true;
        mem::replace(&mut self.household, nobody())
    }

    /// A household burns its gas through this meter from now on.
    pub(crate) fn moves_in(&mut self, household: Household) {
        self.idle = false;
        self.household = household;
    }

    /// Power is back: it goes on with what its memory holds.
    pub(crate) fn power_on(&mut self, sim: &mut Sim) -> Result<MeterDid, String> {
        if self.dead {
            return Ok(MeterDid::default());
        }
        let (memory, again) = (self.read(sim), self.read(sim));
        let found =
            newest_steady(&memory, &again).ok_or("neither of the meter's slots is whole")?;
        self.slot = found.slot;
        self.counter = found.counter;
        let snapshot = found.snapshot.to_vec();
        let core = MeterCore::restore(&snapshot).map_err(|error| error.to_string())?;
        // Before anybody is told of it: what reads well now may not when it is read next.
        let cut = sim.strikes(Fault::MeterPowerCut);
        if !self.write(&snapshot, cut.then_some(&mut *sim)) {
            return Ok(self.goes_dark(sim));
        }
        self.core = Some(core);
        self.lived_to = sim.now;
        Ok(MeterDid::default())
    }

    fn read(&self, sim: &mut Sim) -> Vec<u8> {
        let mut memory = self.memory.clone();
        if let Some((at, bits)) = self.weak {
            memory[at] ^= bits & sim.rng.next().to_le_bytes()[0];
        }
        memory
    }

    fn handle(&mut self, event: Event<'_>, did: &mut MeterDid, sim: &mut Sim) {
        let Some(core) = &mut self.core else {
            return;
        };
        for effect in core.handle(event) {
            match effect {
                Effect::Persist(snapshot) => {
                    let cut = sim.strikes(Fault::MeterPowerCut);
                    if !self.write(snapshot.as_slice(), cut.then_some(&mut *sim)) {
                        // What it sent before is out.
                        let transmit = did.transmit.take();
                        *did = self.goes_dark(sim);
                        did.transmit = transmit;
                        return;
                    }
                }
                Effect::Transmit { wire, delay_ms } => {
                    did.transmit = Some((delay_ms.into(), wire));
                }
                Effect::Report(_) => {}
            }
        }
    }

    fn goes_dark(&mut self, sim: &mut Sim) -> MeterDid {
        self.core = None;
        self.life += 1;
        let (low, high) = DARK_MS;
        MeterDid {
            dark_ms: Some(sim.rng.within(low, high)),
            transmit: None,
        }
    }

    /// Writes a snapshot to the slot that does not hold the newest one; with `cut`, the power goes at
    /// some byte of it, or right behind it.
    fn write(&mut self, snapshot: &[u8], cut: Option<&mut Sim>) -> bool {
        let (slot, counter) = (self.slot.other(), self.counter + 1);
        let sealed = seal(counter, snapshot);
        let at = slot.offset();
        let whole = cut.is_none();
        let (written, weak) = match cut {
            None => (sealed.len(), None),
            Some(sim) => {
                let written = sim.rng.place(sealed.len() + 1);
                let bits = sim.rng.next().to_le_bytes()[0] & sim.rng.next().to_le_bytes()[0];
                (
                    written,
                    (written < sealed.len()).then_some((at + written, bits)),
                )
            }
        };
        self.memory[at..at + written].copy_from_slice(&sealed[..written]);
        if weak.is_some_and(|(_, bits)| bits & 1 == 1) {
            // The last byte but for the weak bits: it may read as what was to be written.
            self.memory[at + written] = sealed[written];
        }
        // Written over, a cell is as good as any.
        let over = at..at + written;
        self.weak = weak.or_else(|| self.weak.filter(|(cell, _)| !over.contains(cell)));
        (self.slot, self.counter) = (slot, counter);
        whole
    }
}

fn nobody() -> Household {
    // One day without use is a household.
    Household::from_days(["0.0"]).unwrap_or_else(|_| unreachable!("0.0 is a use"))
}
