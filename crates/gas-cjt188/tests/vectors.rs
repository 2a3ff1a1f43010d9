#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Every published and every own vector, both ways, and every way a frame can be broken.

use gas_cjt188::{
    Address, Answer, Content, Fault, FaultCode, Frame, FrameError, Identifier, IdentifierOrder,
    LocalTime, MeterType, PriceTable, Purchases, Reading, Request, StandardStatus, ValveOrder,
    ValveState,
};
use gas_units::{MeterNumber, Money, Volume};
use proptest::prelude::*;

fn vectors() -> Vec<(String, Vec<u8>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/cjt188.json");
    let parsed: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vectors: Vec<_> = parsed
        .as_array()
        .unwrap()
        .iter()
        .map(|vector| {
            let text = |field: &str| vector[field].as_str().unwrap().to_owned();
            (text("name"), hex::decode(text("frame_hex")).unwrap())
        })
        .collect();
    assert!(vectors.len() >= 30, "the vectors' file is not whole");
    vectors
}

fn vector(name: &str) -> Frame {
    let vectors = vectors();
    let (_, bytes) = vectors.iter().find(|(found, _)| found == name).unwrap();
    Frame::parse(bytes).unwrap()
}

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn at(date: (u16, u8, u8), time: (u8, u8, u8)) -> LocalTime {
    LocalTime::new(date, time).unwrap()
}

const FINE: StandardStatus = StandardStatus {
    valve: ValveState::Open,
    battery_low: false,
    maker: [0, 0],
};

#[test]
fn every_vector_decodes_and_encodes_byte_for_byte() {
    for (name, bytes) in vectors() {
        let preamble = bytes.iter().take_while(|byte| **byte == 0xFE).count();
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(frame.to_wire(preamble).as_slice(), bytes, "{name}");
        match frame.address {
            Address::Broadcast => assert_eq!(frame.meter_type, MeterType::ANY, "{name}"),
            Address::Meter(number) => assert_eq!(number, meter(), "{name}"),
        }
    }
}

/// Frames that others published; their sums were computed anew.
#[test]
fn published_frames_decode_and_encode_byte_for_byte() {
    for text in [
        "6810443322110033780103 1f90008016",
        "6820324131400000000103 901f012016",
        "68aaaaaaaaaaaaaaaa0303810a004916",
        "68101200000000000083 03810a009b16",
        "6830563412000011000408a0130508000002001316",
    ] {
        let bytes = hex::decode(text.replace(' ', "")).unwrap();
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(frame.to_wire(0).as_slice(), bytes, "{text}");
    }
}

#[test]
fn every_broken_vector_is_refused_by_name() {
    for (name, bytes) in vectors() {
        let whole = &bytes[2..];
        for cut in 0..whole.len() {
            let refused = Frame::parse(&whole[..cut]);
            let truncated =
                matches!(refused, Err(FrameError::Truncated { found, .. }) if found == cut);
            assert!(truncated, "{name} cut at {cut}: {refused:?}");
        }
        let longer = [whole, &[0, 0]].concat();
        assert_eq!(
            Frame::parse(&longer),
            Err(FrameError::Trailing(2)),
            "{name}"
        );
        let mut wrong_end = whole.to_vec();
        *wrong_end.last_mut().unwrap() = 0x17;
        assert_eq!(
            Frame::parse(&wrong_end),
            Err(FrameError::End(0x17)),
            "{name}"
        );
        for place in 0..whole.len() {
            let mut wrong = whole.to_vec();
            wrong[place] ^= 0x40;
            assert!(Frame::parse(&wrong).is_err(), "{name}: byte {place}");
        }
    }
}

