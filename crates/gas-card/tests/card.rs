//! The card between a meter and a phone, in virtual time.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so when the card breaks"
)]

mod doubles;

use doubles::{
    ErasePattern, Mood, OTHER_METER, World, ask_bytes, deliver, record, request, status_bytes,
    token,
};
use gas_card::Event;
use gas_link::{
    CardReport, CardState, Info, Operation, Recall, RecordKind, Records, Refusal, RequestId,
    Response, Status,
};

const METER: &str = "00110000123456";

fn info(world: &World) -> Info {
    Info::parse(&world.info.unwrap()).unwrap()
}

fn records_of(answer: &Response) -> (u32, u32, Vec<u32>) {
    let records = Records::parse(&answer.body).unwrap();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[10..14].try_into().unwrap());
    (
        records.oldest,
        records.newest,
        records.iter().map(number).collect(),
    )
}

fn ask_records(number: u8, kind: RecordKind, first: u32, at_most: u8) -> gas_link::Request {
    let operation = Operation::Records {
        kind,
        first,
        at_most,
    };
    request(number, operation)
}

/// Asks one thing and gives the answer.
fn ask(world: &mut World, request: gas_link::Request) -> Response {
    world.phone.plan.push_back(request);
    world.finish();
    world.phone.answers.pop().unwrap()
}

#[test]
fn the_card_reads_the_meter_by_itself_and_keeps_hours_and_days() {
    let mut world = World::new();
    world.paired = true;
    world.meter.records = (5..=60).map(|number| record(METER, number)).collect();
    world.run(30_000);
    let card = world.card.as_ref().unwrap();
    assert_eq!(card.meter_number(), Some(METER.parse().unwrap()));
    assert_eq!(card.register().unwrap().current.centi_m3(), 123_456);
    assert!(info(&world).state.contains(CardState::METER_ANSWERED));
    let hourly = ask(&mut world, ask_records(1, RecordKind::Hourly, 0, 255));
    assert_eq!(records_of(&hourly), (5, 60, (5..=28).collect()));
    let rest = ask(&mut world, ask_records(2, RecordKind::Hourly, 57, 24));
    assert_eq!(records_of(&rest), (5, 60, (57..=60).collect()));
    // The first of each UTC+8 day: the first one ever seen, and then every midnight.
    let daily = ask(&mut world, ask_records(3, RecordKind::Daily, 1, 24));
    assert_eq!(records_of(&daily), (5, 48, vec![5, 24, 48]));
    let none = ask(&mut world, ask_records(4, RecordKind::Daily, 49, 24));
    assert_eq!(records_of(&none), (5, 48, vec![]));
    // Next time only what is new.
    world.meter.heard.clear();
    world.meter.records.push(record(METER, 61));
    world.run(61_000);
    let asked: Vec<u16> = world
        .meter
        .heard
        .iter()
        .map(|(identifier, _)| *identifier)
        .collect();
    assert_eq!(asked, [0x810A, 0x901F, 0xA204, 0xA203]);
    let hourly = ask(&mut world, ask_records(5, RecordKind::Hourly, 61, 1));
    assert_eq!(records_of(&hourly), (5, 61, vec![61]));
}

#[test]
fn records_survive_a_reboot_and_are_not_fetched_again() {
    let mut world = World::new();
    world.paired = true;
    world.meter.records = (1..=30).map(|number| record(METER, number)).collect();
    world.run(20_000);
    world.reboot();
    world.meter.heard.clear();
    world.run(5_000);
    assert!(
        world
            .meter
            .heard
            .iter()
            .all(|(identifier, _)| *identifier != 0xA203)
    );
    let hourly = ask(&mut world, ask_records(1, RecordKind::Hourly, 30, 24));
    assert_eq!(records_of(&hourly), (1, 30, vec![30]));
}

#[test]
fn a_record_number_beyond_what_the_meter_keeps_is_not_stored() {
    let mut world = World::new();
    world.paired = true;
    world.meter.records = vec![record(METER, 1), record(METER, 2)];
    world.meter.forged = Some(record(METER, 70_000));
    world.run(5_000);
    let report = ask(&mut world, request(1, Operation::Card));
    assert_eq!(CardReport::parse(&report.body).unwrap().hourly, (0, 0));
    world.meter.forged = None;
    world.run(61_000);
    let hourly = ask(&mut world, ask_records(2, RecordKind::Hourly, 0, 24));
    assert_eq!(records_of(&hourly), (1, 2, vec![1, 2]));
}

