#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]
//! The meter as its card sees it: frames in, frames out, and nothing shown that a power cut takes back.

mod bench;

use gas_cjt188::{
    Address, Answer, Content, FaultCode, Frame, IdentifierOrder, LocalTime, PriceTable, Purchases,
    Reading, Request, StandardStatus, ValveOrder, ValveState,
};
use gas_meter::{Effect, Event, Obstacle, Prices, RECORDS_KEPT, Report, Step};
use gas_token::{
    Ask, Message as _, Nonce, ReceiptResult, Record, Seq, SettingKind, StateFlags, Status, Tag,
    Tagged, Total,
};
use gas_token_issue::{check_record, check_status, seal_total};
use gas_units::{Money, Unit, UnixTime, Volume};

use bench::{BEGIN, Bench, HOUR, fault, keys, master, meter, number, token};

#[test]
fn the_acceptance_rule_over_the_line() {
    // balance before, (seq, total) delivered, result, balance after, total after
    use ReceiptResult::{Applied, Duplicate, Insufficient, OutOfRange};
    let table = [
        (5000, (8, 20_000), Applied, 25_000, 20_000),
        (5000, (1, 1000), Duplicate, 5000, 0),
        (5000, (0, 1000), Duplicate, 5000, 0),
        (0, (3, 0), Applied, 0, 0),
        (i32::MAX, (3, 1), OutOfRange, i32::MAX, 0),
        (-300, (3, 200), Applied, -100, 200),
    ];
    for (balance, (seq, total), result, after, total_after) in table {
        let mut bench = Bench::new(meter(Unit::Fen, balance));
        if result == Duplicate {
            assert_eq!(bench.total(token(1, 0)).result, Applied);
        }
        let receipt = bench.total(token(seq, total));
        assert_eq!(receipt.result, result, "{seq} {total}");
        assert_eq!(receipt.state.balance, after, "{seq} {total}");
        assert_eq!(receipt.state.total, total_after, "{seq} {total}");
    }
    // A debit within and beyond the balance.
    let mut bench = Bench::new(meter(Unit::Fen, 0));
    bench.total(token(1, 20_000));
    bench.press();
    bench.burn(2000);
    let left = bench.meter.view().balance;
    let beyond = bench.total(token(2, 100));
    assert_eq!((beyond.result, beyond.state.balance), (Insufficient, left));
    assert_eq!(beyond.state.last_seq, Seq::from_bits(1));
    let within = bench.total(token(3, 19_000));
    assert_eq!(
        (within.result, within.state.balance),
        (Applied, left - 1000)
    );
}

#[test]
fn a_later_token_heals_a_lost_earlier_one_and_repeating_changes_nothing() {
    let mut bench = Bench::new(meter(Unit::Fen, 0));
    assert_eq!(bench.total(token(3, 30_000)).state.balance, 30_000);
    for seq in [1, 2, 3] {
        let receipt = bench.total(token(seq, 10_000 * seq));
        assert_eq!(receipt.result, ReceiptResult::Duplicate);
        assert_eq!(receipt.state.balance, 30_000);
        assert_eq!(receipt.state.last_seq, Seq::from_bits(3));
    }
}

#[test]
fn power_lost_before_or_after_the_store_credits_exactly_once() {
    let sealed = seal_total(&keys(1), token(1, 20_000));
    for stored in [false, true] {
        let mut bench = Bench::new(meter(Unit::Fen, 500));
        let wire = Request::Deliver(&sealed.to_bytes())
            .to_frame(Address::Meter(number()), 9, IdentifierOrder::HighFirst)
            .to_wire(4);
        let line_ms = 50_000;
        let effects = bench.meter.handle(Event::Serial {
            bytes: &wire,
            line_ms,
        });
        let [Effect::Persist(snapshot), Effect::Transmit { .. }] = effects.as_slice() else {
            panic!("the store comes first, then the answer: {effects:?}");
        };
        if stored {
            bench.stored = snapshot.as_slice().to_vec();
        }
        // The answer is lost with the power; the card asks again.
        bench.power_cycle();
        let result = bench.total(token(1, 20_000)).result;
        let expected = if stored {
            ReceiptResult::Duplicate
        } else {
            ReceiptResult::Applied
        };
        assert_eq!(result, expected);
        assert_eq!(bench.meter.view().balance, 20_500);
    }
}

