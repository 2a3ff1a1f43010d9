//! Keys and tags of `vectors/token.json`, which an independent program in another language made.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_token::{Message, Receipt, Record, Setting, Status, Tagged, Total};
use gas_token_issue::{
    Forged, MasterKey, check_receipt, check_record, check_status, seal_setting, seal_total,
};
use gas_token_keys::MeterKeys;
use gas_units::MeterNumber;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../vectors/token.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn meter() -> MeterNumber {
    vectors()["keys"]["meter"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn master(first: u8) -> MasterKey {
    MasterKey::from_bytes(core::array::from_fn(|i| first + u8::try_from(i).unwrap()))
}

fn keys() -> MeterKeys {
    master(0).meter_key(meter(), 1).purposes()
}

fn tagged<M: Message>(value: &Value) -> Tagged<M> {
    Tagged::parse(&bytes(&value["hex"])).unwrap()
}

#[test]
fn keys_are_derived_as_the_reference_derives_them() {
    let expected = &vectors()["keys"];
    assert_eq!(bytes(&expected["master_hex"]), (0..16).collect::<Vec<u8>>());
    let meter_key = master(0).meter_key(meter(), 1);
    assert_eq!(hex::encode(meter_key.expose()), expected["meter_key_hex"]);
    // A purpose key shows itself through the tag of the empty message under the key of the vector.
    let keys = meter_key.purposes();
    for (key, name) in [
        (&keys.token, "token_hex"),
        (&keys.receipt, "recpt_hex"),
        (&keys.state, "state_hex"),
        (&keys.history, "histy_hex"),
        (&keys.wrapping, "kwrap_hex"),
    ] {
        use cmac::{Cmac, KeyInit as _, Mac as _};
        let reference = Cmac::<aes::Aes128>::new_from_slice(&bytes(&expected[name]))
            .unwrap()
            .finalize();
        assert_eq!(&key.tag(&[]).0[..], &reference.into_bytes()[..], "{name}");
    }
}

#[test]
fn sealing_gives_the_vectors() {
    for vector in vectors()["total"].as_array().unwrap() {
        let token: Tagged<Total> = tagged(vector);
        assert_eq!(
            seal_total(&keys(), token.message).to_bytes(),
            bytes(&vector["hex"])
        );
    }
    for vector in vectors()["setting"].as_array().unwrap() {
        let token: Tagged<Setting> = tagged(vector);
        assert_eq!(
            seal_setting(&keys(), token.message).to_bytes(),
            bytes(&vector["hex"])
        );
    }
}

#[test]
fn the_key_change_wraps_the_next_generation() {
    let token: Tagged<Setting> = tagged(&vectors()["setting"][1]);
    let (generation, wrapped) = token.message.body.as_slice().split_first().unwrap();
    assert_eq!(*generation, 2);
    let next = keys()
        .wrapping
        .unwrap_key(wrapped.try_into().unwrap())
        .unwrap();
    assert_eq!(next.expose(), master(16).meter_key(meter(), 2).expose());
    assert_eq!(&keys().wrapping.wrap(&next).unwrap()[..], wrapped);
}

#[test]
fn genuine_answers_are_believed_and_any_changed_bit_is_not() {
    let vectors = vectors();
    let command = |place: usize| tagged::<Total>(&vectors["total"][place]).tag;
    for (place, answered) in [(0, 0), (1, 0), (2, 1)] {
        let vector = &vectors["receipt"][place];
        let receipt: Tagged<Receipt> = tagged(vector);
        assert!(check_receipt(&keys(), &receipt, command(answered)).is_ok());
        assert_eq!(
            check_receipt(&keys(), &receipt, command(1 - answered)),
            Err(Forged)
        );
        every_flip(vector, |message| {
            let receipt = Tagged::<Receipt>::parse(message).ok()?;
            check_receipt(&keys(), &receipt, command(answered))
                .ok()
                .map(drop)
        });
    }
    for vector in vectors["status"].as_array().unwrap() {
        assert!(check_status(&keys(), &tagged::<Status>(vector)).is_ok());
        every_flip(vector, |message| {
            check_status(&keys(), &Tagged::parse(message).ok()?)
                .ok()
                .map(drop)
        });
    }
    for vector in vectors["record"].as_array().unwrap() {
        assert!(check_record(&keys(), &tagged::<Record>(vector)).is_ok());
        every_flip(vector, |message| {
            check_record(&keys(), &Tagged::parse(message).ok()?)
                .ok()
                .map(drop)
        });
    }
}

#[test]
fn one_kind_of_answer_never_passes_for_another() {
    let status: Tagged<Status> = tagged(&vectors()["status"][0]);
    let with_receipt_key = keys().receipt.tag(&[&status.message.untagged()]);
    let swapped = Tagged {
        message: status.message,
        tag: with_receipt_key,
    };
    assert_eq!(check_status(&keys(), &swapped), Err(Forged));
}

fn every_flip(vector: &Value, believed: impl Fn(&[u8]) -> Option<()>) {
    let message = bytes(&vector["hex"]);
    for bit in 0..message.len() * 8 {
        let mut changed = message.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(
            believed(&changed).is_none(),
            "believed with bit {bit} changed"
        );
    }
}
