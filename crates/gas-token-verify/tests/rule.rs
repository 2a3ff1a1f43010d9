//! The meter's rule, guard by guard, and the vectors as a meter makes and opens them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use gas_token::{
    Kind, Message as _, Receipt, ReceiptResult, Record, Seq, Setting, SettingBody, SettingKind,
    ShortTag, Status, Tagged, Total,
};
use gas_token_issue::{MasterKey, seal_setting, seal_total};
use gas_token_keys::MeterKeys;
use gas_token_verify::{
    Account, MeterIdentity, Opened, OpenedCommand, Refusal, SettingVersions, accept_setting,
    accept_total, open, sign_receipt, sign_record, sign_status,
};
use gas_units::{MeterNumber, Unit, UnixTime};
use proptest::prelude::*;
use serde_json::Value;

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn identity() -> MeterIdentity {
    MeterIdentity {
        number: meter(),
        generation: 1,
        unit: Unit::Fen,
    }
}

fn keys() -> MeterKeys {
    MasterKey::from_bytes(core::array::from_fn(|i| u8::try_from(i).unwrap()))
        .meter_key(meter(), 1)
        .purposes()
}

fn total(seq: u32, total: u32) -> Total {
    Total {
        generation: 1,
        meter: meter(),
        seq: Seq::from_bits(seq),
        unit: Unit::Fen,
        total,
        amount: 0,
        tid_floor: seq,
        tariff: 1,
        issued: UnixTime::from_seconds(0),
        reference: [0; 8],
    }
}

fn opened(message: Total) -> Opened<Total> {
    match open(
        &identity(),
        &keys(),
        &seal_total(&keys(), message).to_bytes(),
    ) {
        Ok(OpenedCommand::Total(token)) => token,
        other => panic!("not opened: {other:?}"),
    }
}

#[test]
fn forged_foreign_or_broken_tokens_are_refused_each_with_its_own_reason() {
    let good = seal_total(&keys(), total(1, 100)).to_bytes();
    let refusal = |bytes: &[u8]| open(&identity(), &keys(), bytes).unwrap_err();
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(
            open(&identity(), &keys(), &changed).is_err(),
            "bit {bit} did not matter"
        );
    }
    let mut forged = good.clone();
    forged[20] ^= 1;
    assert_eq!(refusal(&forged), Refusal::WrongTag);
    let other_meter = Total {
        meter: "00110000123457".parse().unwrap(),
        ..total(1, 100)
    };
    assert_eq!(
        refusal(&seal_total(&keys(), other_meter).to_bytes()),
        Refusal::OtherMeter
    );
    let old = Total {
        generation: 0,
        ..total(1, 100)
    };
    assert_eq!(
        refusal(&seal_total(&keys(), old).to_bytes()),
        Refusal::OtherGeneration { current: 1 }
    );
    let volume = Total {
        unit: Unit::CentiCubicMetre,
        ..total(1, 100)
    };
    assert_eq!(
        refusal(&seal_total(&keys(), volume).to_bytes()),
        Refusal::WrongUnit
    );
    assert!(matches!(refusal(&good[..55]), Refusal::Malformed(_)));
    assert!(matches!(
        refusal(&[good.clone(), vec![0]].concat()),
        Refusal::Malformed(_)
    ));
    assert!(matches!(refusal(&[]), Refusal::Malformed(_)));
    let mut receipt = good;
    receipt[1] = 0x81;
    assert_eq!(refusal(&receipt), Refusal::UnknownType(0x81));
}

#[test]
fn a_total_is_applied_once_and_repeating_it_is_a_duplicate() {
    let first = accept_total(Account::default(), &opened(total(5, 100)));
    assert_eq!(first.result, ReceiptResult::Applied);
    assert_eq!((first.state.balance, first.state.total), (100, 100));
    assert_eq!(first.state.last_tag, opened(total(5, 100)).tag().short());
    for seq in [5, 4, 0] {
        let again = accept_total(first.state, &opened(total(seq, 999)));
        assert_eq!(again.result, ReceiptResult::Duplicate, "seq {seq}");
        assert_eq!(again.state, first.state);
    }
}

#[test]
fn a_later_total_heals_a_lost_one() {
    let healed = accept_total(Account::default(), &opened(total(7, 300)));
    assert_eq!(healed.state.balance, 300);
}

#[test]
fn a_debit_takes_only_what_is_there() {
    let account = Account {
        last_seq: Seq::from_bits(1),
        total: 100,
        balance: 30,
        ..Account::default()
    };
    let enough = accept_total(account, &opened(total(2, 70)));
    assert_eq!(
        (enough.result, enough.state.balance),
        (ReceiptResult::Applied, 0)
    );
    let too_much = accept_total(account, &opened(total(2, 69)));
    assert_eq!(too_much.result, ReceiptResult::Insufficient);
    assert_eq!(too_much.state, account);
    // In arrears a credit that does not clear them is still a credit.
    let arrears = Account {
        balance: -50,
        ..account
    };
    let credit = accept_total(arrears, &opened(total(2, 110)));
    assert_eq!(
        (credit.result, credit.state.balance),
        (ReceiptResult::Applied, -40)
    );
    assert_eq!(
        accept_total(arrears, &opened(total(2, 100))).result,
        ReceiptResult::Applied,
        "a total without change is no debit"
    );
}