#[test]
fn what_is_not_for_this_meter_is_refused_by_code_and_changes_nothing() {
    let mut bench = Bench::new(meter(Unit::Fen, 500));
    let before = bench.meter.snapshot().as_slice().to_vec();
    let good = seal_total(&keys(1), token(1, 20_000)).to_bytes();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let sealed = |total: Total| seal_total(&keys(1), total).to_bytes();
    let other_meter = Total {
        meter: "00110000999999".parse().unwrap(),
        ..token(1, 20_000)
    };
    let volume = Total {
        unit: Unit::CentiCubicMetre,
        ..token(1, 20_000)
    };
    let other_key = seal_total(&keys(9), token(1, 20_000)).to_bytes();
    let longer = [good.as_slice(), &[0]].concat();
    let receipt_type = changed(1, 0x81);
    let cases = [
        (other_key, fault(FaultCode::WrongTag, 0)),
        (changed(18, 0xFF), fault(FaultCode::WrongTag, 0)),
        (sealed(other_meter), fault(FaultCode::OtherMeter, 0)),
        (changed(2, 2), fault(FaultCode::OtherGeneration, 1)),
        (sealed(volume), fault(FaultCode::WrongUnit, 0)),
        (changed(0, 2), fault(FaultCode::Malformed, 0)),
        (longer, fault(FaultCode::Malformed, 0)),
        (good[..55].to_vec(), fault(FaultCode::Malformed, 0)),
        (vec![1; 200], fault(FaultCode::Malformed, 0)),
        (changed(1, 0x77), fault(FaultCode::Unknown, 0x77)),
        (receipt_type, fault(FaultCode::Unknown, 0x81)),
    ];
    for (message, expected) in cases {
        let refused = bench.deliver(&message, Tag([0; 16])).unwrap_err();
        assert_eq!(refused, expected, "{message:02x?}");
    }
    assert_eq!(bench.meter.snapshot().as_slice(), before);
    // Nothing of that stands in the way of the genuine one.
    assert_eq!(bench.total(token(1, 20_000)).state.balance, 20_500);
}

#[test]
fn bodies_that_do_not_fit_their_identifier_are_malformed() {
    let mut bench = Bench::new(meter(Unit::Fen, 500));
    let request =
        Request::Record(1).to_frame(Address::Meter(number()), 1, IdentifierOrder::HighFirst);
    for (identifier, length, code) in [
        (gas_cjt188::Identifier::DELIVER, 28, FaultCode::Malformed),
        (gas_cjt188::Identifier::DELIVER, 201, FaultCode::Malformed),
        (gas_cjt188::Identifier::ASK, 17, FaultCode::Malformed),
        (gas_cjt188::Identifier::RECORD, 5, FaultCode::Malformed),
        (
            gas_cjt188::Identifier::RECORDS_KEPT,
            1,
            FaultCode::Malformed,
        ),
        (gas_cjt188::Identifier(0xA013), 5, FaultCode::Unknown),
        (gas_cjt188::Identifier(0xA299), 5, FaultCode::Unknown),
    ] {
        let body = std::iter::repeat_n(0, length).collect();
        let frame = Frame {
            content: Content::Request { identifier, body },
            ..request.clone()
        };
        let answers = bench.line(&frame.to_wire(4));
        let [(answer, _)] = answers.as_slice() else {
            panic!("one answer to {identifier}");
        };
        let Content::Fault { fault, .. } = &answer.content else {
            panic!("{identifier}: {answer:?}");
        };
        assert_eq!(fault.code, code, "{identifier} {length}");
    }
}