#[test]
fn what_a_right_sum_does_not_excuse() {
    let with = |place: usize, value: u8| {
        let mut bytes = hex::decode("683056341200001100 0103901f00f816".replace(' ', "")).unwrap();
        let sum = bytes.len() - 2;
        bytes[sum] = bytes[sum].wrapping_sub(bytes[place]).wrapping_add(value);
        bytes[place] = value;
        Frame::parse(&bytes)
    };
    assert_eq!(with(0, 0x67), Err(FrameError::Start));
    assert_eq!(with(1, 0x55), Err(FrameError::MeterType(0x55)));
    assert_eq!(with(3, 0x3A), Err(FrameError::Address));
    assert_eq!(with(9, 0x41), Err(FrameError::Control(0x41)));
    assert_eq!(with(9, 0x02), Err(FrameError::Control(0x02)));
    // A request of less than identifier and serial number, an error answer of none or of six bytes.
    for (control, data) in [(0x01, "901f"), (0xC1, "00"), (0xC1, "901f00040000")] {
        let data = hex::decode(data).unwrap();
        let length = u8::try_from(data.len()).unwrap();
        let mut bytes = hex::decode("683056341200001100").unwrap();
        bytes.extend([control, length]);
        bytes.extend(&data);
        bytes.push(
            bytes
                .iter()
                .fold(0, |sum: u8, byte| sum.wrapping_add(*byte)),
        );
        bytes.push(0x16);
        assert_eq!(Frame::parse(&bytes), Err(FrameError::DataLength(length)));
    }
}

#[test]
fn both_byte_orders_are_one_identifier_and_come_back_as_they_came() {
    let (high, low) = (
        vector("V1 read current 901F req (be)"),
        vector("V1 read current 901F req (le)"),
    );
    assert_eq!(high.order, IdentifierOrder::HighFirst);
    assert_eq!(low.order, IdentifierOrder::LowFirst);
    assert_eq!(Request::parse(&high), Ok(Request::Reading));
    assert_eq!(Request::parse(&low), Ok(Request::Reading));
    assert_eq!(
        Request::Reading.to_frame(Address::Meter(meter()), 0, IdentifierOrder::LowFirst),
        low
    );
}

#[test]
fn the_standard_answers_say_what_the_vectors_say() {
    let answers = [
        (
            "V2 read current rsp (time LE sec-first)",
            Answer::Reading(Reading {
                current: Volume::from_centi_m3(123_456),
                settlement: Volume::from_centi_m3(120_000),
                time: at((2026, 11, 23), (8, 30, 15)),
                status: FINE,
            }),
        ),
        (
            "V5 rsp",
            Answer::Prices(PriceTable {
                prices_fen_per_m3: [263, 316, 394],
                bounds_m3: [310, 520],
            }),
        ),
        (
            "V7 rsp seq=7 this=100.00 cum=950.00 left=123.45 ST=0000",
            Answer::Purchases(Purchases {
                sequence: 7,
                last: Money::from_fen(10_000),
                cumulative: Money::from_fen(95_000),
                remaining: Money::from_fen(12_345),
                status: FINE,
            }),
        ),
        ("V10 rsp", Answer::TimeSet),
        (
            "V11 rsp ST valve closed D1D0=01",
            Answer::Valve(StandardStatus {
                valve: ValveState::Closed,
                ..FINE
            }),
        ),
        (
            "V12 rsp (address is in the header)",
            Answer::Address(meter()),
        ),
    ];
    for (name, answer) in answers {
        let frame = vector(name);
        assert_eq!(Answer::parse(&frame), Ok(answer), "{name}");
        assert_eq!(answer.to_frame(&frame, meter()), frame, "{name}");
    }
}

#[test]
fn the_standard_requests_say_what_the_vectors_say() {
    let to_meter = Address::Meter(meter());
    for (name, request, address) in [
        ("V1 read current 901F req (be)", Request::Reading, to_meter),
        ("V5 read price table 8102 req", Request::Prices, to_meter),
        ("V7 read purchase 8105 req", Request::Purchases, to_meter),
        (
            "V10 write time A015",
            Request::SetTime(at((2026, 11, 23), (8, 30, 15))),
            to_meter,
        ),
        (
            "V11 valve close A017 99",
            Request::Valve(ValveOrder::Close),
            to_meter,
        ),
        (
            "V12 read address (broadcast)",
            Request::ReadAddress,
            Address::Broadcast,
        ),
    ] {
        let frame = vector(name);
        assert_eq!(Request::parse(&frame), Ok(request), "{name}");
        let encoded = request.to_frame(address, frame.serial, frame.order);
        assert_eq!(encoded, frame, "{name}");
    }
}