#[test]
fn numbers_never_overflow() {
    let account = Account {
        balance: i32::MAX,
        ..Account::default()
    };
    let over = accept_total(account, &opened(total(1, 1)));
    assert_eq!(over.result, ReceiptResult::OutOfRange);
    assert_eq!(over.state, account);
    let whole = accept_total(Account::default(), &opened(total(1, u32::MAX)));
    assert_eq!(whole.result, ReceiptResult::OutOfRange);
}

#[test]
fn keypad_and_floor_follow_the_token() {
    let account = Account {
        keypad: 10,
        total: 10,
        balance: 10,
        tid_floor: 9,
        ..Account::default()
    };
    let next = accept_total(account, &opened(total(3, 110))).state;
    assert_eq!((next.keypad, next.balance, next.tid_floor), (0, 110, 9));
}

#[test]
fn settings_have_their_own_versions() {
    let setting = |kind, version| {
        let setting = Setting {
            generation: 1,
            meter: meter(),
            kind,
            version,
            body: SettingBody::new(&[1]).unwrap(),
        };
        match open(
            &identity(),
            &keys(),
            &seal_setting(&keys(), setting).to_bytes(),
        ) {
            Ok(OpenedCommand::Setting(opened)) => opened,
            other => panic!("not opened: {other:?}"),
        }
    };
    let first = accept_setting(SettingVersions::default(), &setting(SettingKind::Valve, 3));
    assert_eq!(first.result, ReceiptResult::Applied);
    assert_eq!(first.state, SettingVersions([0, 0, 3, 0, 0]));
    for version in [3, 2] {
        let again = accept_setting(first.state, &setting(SettingKind::Valve, version));
        assert_eq!(
            (again.result, again.state),
            (ReceiptResult::Duplicate, first.state)
        );
    }
    let other = accept_setting(first.state, &setting(SettingKind::Prices, 1));
    assert_eq!(other.state, SettingVersions([1, 0, 3, 0, 0]));
}

#[test]
fn answers_are_signed_as_the_vectors_are() {
    let vectors: Value = serde_json::from_str(include_str!("../../../vectors/token.json")).unwrap();
    let bytes = |v: &Value| hex::decode(v["hex"].as_str().unwrap()).unwrap();
    let command = |place: usize| {
        Tagged::<Total>::parse(&bytes(&vectors["total"][place]))
            .unwrap()
            .tag
    };
    for (place, answered) in [(0, 0), (1, 0), (2, 1)] {
        let expected = bytes(&vectors["receipt"][place]);
        let receipt = Tagged::<Receipt>::parse(&expected).unwrap().message;
        assert_eq!(receipt.answered, Kind::Total);
        assert_eq!(
            sign_receipt(&keys(), receipt, command(answered)).to_bytes(),
            expected
        );
    }
    for vector in vectors["status"].as_array().unwrap() {
        let status = Tagged::<Status>::parse(&bytes(vector)).unwrap().message;
        assert_eq!(sign_status(&keys(), status).to_bytes(), bytes(vector));
    }
    for vector in vectors["record"].as_array().unwrap() {
        let record = Tagged::<Record>::parse(&bytes(vector)).unwrap().message;
        assert_eq!(sign_record(&keys(), record).to_bytes(), bytes(vector));
        assert_eq!(Record::TAG_LEN, 8);
    }
    let identity = MeterIdentity {
        unit: Unit::CentiCubicMetre,
        ..identity()
    };
    assert!(matches!(
        open(&identity, &keys(), &bytes(&vectors["total"][2])),
        Ok(OpenedCommand::Total(token)) if token.seq == Seq::from_bits(16_777_217)
    ));
    assert_eq!(ShortTag::default(), ShortTag([0; 4]));
}

proptest! {
    /// Whatever order, repetition and loss: once the newest total has arrived, the meter was credited
    /// exactly the newest total.
    #[test]
    fn any_order_ends_at_the_newest_total(
        amounts in prop::collection::vec(0_u32..10_000, 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut sum = 0;
        let tokens: Vec<_> = (1..).zip(&amounts).map(|(seq, amount)| {
            sum += amount;
            opened(total(seq, sum))
        }).collect();
        let mut account = Account::default();
        for index in order {
            let before = account;
            account = accept_total(account, index.get(&tokens)).state;
            prop_assert!(account.last_seq >= before.last_seq && account.balance >= before.balance);
        }
        account = accept_total(account, tokens.last().unwrap()).state;
        prop_assert_eq!(account.balance, i32::try_from(sum).unwrap());
        prop_assert_eq!(account.total, sum);
    }

    #[test]
    fn no_bytes_make_the_meter_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&identity(), &keys(), &bytes).is_err());
    }
}