#[test]
fn wrong_tags_wait_longer_each_time_and_a_genuine_token_never_waits() {
    let mut bench = Bench::new(meter(Unit::Fen, 500));
    let forged = seal_total(&keys(9), token(1, 20_000)).to_bytes();
    let genuine = seal_total(&keys(1), token(1, 20_000)).to_bytes();
    let wire = |message: &[u8]| {
        Request::Deliver(message)
            .to_frame(Address::Meter(number()), 1, IdentifierOrder::HighFirst)
            .to_wire(4)
    };
    let delays = |bench: &mut Bench, message: &[u8], times: usize| -> Vec<u32> {
        (0..times)
            .map(|_| bench.line(&wire(message))[0].1)
            .collect()
    };
    let forged_delays = delays(&mut bench, &forged, 12);
    assert_eq!(forged_delays[..5], [100, 200, 400, 800, 800]);
    assert_eq!(forged_delays[11], 800);
    assert_eq!(delays(&mut bench, &genuine, 1), [0]);
    assert_eq!(delays(&mut bench, &forged, 2), [100, 200]);
    // Another connection: the meter slept between.
    bench.line_ms += 2000;
    assert_eq!(delays(&mut bench, &forged, 1), [100]);
}

#[test]
fn a_sleeping_meter_needs_two_wake_up_bytes_and_answers_no_garbage() {
    let wire = |preamble| {
        Request::Reading
            .to_frame(Address::Meter(number()), 1, IdentifierOrder::HighFirst)
            .to_wire(preamble)
    };
    let mut bench = Bench::new(meter(Unit::Fen, 500));
    for (silence, preamble, answers) in [
        (5000, 0, 0),
        (5000, 1, 0),
        (5000, 2, 1),
        (1999, 0, 1),
        (2000, 0, 0),
        (0, 4, 1),
        (5000, 4, 1),
    ] {
        bench.line_ms += silence;
        let answered = bench.line(&wire(preamble)).len();
        assert_eq!(answered, answers, "{preamble} after {silence} ms");
    }
    for garbage in [&[0x68; 300][..], &[0xFE; 300], &[0x16, 0x68, 0x30], &[]] {
        assert_eq!(bench.line(garbage), [], "{garbage:02x?}");
        // Half a second of silence, and the line is clean again.
        bench.line_ms += 500;
        assert_eq!(bench.line(&wire(4)).len(), 1);
    }
    let mut wrong_sum = wire(4);
    wrong_sum[16] ^= 1;
    assert_eq!(bench.line(&wrong_sum), []);
    let own_answer = Answer::TimeSet.to_frame(&Frame::parse(&wire(0)).unwrap(), number());
    assert_eq!(bench.line(&own_answer.to_wire(4)), []);
}

#[test]
fn only_its_own_address_is_answered_and_broadcast_only_with_the_number() {
    let mut bench = Bench::new(meter(Unit::Fen, 500));
    let to = |request: Request<'_>, address| {
        request
            .to_frame(address, 1, IdentifierOrder::LowFirst)
            .to_wire(4)
    };
    let other = Address::Meter("00110000999999".parse().unwrap());
    assert_eq!(bench.line(&to(Request::Reading, other)), []);
    assert_eq!(bench.line(&to(Request::Reading, Address::Broadcast)), []);
    let close = Request::Valve(ValveOrder::Close);
    assert_eq!(bench.line(&to(close, Address::Broadcast)), []);
    assert_eq!(bench.valve(), "open");
    let answers = bench.line(&to(Request::ReadAddress, Address::Broadcast));
    assert_eq!(Answer::parse(&answers[0].0), Ok(Answer::Address(number())));
    assert_eq!(
        answers[0].0.order,
        IdentifierOrder::LowFirst,
        "as it was asked"
    );
}