#[test]
fn identifiers_that_are_not_served_are_unknown() {
    for name in [
        "V4 read month history D120 req",
        "V8 write purchase A013 seq=8 amount=200.00",
        "V13 write new key A014 keyver=02",
        "V15 write address 15H A018",
        "V2 read current rsp (time LE sec-first)",
    ] {
        let frame = vector(name);
        let refused = Request::parse(&frame).map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err("this identifier or function is not known".to_owned()),
            "{name}"
        );
    }
}

#[test]
fn error_answers_of_every_maker_are_understood() {
    for (data, identifier, code, detail) in [
        ("0004", None, FaultCode::WrongUnit, None),
        ("000402", None, FaultCode::WrongUnit, Some(2)),
        (
            "a2010003",
            Some(Identifier::DELIVER),
            FaultCode::OtherGeneration,
            None,
        ),
        (
            "01a20010ff",
            Some(Identifier::DELIVER),
            FaultCode::NoSuchRecord,
            Some(0xFF),
        ),
        ("0077", None, FaultCode::Other(0x77), None),
    ] {
        let data = hex::decode(data).unwrap();
        let mut bytes = hex::decode("683056341200001100c4").unwrap();
        bytes.push(u8::try_from(data.len()).unwrap());
        bytes.extend(&data);
        bytes.push(
            bytes
                .iter()
                .fold(0, |sum: u8, byte| sum.wrapping_add(*byte)),
        );
        bytes.push(0x16);
        let frame = Frame::parse(&bytes).unwrap();
        let fault = Fault { code, detail };
        assert_eq!(frame.content, Content::Fault { identifier, fault });
        assert_eq!(frame.to_wire(0).as_slice(), bytes);
    }
}

#[test]
fn our_error_answer_has_serial_code_and_detail() {
    let request =
        Request::Record(7).to_frame(Address::Meter(meter()), 0x21, IdentifierOrder::HighFirst);
    let fault = Fault {
        code: FaultCode::NoSuchRecord,
        detail: None,
    };
    let wire = fault.to_frame(&request, meter()).to_wire(0);
    assert_eq!(hex::encode(wire), "683056341200001100c4032110003d16");
}

proptest! {
    #[test]
    fn maker_requests_and_answers_come_back(
        message in proptest::collection::vec(any::<u8>(), 29..=200),
        number: u32,
        serial: u8,
        low_first: bool,
    ) {
        let order = if low_first { IdentifierOrder::LowFirst } else { IdentifierOrder::HighFirst };
        let ask: [u8; 18] = message[..18].try_into().unwrap();
        for request in [
            Request::Deliver(&message),
            Request::Ask(&ask),
            Request::Record(number),
            Request::RecordsKept,
        ] {
            let wire = request.to_frame(Address::Meter(meter()), serial, order).to_wire(4);
            let frame = Frame::parse(&wire).unwrap();
            prop_assert_eq!(Request::parse(&frame), Ok(request));
        }
        let request = Request::RecordsKept.to_frame(Address::Meter(meter()), serial, order);
        let mut padded = message;
        padded.resize(200, 0);
        for answer in [
            Answer::Receipt(padded[..58].try_into().unwrap()),
            Answer::Status(padded[..75].try_into().unwrap()),
            Answer::Record(padded[..36].try_into().unwrap()),
            Answer::RecordsKept((number != 0).then_some((1, number))),
            Answer::RecordsKept(None),
        ] {
            let wire = answer.to_frame(&request, meter()).to_wire(0);
            let frame = Frame::parse(&wire).unwrap();
            prop_assert_eq!(Answer::parse(&frame), Ok(answer));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_fail_otherwise_than_with_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(frame) = Frame::parse(&bytes) {
            let _parsed = (Request::parse(&frame).is_ok(), Answer::parse(&frame).is_ok());
        }
    }
}
