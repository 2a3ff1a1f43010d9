use gas_token::{
    Ask, Command, Message, Receipt, Record, Seq, Setting, SettingBody, SettingKind, Status, Tagged,
    Total, peek,
};
use gas_token_issue::{MasterKey, seal_setting, seal_total};
use gas_token_keys::MeterKeys;
use gas_token_verify::{MeterIdentity, OpenedCommand, open};
use gas_units::{MeterNumber, Unit, UnixTime};

use crate::Target;
use crate::input::Input;

pub(super) const TARGET: Target = Target {
    name: "token",
    about: "recharge data: one spelling, sealed opens, changed does not",
    run,
    seeds,
    smoke_runs: 40_000,
};

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let vectors = include_str!("../../../../vectors/token.json");
    super::vector_bytes(vectors, "hex")
}

fn run(bytes: &[u8]) {
    one_spelling::<Total>(bytes);
    one_spelling::<Setting>(bytes);
    one_spelling::<Ask>(bytes);
    one_spelling::<Receipt>(bytes);
    one_spelling::<Status>(bytes);
    one_spelling::<Record>(bytes);
    if let Ok(command) = Command::parse(bytes) {
        assert_eq!(command.to_bytes(), bytes);
        assert_eq!(
            peek(bytes).map(|(kind, _, meter)| (kind, meter)),
            Ok((command.kind(), command.meter()))
        );
    }
    sealed_opens(Input(bytes));
}

fn one_spelling<M: Message>(bytes: &[u8]) {
    if let Ok(message) = Tagged::<M>::parse(bytes) {
        assert_eq!(message.to_bytes(), bytes);
    }
}

fn keys(meter: MeterNumber, generation: u8) -> MeterKeys {
    MasterKey::from_bytes([1; 16])
        .meter_key(meter, generation)
        .purposes()
}

/// A token of arbitrary content opens at its meter, and with any one bit changed it does not.
fn sealed_opens(mut input: Input<'_>) {
    let Ok(meter) = MeterNumber::from_bcd(input.array::<7>().map(|byte| {
        let (tens, ones) = (byte / 16 % 10, byte % 10);
        tens * 16 + ones
    })) else {
        return;
    };
    let identity = MeterIdentity {
        number: meter,
        generation: input.u8(),
        unit: if input.u8().is_multiple_of(2) {
            Unit::Fen
        } else {
            Unit::CentiCubicMetre
        },
    };
    let keys = keys(meter, identity.generation);
    let (flipped, sealed) = (usize::from(input.u16()), seal(&identity, &keys, input));
    match open(&identity, &keys, &sealed) {
        Ok(OpenedCommand::Setting(opened)) => assert_eq!(opened.meter, meter),
        Ok(OpenedCommand::Total(opened)) => assert_eq!(opened.unit, identity.unit),
        Err(refusal) => assert!(sealed.is_empty(), "sealed for it, and refused: {refusal:?}"),
    }
    let mut changed = sealed;
    if !changed.is_empty() {
        let place = flipped / 8 % changed.len();
        changed[place] ^= 1 << (flipped % 8);
        assert!(open(&identity, &keys, &changed).is_err(), "{place}");
    }
}

fn seal(identity: &MeterIdentity, keys: &MeterKeys, mut input: Input<'_>) -> Vec<u8> {
    let (generation, meter) = (identity.generation, identity.number);
    let kinds = [
        SettingKind::Prices,
        SettingKind::Protection,
        SettingKind::Valve,
        SettingKind::Time,
        SettingKind::KeyChange,
    ];
    if let Some(kind) = kinds.get(usize::from(input.u8() % 8)) {
        let version = input.u16();
        return SettingBody::new(input.counted()).map_or_else(
            |_| Vec::new(),
            |body| {
                let setting = Setting {
                    generation,
                    meter,
                    kind: *kind,
                    version,
                    body,
                };
                seal_setting(keys, setting).to_bytes()
            },
        );
    }
    let total = Total {
        generation,
        meter,
        seq: Seq::from_bits(input.u32()),
        unit: identity.unit,
        total: input.u32(),
        amount: i32::from_be_bytes(input.array()),
        tid_floor: input.u32() >> 8,
        tariff: input.u16(),
        issued: UnixTime::from_seconds(input.u32()),
        reference: input.array(),
    };
    let sealed = seal_total(keys, total);
    assert_eq!(Tagged::parse(&sealed.to_bytes()), Ok(sealed));
    sealed.to_bytes()
}