#[test]
fn the_standard_identifiers_show_the_meter() {
    let mut bench = Bench::new(meter(Unit::Fen, 0));
    bench.total(token(7, 95_000));
    bench.total(token(8, 115_000));
    let status = StandardStatus {
        valve: ValveState::Closed,
        battery_low: false,
        maker: [0, StandardStatus::MAKER_ARMED],
    };
    let time = LocalTime::new((2026, 11, 23), (8, 30, 15)).unwrap();
    let register = Volume::from_centi_m3(123_456);
    let reading = Reading {
        current: register,
        settlement: register,
        time,
        status,
    };
    assert_eq!(bench.ask(Request::Reading), Ok(Answer::Reading(reading)));
    let purchases = Purchases {
        sequence: 8,
        last: Money::from_fen(20_000),
        cumulative: Money::from_fen(115_000),
        remaining: Money::from_fen(115_000),
        status,
    };
    assert_eq!(
        bench.ask(Request::Purchases),
        Ok(Answer::Purchases(purchases))
    );
    let prices = PriceTable {
        prices_fen_per_m3: [261, 283, 423],
        bounds_m3: [350, 500],
    };
    assert_eq!(bench.ask(Request::Prices), Ok(Answer::Prices(prices)));
    let mut volume_meter = Bench::new(meter(Unit::CentiCubicMetre, 0));
    assert_eq!(
        volume_meter.ask(Request::Prices),
        Err(fault(FaultCode::Unknown, 0)),
        "a volume meter knows no prices"
    );
}

#[test]
fn a_status_answers_its_nonce_and_shows_everything() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    bench.happen(Event::Battery { percent: 19 });
    bench.happen(Event::Tamper);
    bench
        .set(SettingKind::Prices, 3, &Prices::default().to_bytes())
        .unwrap();
    let ask = |generation, meter| {
        let message = Ask {
            generation,
            meter,
            nonce: Nonce([9; 8]),
        };
        let bytes: [u8; 18] = message.untagged().try_into().unwrap();
        bytes
    };
    let Ok(Answer::Status(bytes)) = bench.ask(Request::Ask(&ask(1, number()))) else {
        panic!("a status");
    };
    let status = Tagged::<Status>::parse(&bytes).unwrap();
    let status = check_status(&keys(1), &status).unwrap().into_inner();
    assert_eq!(status.nonce, Nonce([9; 8]));
    assert_eq!(
        (status.battery_percent, status.settings),
        (19, [3, 0, 0, 0, 0])
    );
    let flags = StateFlags::VALVE_CLOSED
        | StateFlags::VALVE_ARMED
        | StateFlags::BATTERY_LOW
        | StateFlags::TAMPERED;
    assert_eq!(status.state.flags, StateFlags(flags));
    assert_eq!(status.state.volume, Volume::from_centi_m3(123_456));
    assert_eq!(
        bench.ask(Request::Ask(&ask(2, number()))),
        Err(fault(FaultCode::OtherGeneration, 1))
    );
    let other = "00110000999999".parse().unwrap();
    assert_eq!(
        bench.ask(Request::Ask(&ask(1, other))),
        Err(fault(FaultCode::OtherMeter, 0))
    );
    assert_eq!(
        bench.ask(Request::Ask(&[0; 18])),
        Err(fault(FaultCode::Malformed, 0))
    );
}

#[test]
fn the_valve_closes_at_zero_and_credit_alone_never_opens_it() {
    // 10 pulses of 2.61 are 26.10.
    let mut bench = Bench::new(meter(Unit::Fen, 26));
    assert_eq!(bench.burn(1000), 10);
    assert_eq!((bench.valve(), bench.meter.view().balance), ("closed", 0));
    assert_eq!(bench.burn(1000), 0);
    assert_eq!(bench.press(), Report::StaysClosed(Obstacle::NoCredit));
    let receipt = bench.total(token(1, 20_000));
    assert_eq!(
        receipt.state.flags,
        StateFlags(StateFlags::VALVE_CLOSED | StateFlags::VALVE_ARMED)
    );
    assert_eq!(
        (bench.valve(), bench.burn(5)),
        ("armed", 0),
        "armed is not open"
    );
    bench.power_cycle();
    assert_eq!(bench.valve(), "armed");
    assert_eq!(bench.press(), Report::Opened);
    assert_eq!(bench.press(), Report::AlreadyOpen);
    assert_eq!(bench.burn(5), 5);
    // A credit that leaves the balance in arrears arms nothing.
    let mut arrears = Bench::new(meter(Unit::Fen, -500));
    arrears.total(token(1, 400));
    assert_eq!(arrears.valve(), "closed");
    // A debit to zero closes.
    bench.total(token(2, 20_000));
    let balance = u32::try_from(bench.meter.view().balance).unwrap();
    bench.total(token(3, 20_000 - balance));
    assert_eq!((bench.valve(), bench.meter.view().balance), ("closed", 0));
}