#[test]
fn card_tells_what_it_is_and_knows() {
    let mut world = World::new();
    world.meter.always = Mood::Deaf;
    let fresh = ask(&mut world, request(1, Operation::Card));
    let report = CardReport::parse(&fresh.body).unwrap();
    assert_eq!(
        (report.firmware, report.meter, report.answered_s_ago),
        ([0, 1, 0], None, None)
    );
    assert_eq!((report.daily, report.hourly), ((0, 0), (0, 0)));
    assert!(!info(&world).state.contains(CardState::METER_ANSWERED));
    world.meter.always = Mood::Honest;
    world.meter.records = vec![record(METER, 9)];
    world.run(90_000);
    let later = ask(&mut world, request(2, Operation::Card));
    let report = CardReport::parse(&later.body).unwrap();
    assert_eq!(report.meter, Some(METER.parse().unwrap()));
    assert!(report.answered_s_ago.unwrap() <= 60);
    assert_eq!((report.daily, report.hourly), ((9, 9), (9, 9)));
}

#[test]
fn status_and_history_need_pairing_and_delivery_does_not() {
    let mut world = World::new();
    let ask_status = request(1, Operation::Status(ask_bytes(METER, [3; 8])));
    let refused = ask(&mut world, ask_status.clone());
    assert_eq!(refused.status, Status::PairingRequired);
    let refused = ask(&mut world, ask_records(2, RecordKind::Daily, 1, 1));
    assert_eq!(refused.status, Status::PairingRequired);
    assert!(info(&world).state.contains(CardState::NEEDS_PAIRING));
    assert_eq!(
        ask(&mut world, deliver(3, &token(METER, 8))).status,
        Status::Ok
    );
    world.tell(Event::LinkEncrypted);
    let answer = ask(&mut world, ask_status);
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(
        answer.body.as_slice(),
        status_bytes(METER.parse().unwrap(), [3; 8])
    );
    // The next link is not paired because this one was.
    world.cut_link();
    let refused = ask(&mut world, ask_records(4, RecordKind::Daily, 1, 1));
    assert_eq!(refused.status, Status::PairingRequired);
}

#[test]
fn a_delivery_is_answered_again_from_the_flash() {
    let mut world = World::new();
    let first = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!((first.status, first.body.len()), (Status::Ok, 58));
    assert_eq!(first.body[10], 0, "applied");
    world.reboot();
    world.meter.heard.clear();
    let again = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(again, first);
    let recalled = ask(&mut world, request(2, Operation::Result(RequestId([1; 8]))));
    let recall = Recall::parse(&recalled.body).unwrap();
    assert_eq!(
        (recall.status, recall.body),
        (Status::Ok, first.body.as_slice())
    );
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
    let other = ask(&mut world, deliver(1, &token(METER, 9)));
    assert_eq!(other.status, Status::Conflict);
    let unknown = ask(&mut world, request(3, Operation::Result(RequestId([9; 8]))));
    assert_eq!(unknown.status, Status::NotFound);
    // Under another id the same token goes to the meter again, which says "known".
    let repeated = ask(&mut world, deliver(4, &token(METER, 8)));
    assert_eq!(repeated.body[10], 1, "duplicate");
}

#[test]
fn what_is_no_token_or_for_another_meter_never_reaches_the_meter() {
    let mut world = World::new();
    world.paired = true;
    world.run(2_000);
    let good = token(METER, 8);
    for broken in [
        &good[..55],
        &good[..29],
        &[0; 56],
        &[good.as_slice(), &[0]].concat(),
    ] {
        assert_eq!(
            ask(&mut world, deliver(1, broken)).status,
            Status::Malformed
        );
    }
    let foreign = ask(&mut world, deliver(2, &token(OTHER_METER, 8)));
    assert_eq!(foreign.status, Status::WrongMeter);
    assert_eq!(hex::encode(&foreign.body), METER);
    let foreign = request(3, Operation::Status(ask_bytes(OTHER_METER, [3; 8])));
    assert_eq!(ask(&mut world, foreign).status, Status::WrongMeter);
    let rubbish = ask(&mut world, request(4, Operation::Status([0; 18])));
    assert_eq!(rubbish.status, Status::Malformed);
    assert!(world.meter.delivered.is_empty());
    let nothing = ask(&mut world, request(5, Operation::Result(RequestId([2; 8]))));
    assert_eq!(nothing.status, Status::NotFound);
}

