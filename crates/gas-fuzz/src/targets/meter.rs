use gas_cjt188::Frame;
use gas_meter::{Effect, Event, MeterCore, Provision, SLOT_LEN, Slot, Start, newest, seal};
use gas_token_keys::MeterKey;
use gas_units::{MeterNumber, Unit, UnixTime, Volume};

use crate::Target;
use crate::input::Input;

pub(super) const MEMORY: Target = Target {
    name: "meter-memory",
    about: "the meter's memory with anything in it: the newest whole state or none, one spelling",
    run: memory,
    seeds: memory_seeds,
    smoke_runs: 3_000,
};

pub(super) const LINE: Target = Target {
    name: "meter-line",
    about: "anything on the meter's serial line: no credit, kept before it is answered",
    run: line,
    seeds: line_seeds,
    smoke_runs: 6_000,
};

fn meter() -> MeterCore {
    let number = MeterNumber::from_bcd([0x00, 0x11, 0x00, 0x00, 0x12, 0x34, 0x56])
        .unwrap_or_else(|_| unreachable!("BCD"));
    let provision = Provision {
        meter: number,
        generation: 1,
        meter_key: MeterKey::from_bytes([7; 16]),
        unit: Unit::Fen,
    };
    let start = Start {
        balance: 5000,
        register: Volume::from_centi_m3(100),
        time: UnixTime::from_seconds(1_795_393_815),
    };
    MeterCore::new(&provision, start)
}

fn memory_seeds() -> Vec<Vec<u8>> {
    let snapshot = meter().snapshot();
    vec![
        [&[0], snapshot.as_slice()].concat(),
        [&[1], seal(7, snapshot.as_slice()).as_slice()].concat(),
        vec![2, 0, 20, 4, 1, 2, 3, 4],
    ]
}

fn memory(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.u8() % 3 {
        0 => restore(input.rest()),
        1 => {
            if let Some(found) = newest(input.rest()) {
                restore(found.snapshot);
                let sealed = seal(found.counter, found.snapshot);
                let from = input.rest().get(found.slot.offset()..).unwrap_or_default();
                assert!(from.starts_with(&sealed), "one slot, two spellings");
            }
        }
        _ => torn(input),
    }
}

fn restore(snapshot: &[u8]) {
    if let Ok(core) = MeterCore::restore(snapshot) {
        assert_eq!(core.snapshot().as_slice(), snapshot);
        let _shown = core.view();
    }
}

/// Anything in the slot that is being written costs nothing of the other.
fn torn(mut input: Input<'_>) {
    let old = meter().snapshot();
    let mut memory = vec![0xFF; 2 * SLOT_LEN];
    let sealed = seal(7, old.as_slice());
    memory[..sealed.len()].copy_from_slice(&sealed);
    while !input.is_empty() {
        let place = Slot::B.offset() + usize::from(input.u16()) % (SLOT_LEN - 256);
        let torn = input.counted();
        memory[place..place + torn.len()].copy_from_slice(torn);
    }
    let found = newest(&memory);
    assert!(found.is_some_and(|found| found.slot == Slot::B || found.snapshot == old.as_slice()));
}

fn line_seeds() -> Vec<Vec<u8>> {
    let tokens = super::token::seeds().into_iter().map(|token| {
        let request = gas_cjt188::Request::Deliver(&token);
        let address = gas_cjt188::Address::Meter(meter().number());
        let order = gas_cjt188::IdentifierOrder::HighFirst;
        request.to_frame(address, 9, order).to_wire(4).to_vec()
    });
    super::cjt188::seeds().into_iter().chain(tokens).collect()
}

/// Without the meter's key nothing on its line adds credit or opens its valve.
fn line(bytes: &[u8]) {
    let mut meter = meter();
    let before = meter.view();
    for (turn, piece) in bytes.chunks(64).enumerate() {
        let line_ms = u64::try_from(turn).unwrap_or(0) * 10;
        let mut kept = meter.snapshot();
        let effects = meter.handle(Event::Serial {
            bytes: piece,
            line_ms,
        });
        let answers = effects.iter().any(|e| matches!(e, Effect::Transmit { .. }));
        for effect in effects {
            match effect {
                Effect::Persist(snapshot) => kept = snapshot,
                Effect::Transmit { wire, .. } => {
                    assert!(Frame::parse(&wire).is_ok(), "{wire:02X?}");
                }
                Effect::Report(_) => {}
            }
        }
        if answers {
            assert_eq!(
                kept.as_slice(),
                meter.snapshot().as_slice(),
                "answered, not kept"
            );
        }
    }
    let after = meter.view();
    assert_eq!((after.balance, after.total), (before.balance, before.total));
    assert_eq!(after.register_centi_m3, before.register_centi_m3);
    assert_eq!(after.settings, before.settings);
}