#[test]
fn over_the_line_the_valve_can_be_closed_and_armed_only() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    let order = |bench: &mut Bench, order| match bench.ask(Request::Valve(order)) {
        Ok(Answer::Valve(status)) => status.valve,
        other => panic!("not a valve's answer: {other:?}"),
    };
    assert_eq!(order(&mut bench, ValveOrder::Open), ValveState::Open);
    assert_eq!(order(&mut bench, ValveOrder::Close), ValveState::Closed);
    assert_eq!(bench.press(), Report::StaysClosed(Obstacle::NotArmed));
    assert_eq!(order(&mut bench, ValveOrder::Open), ValveState::Closed);
    assert_eq!(bench.valve(), "armed");
    assert_eq!(bench.press(), Report::Opened);
}

#[test]
fn the_companys_hold_is_lifted_by_the_company_only() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    bench.set(SettingKind::Valve, 1, &[0x99]).unwrap();
    assert_eq!(bench.press(), Report::StaysClosed(Obstacle::Held));
    bench.ask(Request::Valve(ValveOrder::Open)).unwrap();
    bench.total(token(1, 20_000));
    bench.happen(Event::Tamper);
    assert_eq!(bench.press(), Report::StaysClosed(Obstacle::Held));
    // The order to close, replayed after the order to arm, is a duplicate.
    bench.set(SettingKind::Valve, 2, &[0x55]).unwrap();
    assert_eq!(bench.valve(), "armed");
    assert_eq!(bench.meter.view().flags & StateFlags::TAMPERED, 0);
    let replayed = bench.set(SettingKind::Valve, 1, &[0x99]).unwrap();
    assert_eq!(replayed.result, ReceiptResult::Duplicate);
    assert_eq!(bench.press(), Report::Opened);
}

#[test]
fn a_flat_battery_closes_the_valve_while_it_still_can() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    bench.happen(Event::Battery { percent: 5 });
    assert_eq!(bench.press(), Report::StaysClosed(Obstacle::BatteryFlat));
    bench.happen(Event::Battery { percent: 100 });
    assert_eq!((bench.valve(), bench.press()), ("armed", Report::Opened));
}

#[test]
fn settings_apply_once_and_a_broken_body_changes_nothing() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    let prices = Prices {
        fen_per_m3: [100, 200, 300],
        bounds: [Volume::from_centi_m3(10), Volume::from_centi_m3(20)],
    };
    let applied = bench
        .set(SettingKind::Prices, 2, &prices.to_bytes())
        .unwrap();
    assert_eq!(applied.result, ReceiptResult::Applied);
    for version in [2, 1] {
        let dear = Prices {
            fen_per_m3: [9999; 3],
            ..prices
        };
        let old = bench
            .set(SettingKind::Prices, version, &dear.to_bytes())
            .unwrap();
        assert_eq!(old.result, ReceiptResult::Duplicate);
    }
    bench.burn(30);
    assert_eq!(bench.meter.view().balance, 5000 - 10 - 20 - 30);
    for (kind, body, expected) in [
        (
            SettingKind::Prices,
            &[1; 13][..],
            fault(FaultCode::Malformed, 0),
        ),
        (SettingKind::Valve, &[0x11], fault(FaultCode::Malformed, 0)),
        (SettingKind::Valve, &[], fault(FaultCode::Malformed, 0)),
        (SettingKind::Time, &[0; 5], fault(FaultCode::Malformed, 0)),
        (
            SettingKind::Protection,
            &[0; 4],
            fault(FaultCode::Unknown, 0x11),
        ),
        (
            SettingKind::KeyChange,
            &[2; 24],
            fault(FaultCode::Malformed, 0),
        ),
        (
            SettingKind::KeyChange,
            &[2; 25],
            fault(FaultCode::WrongTag, 0),
        ),
    ] {
        let before = bench.meter.snapshot().as_slice().to_vec();
        assert_eq!(bench.set(kind, 9, body), Err(expected), "{kind:?} {body:?}");
        assert_eq!(
            bench.meter.snapshot().as_slice(),
            before,
            "{kind:?} {body:?}"
        );
    }
}