#[test]
fn a_token_for_another_meter_that_came_before_the_meter_was_known_ends_as_wrong_meter() {
    let mut world = World::new();
    world.paired = true;
    // Boot and connect at once: the meter has not told its number yet.
    world
        .phone
        .plan
        .push_back(deliver(2, &token(OTHER_METER, 8)));
    world.meter.always = Mood::Confused;
    world.connect();
    world.finish();
    let answer = world.phone.answers.pop().unwrap();
    assert_eq!(answer.status, Status::WrongMeter);
    assert!(world.meter.delivered.is_empty());
    assert!(!info(&world).state.contains(CardState::TOKEN_WAITS));
}

#[test]
fn a_card_that_meets_a_silent_meter_learns_its_number_soon_after() {
    let mut world = World::new();
    world.meter.always = Mood::Deaf;
    world.run(10_000);
    assert_eq!(world.card.as_ref().unwrap().meter_number(), None);
    world.meter.always = Mood::Honest;
    world.run(20_000);
    let number = world.card.as_ref().unwrap().meter_number();
    assert_eq!(number, Some(world.meter.number));
}

#[test]
fn a_silent_meter_gets_the_token_later_without_any_phone() {
    let mut world = World::new();
    world.meter.always = Mood::Deaf;
    let answer = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(answer.status, Status::MeterSilent);
    assert!(info(&world).state.contains(CardState::TOKEN_WAITS));
    let waits = ask(&mut world, request(2, Operation::Result(RequestId([1; 8]))));
    assert_eq!(
        Recall::parse(&waits.body).unwrap().status,
        Status::MeterSilent
    );
    world.cut_link();
    world.run(600_000);
    world.reboot();
    world.meter.always = Mood::Honest;
    world.run(120_000);
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
    assert!(!info(&world).state.contains(CardState::TOKEN_WAITS));
    let done = ask(&mut world, request(3, Operation::Result(RequestId([1; 8]))));
    assert_eq!(Recall::parse(&done.body).unwrap().status, Status::Ok);
}

#[test]
fn tries_grow_rare_while_the_meter_is_silent_and_begin_at_once_when_it_is_back() {
    // The meter comes back anywhere between two tries.
    for offset_ms in [0, 150_000, 300_000, 450_000] {
        silent_for_long(offset_ms);
    }
}

fn silent_for_long(offset_ms: u64) {
    let mut world = World::new();
    world.meter.always = Mood::Deaf;
    assert_eq!(
        ask(&mut world, deliver(1, &token(METER, 8))).status,
        Status::MeterSilent
    );
    world.cut_link();
    world.meter.woken = 0;
    world.run(3_600_000);
    // 60 readings of three tries each, and a dozen for the token.
    assert!(
        (180..240).contains(&world.meter.woken),
        "woken {} times",
        world.meter.woken
    );
    world.run(offset_ms);
    world.meter.always = Mood::Honest;
    world.run(61_000);
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
}

#[test]
fn without_a_serial_line_the_meter_is_silent_at_once() {
    let mut world = World::new();
    world.tell(Event::SerialClosed);
    let before = world.now;
    let answer = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(answer.status, Status::MeterSilent);
    assert!(world.now - before < 2_000);
    world.run(10_000);
    world.tell(Event::SerialOpened);
    world.run(5_000);
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
}

#[test]
fn a_line_that_closes_in_the_middle_of_a_question_leaves_the_token_waiting() {
    let mut world = World::new();
    world.run(2_000);
    world.meter.always = Mood::Deaf;
    world.phone.plan.push_back(deliver(1, &token(METER, 8)));
    world.run(1_000);
    world.tell(Event::SerialClosed);
    world.run(100);
    assert_eq!(
        world.phone.answers.pop().unwrap().status,
        Status::MeterSilent
    );
    world.meter.always = Mood::Honest;
    world.tell(Event::SerialOpened);
    world.run(5_000);
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
}

#[test]
fn a_refusal_is_final_and_told_with_its_code() {
    for (code, detail) in [(1, 0), (3, 2), (6, 0)] {
        let mut world = World::new();
        world.run(5_000);
        world.meter.always = Mood::Error(code, detail);
        let refused = ask(&mut world, deliver(1, &token(METER, 8)));
        assert_eq!(refused.status, Status::MeterRefused);
        let generation = detail;
        assert_eq!(
            Refusal::parse(&refused.body),
            Ok(Refusal { code, generation })
        );
        world.meter.always = Mood::Honest;
        assert_eq!(ask(&mut world, deliver(1, &token(METER, 8))), refused);
        assert!(world.meter.delivered.is_empty());
    }
}

