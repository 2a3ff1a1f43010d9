//! Any events in any order: nothing is lost, and what is missing can always be made good.

use gas_api::cloud::{Vend, VendState};
use gas_api::{HexBytes, codes};
use gas_link::{Operation, OperationCode, Recall, Request, RequestId, Response, Status};
use gas_phone::{Ending, Event, EventError, Step, TopUp};
use proptest::prelude::*;

use crate::top_up::restored;
use crate::world::{
    NOW, Papers, WANT, meter, obstacle, other_meter, papers, problem, receipt, receipt_again,
    status, status_of, trust, vend_id,
};

/// An event before it is known which delivery is under way.
#[derive(Clone, Debug)]
enum Happening {
    Status(bool),
    /// A view of the vend's life, by its place in it.
    Unread,
    View(usize),
    Refused(&'static str),
    Agreed,
    Declined,
    Confirmed,
    Named([u8; 8]),
    /// The answer to what is being asked, or to the other question about the same delivery.
    Card {
        asked: bool,
        status: Status,
        first: bool,
    },
    /// An answer to somebody else.
    Missed,
    Stray,
}

/// Every view that an honest cloud gives of one vend, in order; with late money where `late`, taken back
/// where `back`: also as a cloud shows it that has forgotten what was taken back.
fn life(papers: &Papers, late: bool, back: bool) -> Vec<Vend> {
    let mut views = vec![];
    let mut push = |state, change: &dyn Fn(&mut Vend)| {
        let version = u32::try_from(views.len()).unwrap() + 1;
        let mut vend = papers.vend(state, version);
        change(&mut vend);
        views.push(vend);
    };
    push(VendState::Quoted, &|_| {});
    push(VendState::TenderRequested, &|vend| {
        vend.payment_request = None;
    });
    push(VendState::TenderRequested, &|_| {});
    push(VendState::TenderRequested, &|vend| {
        vend.consented_at_ms = Some(NOW);
    });
    if late {
        push(VendState::Expired, &|vend| {
            vend.consented_at_ms = Some(NOW);
        });
    }
    push(VendState::TenderConfirmed, &|_| {});
    push(VendState::TokenIssued, &|_| {});
    push(VendState::Delivered, &|_| {});
    push(VendState::Delivered, &|vend| {
        vend.obstacle = Some(obstacle(codes::MESSAGE_FORGED));
    });
    push(VendState::Delivered, &|vend| {
        vend.receipt = Some(receipt_again());
    });
    push(VendState::Accepted, &|_| {});
    if back {
        push(VendState::RefundPending, &|vend| {
            (vend.token, vend.issue) = (None, None);
            (vend.receipt, vend.settlement) = (None, None);
        });
        push(VendState::RefundPending, &|_| {});
        push(VendState::Refunded, &|_| {});
    }
    views
}

fn happening() -> impl Strategy<Value = Happening> {
    let status = prop_oneof![
        4 => Just(Status::Ok),
        4 => Just(Status::InProgress),
        1 => Just(Status::MeterSilent),
        1 => Just(Status::NotFound),
        1 => Just(Status::Conflict),
        1 => Just(Status::MeterRefused),
        1 => Just(Status::WrongMeter),
        1 => Just(Status::Busy),
        1 => Just(Status::StorageFailed),
    ];
    let refusal = prop_oneof![
        Just(codes::WRONG_STATE),
        Just(codes::NONCE_NOT_LIVE),
        Just(codes::MESSAGE_FORGED),
        Just(codes::TENDER_OPEN),
    ];
    prop_oneof![
        2 => any::<bool>().prop_map(Happening::Status),
        1 => Just(Happening::Unread),
        8 => (0..14_usize).prop_map(Happening::View),
        1 => refusal.prop_map(Happening::Refused),
        3 => Just(Happening::Agreed),
        1 => Just(Happening::Declined),
        2 => Just(Happening::Confirmed),
        3 => any::<[u8; 8]>().prop_map(Happening::Named),
        6 => (any::<bool>(), status, any::<bool>())
            .prop_map(|(asked, status, first)| Happening::Card { asked, status, first }),
        1 => Just(Happening::Stray),
        1 => Just(Happening::Missed),
    ]
}

fn receipt_of(first: bool) -> HexBytes {
    if first { receipt() } else { receipt_again() }
}

/// What the card says to a request about the delivery.
fn answer(request: &Request, status: Status, receipt: &HexBytes) -> Response {
    let body: &[u8] = if status == Status::Ok {
        &receipt.0
    } else {
        &[]
    };
    match request.operation {
        Operation::Result(_) => {
            let mut response = Response::bare(request.id, OperationCode::Result, Status::Ok);
            let recall = Recall {
                operation: OperationCode::Deliver,
                status,
                body,
            };
            response.body = recall.to_body();
            response
        }
        Operation::Deliver(_) => {
            let mut response = Response::bare(request.id, OperationCode::Deliver, status);
            response.body = body.iter().copied().collect();
            response
        }
        Operation::Card | Operation::Status(_) | Operation::Records { .. } => {
            panic!("the core never asks this: {request:?}")
        }
    }
}

/// The other question about the same delivery: DELIVER instead of RESULT, or the other way round.
fn turned(request: &Request) -> Request {
    match &request.operation {
        Operation::Result(id) => Request {
            id: *id,
            operation: Operation::Deliver(papers().token.to_bytes().into_iter().collect()),
        },
        Operation::Deliver(_) => Request {
            id: RequestId(request.id.0.map(|byte| !byte)),
            operation: Operation::Result(request.id),
        },
        Operation::Card | Operation::Status(_) | Operation::Records { .. } => {
            panic!("the core never asks this: {request:?}")
        }
    }
}

fn event(happening: &Happening, step: &Step, life: &[Vend]) -> Option<Event> {
    Some(match happening {
        Happening::Status(true) => Event::StatusRead(status()),
        Happening::Status(false) => Event::StatusRead(status_of(other_meter(), 1)),
        Happening::Unread => Event::Unread,
        Happening::View(at) => Event::Vend(life[*at % life.len()].clone()),
        Happening::Refused(code) => Event::Refused(problem(code)),
        Happening::Agreed => Event::Agreed(NOW),
        Happening::Declined => Event::Declined,
        Happening::Confirmed => Event::Confirmed(NOW),
        Happening::Missed => Event::CardMissed,
        Happening::Named(id) => Event::DeliveryNamed(RequestId(*id)),
        Happening::Card {
            asked,
            status,
            first,
        } => {
            let Step::AskCard { request, .. } = step else {
                return None;
            };
            let turned = turned(request);
            let request = if *asked { request } else { &turned };
            Event::Card(answer(request, *status, &receipt_of(*first)))
        }
        Happening::Stray => {
            let stray = Request {
                id: RequestId([0; 8]),
                operation: Operation::Result(RequestId([1; 8])),
            };
            Event::Card(answer(&stray, Status::Ok, &receipt()))
        }
    })
}

/// Whether the cloud says that the receipt is forged.
fn disbelieves(event: &Event) -> bool {
    match event {
        Event::Refused(problem) => problem.code == codes::MESSAGE_FORGED,
        Event::Vend(vend) => vend.obstacle.is_some(),
        Event::StatusRead(_)
        | Event::Unread
        | Event::Agreed(_)
        | Event::Declined
        | Event::Confirmed(_)
        | Event::DeliveryNamed(_)
        | Event::Card(_)
        | Event::CardMissed => false,
    }
}

/// By which id the card is asked to deliver, where it is.
fn delivery(step: &Step) -> Option<RequestId> {
    let Step::AskCard { request, .. } = step else {
        return None;
    };
    match request.operation {
        Operation::Result(id) => Some(id),
        Operation::Card
        | Operation::Status(_)
        | Operation::Deliver(_)
        | Operation::Records { .. } => Some(request.id),
    }
}

/// One event; everything that must hold across it.
fn live(top_up: &TopUp, event: Event) -> TopUp {
    let before = top_up.next(&trust()).unwrap();
    let mut next = top_up.clone();
    let told = next.apply(event.clone(), &trust());
    let step = next.next(&trust()).unwrap();
    assert_eq!(restored(&next), next);
    if let Err(EventError::Unexpected | EventError::Distrust(_) | EventError::Refused(_)) = &told {
        assert_eq!(next, *top_up, "{event:?}");
    }
    let distrusted = matches!(told, Err(EventError::Distrust(_)));
    assert!(!distrusted, "all of it is genuine: {told:?}");
    if let Some(known) = top_up.vend() {
        let shown = next.vend().unwrap();
        assert_eq!(shown.quote, known.quote);
        // What is proven stays proven, whatever a restored cloud has forgotten.
        assert!(known.payment.is_none() || shown.payment == known.payment);
        assert!(known.token.is_none() || shown.token == known.token);
        assert!(known.settlement.is_none() || shown.settlement == known.settlement);
        assert!(known.refund_order.is_none() || shown.refund_order == known.refund_order);
        assert!(known.refunded.is_none() || shown.refunded == known.refunded);
        if known.payment.is_some() {
            assert!(!matches!(step, Step::Offer | Step::Pay(_)), "{event:?}");
        }
    }
    if top_up.receipt().is_some() && next.receipt() != top_up.receipt() {
        assert!(next.receipt().is_none() && disbelieves(&event), "{event:?}");
    }
    // Offered once, and paid only after that.
    let pays = matches!(
        step,
        Step::OpenTender { .. } | Step::Pay(_) | Step::Confirm(_)
    );
    let paid = matches!(
        before,
        Step::OpenTender { .. } | Step::Pay(_) | Step::Confirm(_)
    );
    assert!(!(paid && step == Step::Offer), "{event:?}");
    if pays && !paid {
        // A cloud that has forgotten what was paid, or what has expired after it was agreed to, is led on.
        let led_on = |vend: &Vend| vend.payment.is_some() || vend.state == VendState::Expired;
        let agreed = before == Step::Offer || top_up.may_be_paid();
        assert!(agreed || top_up.vend().is_some_and(led_on), "{event:?}");
    }
    // An id stays until it is of no use any more.
    if let (Some(old), Some(new)) = (delivery(&before), delivery(&step)) {
        assert_eq!(old, new, "{event:?}");
    }
    next
}

/// Does what is asked for, with an honest cloud that has come so far, and a card and meter that work.
fn finish(mut top_up: TopUp, life: &[Vend]) -> TopUp {
    let last = life.last().unwrap();
    for round in 0..30_u8 {
        let at = |state: VendState| life.iter().rfind(|vend| vend.state == state).unwrap();
        let event = match top_up.next(&trust()).unwrap() {
            Step::ReadStatus => Event::StatusRead(status()),
            Step::Begin(_) => Event::Vend(life[0].clone()),
            Step::Offer => Event::Agreed(NOW),
            Step::OpenTender { .. } => Event::Vend(life[2].clone()),
            Step::Pay(_) => Event::Confirmed(NOW),
            Step::Confirm(_) => Event::Vend(at(VendState::TenderRequested).clone()),
            Step::Follow { after_version } => {
                let newer = life.iter().find(|vend| vend.version > after_version);
                Event::Vend(newer.unwrap_or(last).clone())
            }
            Step::NameDelivery => Event::DeliveryNamed(RequestId([round; 8])),
            Step::AskCard { request, .. } => {
                Event::Card(answer(&request, Status::Ok, &receipt_again()))
            }
            Step::UploadReceipt(_) | Step::End(Ending::RefundPending(_)) => {
                Event::Vend(last.clone())
            }
            Step::End(Ending::Expired) => Event::Vend(at(VendState::TenderConfirmed).clone()),
            Step::End(_) => return top_up,
        };
        top_up = live(&restored(&top_up), event);
    }
    panic!("it does not end: {:?}", top_up.next(&trust()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_events_lose_nothing_and_the_vend_can_always_be_finished(
        late in any::<bool>(),
        back in any::<bool>(),
        started in any::<bool>(),
        happenings in prop::collection::vec(happening(), 0..30),
    ) {
        let life = life(&papers(), late, back);
        let mut top_up = TopUp::new(vend_id(), meter(), WANT, NOW);
        if started {
            top_up = live(&top_up, Event::StatusRead(status()));
        }
        for happening in happenings {
            let step = top_up.next(&trust()).unwrap();
            if let Some(event) = event(&happening, &step, &life) {
                top_up = live(&top_up, event);
            }
        }
        let end = finish(top_up, &life).next(&trust()).unwrap();
        let Step::End(end) = end else {
            panic!("not the end: {end:?}");
        };
        match end {
            Ending::Accepted(file) | Ending::Refunded(file) => {
                prop_assert!(file.prove(&trust()).is_ok());
            }
            // Only before anything could be paid.
            Ending::Declined | Ending::Refused(_) => {}
            Ending::Expired => panic!("late money was not taken"),
            Ending::RefundPending(_) => panic!("the money went back, and nobody saw it"),
        }
    }
}