#[test]
fn after_a_key_change_only_the_new_generation_counts_and_nothing_goes_back() {
    let mut bench = Bench::new(meter(Unit::Fen, 0));
    bench.pass(HOUR, 0);
    bench.total(token(4, 20_000));
    let next = master(2).meter_key(number(), 2);
    let wrapped = keys(1).wrapping.wrap(&next).unwrap();
    let body = [&[2][..], &wrapped].concat();
    let receipt = bench.set(SettingKind::KeyChange, 1, &body).unwrap();
    assert_eq!(
        (receipt.generation, receipt.result),
        (2, ReceiptResult::Applied)
    );
    bench.power_cycle();
    let old = seal_total(&keys(1), token(5, 30_000));
    assert_eq!(
        bench.deliver(&old.to_bytes(), old.tag),
        Err(fault(FaultCode::OtherGeneration, 2))
    );
    let resealed = Total {
        generation: 2,
        ..token(5, 30_000)
    };
    let resealed = seal_total(&keys(2), resealed);
    let receipt = bench.deliver(&resealed.to_bytes(), resealed.tag).unwrap();
    assert_eq!(
        (receipt.state.balance, receipt.state.last_seq.bits()),
        (30_000, 5)
    );
    // The record of before is as it was signed then; the next one is signed with the new key.
    bench.pass(HOUR, 0);
    for (wanted, generation) in [(1, 1), (2, 2)] {
        let record = record_from(&mut bench, wanted);
        assert_eq!(record.message.generation, generation);
        check_record(&keys(generation), &record).unwrap();
    }
}

fn record_from(bench: &mut Bench, wanted: u32) -> Tagged<Record> {
    match bench.ask(Request::Record(wanted)) {
        Ok(Answer::Record(bytes)) => Tagged::parse(&bytes).unwrap(),
        other => panic!("not a record: {other:?}"),
    }
}

#[test]
fn a_record_is_made_at_every_full_hour_and_numbers_never_go_back() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    assert_eq!(
        bench.ask(Request::RecordsKept),
        Ok(Answer::RecordsKept(None))
    );
    assert_eq!(
        bench.ask(Request::Record(0)),
        Err(fault(FaultCode::NoSuchRecord, 0))
    );
    bench.pass(HOUR - 1, 3);
    let record = record_from(&mut bench, 0);
    let full_hour = BEGIN - BEGIN % HOUR + HOUR;
    let record_is = (record.message.number, record.message.time.seconds());
    assert_eq!(record_is, (1, full_hour));
    assert_eq!(record.message.volume, Volume::from_centi_m3(123_459));
    check_record(&keys(1), &record).unwrap();
    bench.pass(10, 0);
    assert_eq!(
        bench.ask(Request::Record(2)),
        Err(fault(FaultCode::NoSuchRecord, 0))
    );
    let kept = u32::try_from(RECORDS_KEPT).unwrap();
    for _ in 0..=kept {
        bench.pass(HOUR, 0);
    }
    let (oldest, newest) = (3, kept + 2);
    assert_eq!(
        bench.ask(Request::RecordsKept),
        Ok(Answer::RecordsKept(Some((oldest, newest))))
    );
    assert_eq!(record_from(&mut bench, 0).message.number, oldest);
    assert_eq!(record_from(&mut bench, 500).message.number, 500);
    // The clock goes back by the company's order; the numbers do not.
    bench
        .set(SettingKind::Time, 1, &BEGIN.to_be_bytes())
        .unwrap();
    bench.pass(HOUR, 0);
    bench.power_cycle();
    let record = record_from(&mut bench, newest + 1);
    assert_eq!(record.message.time.seconds(), full_hour);
}

