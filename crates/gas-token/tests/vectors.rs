//! Every message of `vectors/token.json` parses to what the vector says and emits the same bytes;
//! every shorter, longer or mistyped message is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gas_token::{
    Ask, Command, Kind, Message, ParseError, Receipt, ReceiptResult, Record, Seq, SettingKind,
    Status, Tagged, Total, peek,
};
use gas_units::{Unit, UnixTime};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../vectors/token.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value["hex"].as_str().unwrap()).unwrap()
}

fn list(name: &str) -> Vec<Value> {
    let list = vectors()[name].as_array().unwrap().clone();
    assert!(!list.is_empty(), "no vectors under {name}");
    list
}

fn round_trip<M: Message + PartialEq + std::fmt::Debug>(message: Vec<u8>) -> M {
    let parsed = Tagged::<M>::parse(&message).unwrap();
    assert_eq!(parsed.to_bytes(), message);
    for length in 0..message.len() {
        assert!(
            Tagged::<M>::parse(&message[..length]).is_err(),
            "{length} bytes were accepted"
        );
    }
    let mut long = message.clone();
    long.push(0);
    assert!(
        matches!(Tagged::<M>::parse(&long), Err(ParseError::Length { .. })),
        "a trailing byte was accepted"
    );
    for (place, why) in [(0, ParseError::Version(9)), (1, ParseError::Type(9))] {
        let mut wrong = message.clone();
        wrong[place] = 9;
        assert_eq!(Tagged::<M>::parse(&wrong), Err(why));
    }
    let mut wrong = message;
    wrong[5] = 0xFA;
    assert!(matches!(
        Tagged::<M>::parse(&wrong),
        Err(ParseError::Meter(_))
    ));
    parsed.message
}

#[test]
fn total_tokens() {
    for vector in list("total") {
        let total: Total = round_trip(bytes(&vector));
        let number = |name: &str| vector[name].as_i64().unwrap();
        assert_eq!(i64::from(total.seq.bits()), number("seq"));
        assert_eq!(i64::from(total.unit.to_byte()), number("unit"));
        assert_eq!(i64::from(total.total), number("total"));
        assert_eq!(i64::from(total.amount), number("amount"));
        assert_eq!(i64::from(total.tid_floor), number("tid_floor"));
        assert_eq!(i64::from(total.tariff), number("tariff"));
        assert_eq!(i64::from(total.issued.seconds()), number("issued"));
        assert_eq!(hex::encode(total.reference), vector["ref_hex"]);
        assert_eq!(total.meter.to_string(), "00110000123456");
        assert!(matches!(
            Command::parse(&bytes(&vector)),
            Ok(Command::Total(_))
        ));
    }
    let mut unit = bytes(&list("total")[0]);
    unit[14] = 3;
    assert_eq!(
        Tagged::<Total>::parse(&unit),
        Err(ParseError::Field {
            field: "unit",
            value: 3
        })
    );
}

#[test]
fn settings() {
    let vectors = list("setting");
    let prices: gas_token::Setting = round_trip(bytes(&vectors[0]));
    assert_eq!((prices.kind, prices.version), (SettingKind::Prices, 2));
    assert_eq!(prices.body.as_slice().len(), 14);
    let key: gas_token::Setting = round_trip(bytes(&vectors[1]));
    assert_eq!((key.kind, key.version), (SettingKind::KeyChange, 2));
    assert_eq!(key.body.as_slice().len(), 25);
    assert!(matches!(
        Command::parse(&bytes(&vectors[1])),
        Ok(Command::Setting(_))
    ));
    assert!(gas_token::SettingBody::new(&[0; 129]).is_err());
}

#[test]
fn ask() {
    let message = bytes(&vectors()["ask"]);
    let ask: Ask = round_trip(message.clone());
    assert_eq!(hex::encode(ask.nonce.0), vectors()["ask"]["nonce_hex"]);
    assert_eq!(Command::parse(&message), Err(ParseError::Type(0x40)));
    assert_eq!(peek(&message).unwrap().0, Kind::Ask);
}

#[test]
fn receipts() {
    use ReceiptResult::{Applied, Duplicate, Insufficient};
    for (vector, result) in list("receipt")
        .iter()
        .zip([Applied, Duplicate, Insufficient])
    {
        let receipt: Receipt = round_trip(bytes(vector));
        assert_eq!(receipt.result, result);
        assert_eq!(receipt.answered, Kind::Total);
        assert_eq!(receipt.state.last_seq, Seq::new(0, 8).unwrap());
        assert_eq!(receipt.state.total, 115_000);
        assert_eq!(receipt.state.volume.centi_m3(), 123_456);
    }
    let mut result = bytes(&list("receipt")[0]);
    result[10] = 4;
    assert_eq!(
        Tagged::<Receipt>::parse(&result),
        Err(ParseError::Field {
            field: "result",
            value: 4
        })
    );
}

#[test]
fn statuses() {
    for (vector, keypad) in list("status").iter().zip([0, 1000]) {
        let status: Status = round_trip(bytes(vector));
        assert_eq!(status.state.keypad, keypad);
        assert_eq!(status.battery_percent, 92);
        assert_eq!(status.settings, [1, 2, 0, 4, 1]);
    }
}

#[test]
fn records() {
    for (vector, number, balance) in list("record")
        .iter()
        .zip([1001, 1002])
        .zip([32_400, -500])
        .map(|((a, b), c)| (a, b, c))
    {
        let record: Record = round_trip(bytes(vector));
        assert_eq!((record.number, record.balance), (number, balance));
    }
}

#[test]
fn sequences_have_an_epoch_and_a_counter() {
    let seq = Seq::new(1, 1).unwrap();
    assert_eq!((seq.bits(), seq.epoch(), seq.counter()), (16_777_217, 1, 1));
    assert_eq!(Seq::new(0, 1 << 24), None);
    assert_eq!(Unit::Fen.to_byte(), 1);
}

/// A sale's token names it; the first one after books were restored holds what they had forgotten.
#[test]
fn only_an_epochs_first_token_holds_sales_that_it_does_not_name() {
    let token = |epoch, counter, amount, reference| Total {
        generation: 1,
        meter: "00110000123456".parse().unwrap(),
        seq: Seq::new(epoch, counter).unwrap(),
        unit: Unit::Fen,
        total: 900,
        amount,
        tid_floor: 0,
        tariff: 1,
        issued: UnixTime::from_seconds(0),
        reference,
    };
    let holds = |token: Total| token.may_hold(500, [7; 8]);
    assert!(holds(token(0, 3, 500, [7; 8])));
    assert!(!holds(token(0, 3, 501, [7; 8])));
    assert!(!holds(token(0, 3, 500, [8; 8])));
    assert!(holds(token(1, 1, 0, [0; 8])));
    assert!(!holds(token(1, 2, 0, [0; 8])));
    assert!(!holds(token(0, 1, 0, [0; 8])));
    assert!(!holds(token(1, 1, -500, [0; 8])));
}
