//! What comes too late, from an attempt that was given up or about another token, changes nothing; and when
//! the next question comes.

use gas_api::codes;
use gas_api::pay::Way;
use gas_token::{ReceiptResult, ShortTag};
use gas_vend::{Effect, Event, Refused, Vend};

use crate::facts::{NOW, issued, new_vend, over_limit, payment, quote_hash, receipt, request, why};

fn live(vend: Vend, event: Event) -> Vend {
    vend.apply(event, NOW).unwrap().vend
}

fn after(events: impl IntoIterator<Item = Event>) -> Vend {
    events.into_iter().fold(new_vend(), live)
}

fn changes_nothing(vend: &Vend, event: Event) {
    let applied = vend.apply(event, NOW).unwrap();
    assert_eq!(applied.vend, *vend);
    assert_eq!(applied.effects, []);
}

fn asked() -> Event {
    Event::TenderAsked {
        quote_hash: quote_hash(),
        way: Way::Native,
    }
}

fn reserved() -> [Event; 2] {
    [asked(), Event::Reserved { attempt: 1 }]
}

fn opened() -> Event {
    Event::TenderOpened {
        request: request(20_000),
    }
}

#[test]
fn an_older_attempt_to_reserve_says_nothing_about_the_newest() {
    let refused = |attempt| Event::ReservationRefused {
        attempt,
        why: over_limit(),
    };
    let first = [asked(), refused(1), Event::NoTender { attempt: 1 }];
    let second = [asked(), refused(2)];
    let looking = after(first.into_iter().chain(second));
    assert!(looking.awaits_look());
    changes_nothing(&looking, Event::NoTender { attempt: 1 });
}

#[test]
fn an_older_attempt_to_issue_says_nothing_about_the_newest() {
    let refused = |attempt| Event::SaleRefused {
        attempt,
        why: why(codes::OVER_LIMIT),
    };
    let paid = [opened(), Event::PaymentConfirmed(payment(|_| {}))];
    let paid = after(reserved().into_iter().chain(paid));
    let third = [refused(1), refused(2)].into_iter().fold(paid, live);
    changes_nothing(&third, refused(1));
}

/// It was paid in a life of this cloud that its backup does not remember.
#[test]
fn nobody_is_shown_a_code_for_what_was_issued_before() {
    let vend = after([asked(), Event::IssuedBefore { attempt: 1 }, opened()]);
    assert_eq!(vend.payment_request(), None);
    let vend = after(reserved().into_iter().chain([opened()]));
    assert_eq!(vend.payment_request(), Some(&request(20_000)));
}

#[test]
fn a_meter_that_knows_another_token_of_this_sequence_does_not_know_this_one() {
    let paid = [opened(), Event::PaymentConfirmed(payment(|_| {}))];
    let token = [Event::TokenIssued(issued(|_| {}))];
    let vend = after(reserved().into_iter().chain(paid).chain(token));
    let receipt = receipt(|receipt| {
        receipt.result = ReceiptResult::Duplicate;
        receipt.state.last_tag = ShortTag([0; 4]);
    });
    let refused = vend.apply(Event::ReceiptDelivered { receipt }, NOW);
    assert_eq!(refused.unwrap_err(), Refused::ReceiptOfAnotherToken);
}

/// Seconds until the question after each of the first 20.
fn waits(vend: &Vend) -> Vec<i64> {
    let wait = |number| {
        let event = Event::StillUnpaid {
            number: Some(number),
        };
        let effects = vend.apply(event, NOW).unwrap().effects;
        let [
            Effect::AskPayment {
                number: next,
                due_at,
                ..
            },
        ] = effects[..]
        else {
            panic!("one question follows another: {effects:?}");
        };
        assert_eq!(next, number + 1);
        (due_at.millis() - NOW.millis()) / 1_000
    };
    (0..20).map(wait).collect()
}

#[test]
fn questions_are_dense_at_first_and_never_end() {
    let early = [10; 12];
    let late = [20, 40, 80, 160, 320, 600, 600, 600];
    let open = after(reserved().into_iter().chain([opened()]));
    assert_eq!(waits(&open), [early.as_slice(), &late].concat());
    // While there is no code yet, somebody waits for it.
    let opening = after(reserved());
    assert_eq!(
        waits(&opening),
        [[1; 10].as_slice(), &[10; 2], &late].concat()
    );
}
