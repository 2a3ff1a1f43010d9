//! Floods of receipts: bounded, and the true one still comes through.

use gas_token::{Receipt, Tag, Tagged};
use gas_units::UnixMillis;
use gas_vend::{Effect, Event, Refused, Vend};

use crate::facts::{NOW, issued, new_vend, payment, receipt, why};

const HOUR_MS: i64 = 3_600_000;

fn forged(number: u32) -> Tagged<Receipt> {
    let mut tag = [0; 16];
    tag[..4].copy_from_slice(&number.to_le_bytes());
    Tagged {
        tag: Tag(tag),
        ..receipt(|_| {})
    }
}

fn deliver(
    vend: &Vend,
    receipt: Tagged<Receipt>,
    now: UnixMillis,
) -> Result<(Vend, Vec<Effect>), Refused> {
    let applied = vend.apply(Event::ReceiptDelivered { receipt }, now)?;
    Ok((applied.vend, applied.effects))
}

/// A vend that was shown a thousand forged receipts at this time.
fn flooded(now: UnixMillis) -> Vend {
    let paid = Event::PaymentConfirmed(payment(|_| {}));
    let mut vend = new_vend().apply(paid, NOW).unwrap().vend;
    let token = Event::TokenIssued(issued(|_| {}));
    vend = vend.apply(token, NOW).unwrap().vend;
    for number in 0..1_000 {
        let (next, effects) = deliver(&vend, forged(number), now).unwrap();
        assert_eq!(effects.len(), 1);
        vend = next;
    }
    vend
}

#[test]
fn beyond_a_thousand_receipts_one_an_hour_is_reported() {
    let mut vend = flooded(NOW);
    let mut now = NOW;
    for number in 1_000..1_005 {
        let soon = now.plus_millis(HOUR_MS - 1);
        let refused = deliver(&vend, forged(number), soon);
        assert_eq!(refused.unwrap_err(), Refused::TooManyReceipts);
        now = now.plus_millis(HOUR_MS);
        let (next, effects) = deliver(&vend, forged(number), now).unwrap();
        assert!(
            matches!(&effects[..], [Effect::ReportReceipt { report, .. }] if *report == number + 1)
        );
        vend = next;
    }
}

#[test]
fn a_clock_that_was_ahead_does_not_shut_the_door() {
    let vend = flooded(NOW.plus_millis(1_000 * HOUR_MS));
    assert!(deliver(&vend, forged(1_000), NOW).is_ok());
}

#[test]
fn what_the_company_does_not_believe_for_now_is_asked_again_for_ever() {
    let vend = flooded(NOW);
    let not_now = Event::ReceiptNotBelieved {
        report: 1_000,
        why: why(gas_api::codes::METER_FROZEN),
    };
    let effects = vend.apply(not_now, NOW).unwrap().effects;
    let [again] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(again.due_at(NOW), NOW.plus_millis(HOUR_MS));
    assert!(again.id().ends_with(":1001"));
}