#[test]
fn tiers_begin_anew_at_new_year_of_the_meters_clock() {
    let mut bench = Bench::new(meter(Unit::Fen, 10_000_000));
    assert_eq!(bench.burn(50_001), 50_001);
    let balance = bench.meter.view().balance;
    bench.burn(100);
    assert_eq!(bench.meter.view().balance, balance - 423);
    // 2026-12-31 23:59:59 UTC+8, then a second more.
    bench
        .set(SettingKind::Time, 1, &1_798_732_799_u32.to_be_bytes())
        .unwrap();
    bench.burn(100);
    assert_eq!(bench.meter.view().balance, balance - 2 * 423);
    bench.pass(1, 0);
    bench.burn(100);
    assert_eq!(bench.meter.view().balance, balance - 2 * 423 - 261);
    assert_eq!(bench.meter.view().year_centi_m3, Volume::from_centi_m3(100));
}

#[test]
fn an_unsigned_clock_command_cannot_reach_a_cheaper_year() {
    let at = |seconds: u32| Request::SetTime(LocalTime::from_unix(UnixTime::from_seconds(seconds)));
    let not_allowed = Err(fault(FaultCode::NotAllowed, 0));
    let mut bench = Bench::new(meter(Unit::Fen, 10_000_000));
    bench.burn(50_000);
    assert_eq!(bench.ask(at(BEGIN + 301)), not_allowed);
    assert_eq!(bench.ask(at(BEGIN - 301)), not_allowed);
    assert_eq!(bench.ask(at(BEGIN + 300)), Ok(Answer::TimeSet));
    assert_eq!(bench.meter.clock().seconds(), BEGIN + 300);
    // The same request again, a moment later, is still answered; another correction is not allowed today.
    bench.pass(2, 0);
    assert_eq!(bench.ask(at(BEGIN + 300)), Ok(Answer::TimeSet));
    assert_eq!(bench.ask(at(BEGIN + 600)), not_allowed);
    bench.pass(24 * HOUR, 0);
    let tomorrow = bench.meter.clock().seconds();
    assert_eq!(bench.ask(at(tomorrow + 60)), Ok(Answer::TimeSet));
    // A lost clock takes any time, and stays lost; a year more by that is no new year for the tiers.
    bench.happen(Event::ClockLost);
    assert_eq!(bench.meter.clock().seconds(), 946_656_000);
    assert_eq!(bench.ask(at(BEGIN + 400 * 24 * HOUR)), Ok(Answer::TimeSet));
    bench.pass(HOUR, 0);
    let view = bench.meter.view();
    assert_eq!(view.flags & StateFlags::CLOCK_LOST, StateFlags::CLOCK_LOST);
    assert_eq!(view.year_centi_m3, Volume::from_centi_m3(50_000));
    bench
        .set(SettingKind::Time, 1, &BEGIN.to_be_bytes())
        .unwrap();
    let view = bench.meter.view();
    assert_eq!((view.flags, view.time.seconds()), (0, BEGIN));
    assert_eq!(view.year_centi_m3, Volume::from_centi_m3(50_000));
}

#[test]
fn time_alone_is_kept_once_a_minute_and_before_it_is_shown() {
    let mut bench = Bench::new(meter(Unit::Fen, 5000));
    let step = |seconds| {
        [Step {
            seconds,
            wanted: Volume::ZERO,
        }]
    };
    assert_eq!(bench.meter.handle(Event::Elapsed(&step(59))).len(), 0);
    assert_eq!(bench.meter.handle(Event::Elapsed(&step(1))).len(), 1);
    let effects = bench.meter.handle(Event::Elapsed(&step(30)));
    assert_eq!(effects.len(), 0);
    bench.ask(Request::Reading).unwrap();
    bench.power_cycle();
    assert_eq!(bench.meter.clock().seconds(), BEGIN + 90);
}
