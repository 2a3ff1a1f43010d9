//! Every type that a page reads is read by `gas_json` as by serde: whatever is missing, unknown, there twice or
//! of another kind.

use std::fmt::Debug;

use gas_api::cloud::{Vend, VendState};
use gas_api::{Keys, Problem, PublicKeyHex, Want};
use gas_json::FromJson;
use gas_phone::{History, ReceiptFile, TopUp};
use gas_statement::{
    Evidence, Issue, MeterReplaced, Payment, Quote, RefundOrder, Refunded, ReplacementEvidence,
    Settlement, Sha256Digest,
};
use gas_units::{MeterNumber, Money, ReplacementId, Unit, Volume};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::{
    NOW, WANT, meter, obstacle, other_meter, papers, problem, receipt, status, vend_id,
};

/// What is done to one value of a text, counted from its beginning.
#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    /// It is this instead.
    Is(&'a str),
    /// With its key, it is not there.
    Missing,
    /// With its key, it is there twice.
    Twice,
    /// Its key is another one.
    Renamed,
    /// An object holds one more.
    More(&'a str),
}

const OTHERS: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0",
    "256",
    "65536",
    "4294967296",
    "18446744073709551615",
    r#""""#,
    r#""00ff""#,
    r#""quoted""#,
    r#"[1,2]"#,
    "{}",
    r#"{"quoted":null}"#,
];