#[test]
fn codes_that_say_nothing_about_the_token_are_not_final() {
    let mut world = World::new();
    world.run(5_000);
    world
        .meter
        .moods
        .extend([Mood::Error(0x10, 0), Mood::Error(0x55, 0)]);
    let answer = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(answer.status, Status::MeterGarbled);
    world.run(60_000);
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
}

#[test]
fn lost_late_garbled_and_stray_answers_cost_tries_not_the_delivery() {
    for moods in [
        [Mood::Lost, Mood::Lost],
        [Mood::Garbled, Mood::Lost],
        [Mood::Late, Mood::Garbled],
        [Mood::Deaf, Mood::Confused],
    ] {
        let mut world = World::new();
        world.run(5_000);
        world.meter.heard.clear();
        world.meter.moods.extend(moods);
        let answer = ask(&mut world, deliver(1, &token(METER, 8)));
        assert_eq!(answer.status, Status::Ok, "{moods:?}");
        // The same question again, not a new one.
        let tries: Vec<_> = world
            .meter
            .heard
            .iter()
            .filter(|(id, _)| *id == 0xA201)
            .collect();
        assert!(
            tries.iter().all(|(_, serial)| *serial == tries[0].1),
            "{moods:?}"
        );
        assert!(
            world
                .meter
                .delivered
                .iter()
                .all(|bytes| *bytes == token(METER, 8))
        );
    }
}

#[test]
fn an_answer_that_answers_something_else_is_garbled() {
    for mood in [Mood::Nonsense, Mood::Mixed] {
        answers_garbled(mood);
    }
}

fn answers_garbled(mood: Mood) {
    let mut world = World::new();
    world.paired = true;
    world.meter.records = vec![record(METER, 1)];
    world.run(5_000);
    world.meter.records.push(record(METER, 2));
    world.meter.always = mood;
    world.run(60_000);
    let report = ask(&mut world, request(3, Operation::Card));
    assert_eq!(CardReport::parse(&report.body).unwrap().hourly, (1, 1));
    let answer = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(answer.status, Status::MeterGarbled);
    assert!(info(&world).state.contains(CardState::TOKEN_WAITS));
    let ask_status = request(2, Operation::Status(ask_bytes(METER, [3; 8])));
    assert_eq!(
        ask(&mut world, ask_status.clone()).status,
        Status::MeterGarbled
    );
    world.meter.always = Mood::Honest;
    assert_eq!(ask(&mut world, ask_status).status, Status::Ok);
    assert_eq!(
        ask(&mut world, deliver(1, &token(METER, 8))).status,
        Status::Ok
    );
}

#[test]
fn a_second_request_while_one_is_under_way_is_busy() {
    let mut world = World::new();
    world.run(5_000);
    world.meter.always = Mood::Deaf;
    world.phone.plan.push_back(deliver(1, &token(METER, 8)));
    world.run(1_000);
    let now = world.now;
    world.phone.push_in(&request(2, Operation::Card), now);
    world.run(100);
    let busy = world.phone.answers.pop().unwrap();
    assert_eq!((busy.id, busy.status), (RequestId([2; 8]), Status::Busy));
    world.run(20_000);
    let answer = world.phone.answers.pop().unwrap();
    assert_eq!(
        (answer.id, answer.status),
        (RequestId([1; 8]), Status::MeterSilent)
    );
}

#[test]
fn a_flash_that_fails_is_told_and_nothing_reaches_the_meter() {
    let mut world = World::new();
    world.run(5_000);
    let dying = world.flash().cut_after(100, ErasePattern::Forward);
    let mut world = World::with_flash(dying);
    world.let_it_fail = true;
    world.run(5_000);
    let answer = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(answer.status, Status::StorageFailed);
    world.run(60_000);
    assert!(world.meter.delivered.is_empty());
}

#[test]
fn eight_tokens_may_wait_and_a_ninth_is_refused() {
    let mut world = World::new();
    world.run(5_000);
    world.meter.always = Mood::Deaf;
    for number in 1..=8 {
        let answer = ask(&mut world, deliver(number, &token(METER, number.into())));
        assert_eq!(answer.status, Status::MeterSilent);
    }
    assert_eq!(
        ask(&mut world, deliver(9, &token(METER, 9))).status,
        Status::StorageFailed
    );
    world.meter.always = Mood::Honest;
    world.run(900_000);
    assert_eq!(world.meter.delivered.len(), 8);
    assert_eq!(
        ask(&mut world, deliver(9, &token(METER, 9))).status,
        Status::Ok
    );
}