const CHANGES: [Change<'_>; 5] = [
    Change::Missing,
    Change::Twice,
    Change::Renamed,
    Change::More(r#""more":[{"x":null}]"#),
    Change::More(r#""":0"#),
];

/// The text of `value` with this change at `at`, which counts down.
fn print(value: &Value, at: &mut usize, change: Change<'_>, out: &mut String) {
    let mut is_here = || {
        let here = *at == 0;
        *at = at.wrapping_sub(1);
        here
    };
    match (is_here().then_some(change), value) {
        // Where a list stands for a struct, the two differ on purpose.
        (Some(Change::Is(other)), value) if !(value.is_object() && other.starts_with('[')) => {
            out.push_str(other);
        }
        (_, Value::Array(values)) => {
            out.push('[');
            for (nth, value) in values.iter().enumerate() {
                out.push_str(if nth > 0 { "," } else { "" });
                print(value, at, change, out);
            }
            out.push(']');
        }
        (here, Value::Object(entries)) => {
            let mut written = Vec::new();
            for (key, value) in entries {
                let change_here = (*at == 0).then_some(change);
                let mut text = String::new();
                print(value, at, change, &mut text);
                let key = match change_here {
                    Some(Change::Missing) => continue,
                    Some(Change::Renamed) => "renamed",
                    _ => key,
                };
                let entry = format!("{}:{text}", json!(key));
                if matches!(change_here, Some(Change::Twice)) {
                    written.push(entry.clone());
                }
                written.push(entry);
            }
            if let Some(Change::More(more)) = here {
                written.push(more.to_owned());
            }
            out.push_str(&format!("{{{}}}", written.join(",")));
        }
        (_, value) => out.push_str(&value.to_string()),
    }
}

fn same<T: DeserializeOwned + FromJson + PartialEq + Debug>(json: &str) -> bool {
    let ours = gas_json::from_slice::<T>(json.as_bytes());
    let theirs = serde_json::from_str::<T>(json);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{json}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{json}: {ours:?}, but {theirs:?}"),
    }
    ours.is_ok()
}

/// Each change at each place of each value; how many of the changed texts were read.
fn same_however_changed<T>(values: &[Value]) -> usize
where
    T: DeserializeOwned + FromJson + PartialEq + Debug,
{
    let mut read = 0;
    for value in values {
        let text = value.to_string();
        assert!(same::<T>(&text), "{text}");
        for change in OTHERS.map(Change::Is).into_iter().chain(CHANGES) {
            for place in 0.. {
                let (mut at, mut changed) = (place, String::new());
                print(value, &mut at, change, &mut changed);
                if at <= place {
                    // It has no such place.
                    break;
                }
                read += usize::from(same::<T>(&changed));
            }
        }
    }
    read
}

fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

/// One with everything in it.
fn whole_vend() -> Value {
    let mut vend = papers().vend(VendState::Refunded, 9);
    vend.payment_request = papers().vend(VendState::TenderRequested, 3).payment_request;
    let link = Some("https://example.invalid/pay".to_owned());
    vend.payment_request.as_mut().unwrap().link = link;
    vend.consented_at_ms = Some(NOW);
    vend.obstacle = Some(obstacle("tender_open"));
    vend.obstacle.as_mut().unwrap().vend_id = Some(vend_id());
    value(vend)
}

fn whole_problem() -> Value {
    let mut problem = problem("tender_open");
    problem.hint = "Wait.".to_owned();
    problem.vend_id = Some(vend_id());
    problem.waiting = Some(status());
    value(problem)
}

fn top_ups() -> [Value; 2] {
    let new = value(TopUp::new(vend_id(), meter(), WANT, NOW));
    let mut whole = new.clone();
    let more = json!({
        "status": status(), "vend": whole_vend(), "agreed_at_ms": NOW, "confirmed_at_ms": NOW,
        "delivery": { "id": "0011223344556677", "card_has_token": true, "in_vain": 3 },
        "outdated": true, "card_missed": true, "receipt": receipt(), "receipt_uploaded": true,
        "behind": { "at": { "state": "quoted", "version": 3, "refused": true } },
        "led_on": true, "ended": { "refused": whole_problem() },
    });
    let more = more.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(more);
    [new, whole]
}

#[test]
fn what_the_page_saves_is_read_alike() {
    let [new, whole] = top_ups();
    let mut other = whole.clone();
    (other["behind"], other["ended"]) = (json!("unknown"), json!("declined"));
    assert!(same_however_changed::<TopUp>(&[new, whole, other]) > 100);
    let history = json!({
        "meter": meter(), "records": { "1": "00", "7": "ff" }, "uploaded": 1, "fetched": 7, "begun": [7, 1],
    });
    assert!(same_however_changed::<History>(&[value(History::new(meter())), history]) > 20);
    let file = json!({
        "format": "pilotlight-receipt-1", "vend_id": vend_id(), "meter": meter(), "quote": "a",
        "payment": "b", "issue": "c", "settlement": "d", "token": "00", "receipt": "01",
        "refund_order": "e", "refunded": "f",
    });
    assert!(same_however_changed::<ReceiptFile>(&[file]) > 20);
}

#[test]
fn what_servers_send_is_read_alike() {
    let quoted = value(papers().vend(VendState::Quoted, 1));
    assert!(same_however_changed::<Vend>(&[quoted, whole_vend()]) > 100);
    assert!(same_however_changed::<Problem>(&[value(problem("internal")), whole_problem()]) > 20);
    let key = Some(PublicKeyHex([7; 32]));
    let keys = Keys {
        company: key,
        pay: key,
    };
    assert!(same_however_changed::<Keys>(&[value(keys)]) > 5);
    let volume = Want::VolumeCentiM3(Volume::from_centi_m3(5));
    same_however_changed::<Want>(&[value(WANT), value(volume)]);
}

#[test]
fn statements_are_read_alike() {
    let papers = papers();
    assert!(same_however_changed::<Quote>(&[value(papers.quote.statement())]) > 20);
    same_however_changed::<Payment>(&[value(papers.payment.statement())]);
    same_however_changed::<Issue>(&[value(papers.issue.statement())]);
    let settled = papers.settlement.statement();
    let mut carried = settled.clone();
    carried.evidence = Evidence::CarriedOver {
        new_meter: other_meter(),
        replacement_id: ReplacementId::from_parts(7, [7; 10]),
        seq: 9,
    };
    same_however_changed::<Settlement>(&[value(settled), value(carried)]);
    same_however_changed::<RefundOrder>(&[value(papers.order.statement())]);
    same_however_changed::<Refunded>(&[value(papers.refunded.statement())]);
    let shown = replaced(other_meter(), 7, ReplacementEvidence::Shown);
    let dead = replaced(
        other_meter(),
        7,
        ReplacementEvidence::DeclaredDead {
            approved_by: ["one".to_owned(), "two".to_owned()],
            reason: "burnt".to_owned(),
        },
    );
    same_however_changed::<MeterReplaced>(&[value(shown), value(dead)]);
}

fn replaced(new_meter: MeterNumber, credit: u32, evidence: ReplacementEvidence) -> MeterReplaced {
    MeterReplaced {
        replacement_id: ReplacementId::from_parts(7, [7; 10]),
        meter: meter(),
        new_meter,
        unit: Unit::CentiCubicMetre,
        credit,
        seq: 9,
        evidence,
        message_sha256: Sha256Digest::of(b"message"),
        replaced_at_ms: NOW,
    }
}

proptest! {
    /// Two changes at once, anywhere in the largest of them, and one byte that is another one.
    #[test]
    fn any_changes_are_read_alike(
        first in 0..90_usize, other in 0..OTHERS.len(), second in 0..90_usize, change in 0..CHANGES.len(),
        byte in 0x20_u8..0x7f, place in any::<prop::sample::Index>(),
    ) {
        let [_, whole] = top_ups();
        let (mut once, mut twice) = (String::new(), String::new());
        print(&whole, &mut { first }, Change::Is(OTHERS[other]), &mut once);
        same::<TopUp>(&once);
        let once: Value = serde_json::from_str(&once).unwrap();
        print(&once, &mut { second }, CHANGES[change], &mut twice);
        same::<TopUp>(&twice);
        let mut bytes = whole.to_string().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let damaged = String::from_utf8(bytes).unwrap();
        // An exponent or a point: a number that serde ignores where it does not know the field.
        prop_assume!(!matches!(byte, b'.' | b'e' | b'E' | b'-'));
        same::<TopUp>(&damaged);
    }

    #[test]
    fn amounts_of_any_size_are_read_alike(amount in any::<i64>(), volume in any::<u32>()) {
        prop_assert!(same::<Want>(&value(Want::AmountFen(Money::from_fen(amount))).to_string()));
        let volume = Want::VolumeCentiM3(Volume::from_centi_m3(volume));
        prop_assert!(same::<Want>(&value(volume).to_string()));
    }
}