#[test]
fn a_card_moved_to_another_meter_follows_it_and_keeps_the_first_ones_token() {
    let mut world = World::new();
    world.paired = true;
    world.meter.records = (1..=20).map(|number| record(METER, number)).collect();
    world.run(20_000);
    world.meter.always = Mood::Deaf;
    let waits = ask(&mut world, deliver(1, &token(METER, 8)));
    assert_eq!(waits.status, Status::MeterSilent);
    world.meter.always = Mood::Honest;
    world.meter.number = OTHER_METER.parse().unwrap();
    world.meter.records = (3..=4).map(|number| record(OTHER_METER, number)).collect();
    world.run(200_000);
    let card = world.card.as_ref().unwrap();
    assert_eq!(card.meter_number(), Some(OTHER_METER.parse().unwrap()));
    assert!(world.meter.delivered.is_empty());
    let hourly = ask(&mut world, ask_records(2, RecordKind::Hourly, 0, 24));
    assert_eq!(records_of(&hourly), (3, 4, vec![3, 4]));
    assert_eq!(
        ask(&mut world, deliver(3, &token(OTHER_METER, 5))).status,
        Status::Ok
    );
    // Back again: the token that waited goes in.
    world.meter.number = METER.parse().unwrap();
    world.meter.records.clear();
    world.meter.delivered.clear();
    world.run(1_500_000);
    assert_eq!(world.meter.delivered, [token(METER, 8)]);
}

#[test]
fn one_noisy_answer_does_not_make_it_another_meter() {
    let mut world = World::new();
    world.meter.records = vec![record(METER, 1)];
    world.run(5_000);
    // Only the first question after a minute meets the other number.
    world.run(54_000);
    world.meter.number = OTHER_METER.parse().unwrap();
    let until = world.now + 10_000;
    while world.meter.heard.len() < 5 && world.now < until {
        world.run(10);
    }
    world.run(30);
    world.meter.number = METER.parse().unwrap();
    world.run(10_000);
    let card = world.card.as_ref().unwrap();
    assert_eq!(card.meter_number(), Some(METER.parse().unwrap()));
}

#[test]
fn links_that_do_nothing_are_dropped() {
    // No hello.
    let mut world = World::new();
    world.tell(Event::LinkConnected { att_mtu: 247 });
    world.run(9_990);
    assert_eq!(world.disconnects, 0);
    world.run(20);
    assert_eq!(world.disconnects, 1);
    // A hello and a request, and then nothing.
    let mut world = World::new();
    assert_eq!(
        ask(&mut world, request(1, Operation::Card)).status,
        Status::Ok
    );
    world.run(29_000);
    assert_eq!(world.disconnects, 0);
    assert_eq!(
        ask(&mut world, request(2, Operation::Card)).status,
        Status::Ok
    );
    world.run(29_000);
    assert_eq!(world.disconnects, 0);
    world.run(2_000);
    assert_eq!(world.disconnects, 1);
}

#[test]
fn indications_that_fail_or_are_not_confirmed_end_the_link() {
    let mut world = World::new();
    world.mute = true;
    world.phone.plan.push_back(request(1, Operation::Card));
    world.run(4_000);
    assert_eq!(world.disconnects, 0);
    world.run(3_000);
    assert_eq!(world.disconnects, 1);
    let mut world = World::new();
    world.phone.plan.push_back(request(1, Operation::Card));
    world.run(320);
    world.tell(Event::IndicationFailed);
    world.run(10);
    assert_eq!(world.disconnects, 1);
}

#[test]
fn a_second_hello_gets_no_answer_to_the_first_ones_request() {
    let mut world = World::new();
    world.run(5_000);
    world.meter.always = Mood::Deaf;
    world.phone.plan.push_back(deliver(1, &token(METER, 8)));
    world.run(1_000);
    world.phone.plan.clear();
    let now = world.now;
    world.phone.hello_again(now);
    world.run(15_000);
    assert!(world.phone.answers.is_empty());
    world.meter.always = Mood::Honest;
    let answer = ask(&mut world, request(2, Operation::Result(RequestId([1; 8]))));
    assert_eq!(answer.status, Status::Ok);
}

#[test]
fn small_values_do_as_well() {
    let mut world = World::new();
    world.phone.value_max = 20;
    world.paired = true;
    world.meter.records = (1..=30).map(|number| record(METER, number)).collect();
    world.run(20_000);
    let hourly = ask(&mut world, ask_records(1, RecordKind::Hourly, 1, 24));
    assert_eq!(records_of(&hourly), (1, 30, (1..=24).collect()));
    assert_eq!(
        ask(&mut world, deliver(2, &token(METER, 8))).status,
        Status::Ok
    );
    assert_eq!(world.phone.resets, 0);
}
