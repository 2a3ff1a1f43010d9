//! Orders to give money back: handed to the payment server until its signed word is there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use gas_api::Jws;
use gas_api::company::RefundState;
use gas_api::pay::{MeterEpoch, MeterPayments, Refund, RefundWanted};
use gas_company::{Answer, Dispatch, HttpPay, PayPeer};
use gas_http::{AccessKey, Outbox as _, Peer, PeerError};
use gas_statement::{Quote, RefundOrder, Refunded, Signed, SigningKey};
use gas_units::{MeterNumber, Money, RefundId};
use rig::{Bench, company_key, pay_key, refund_id, vend};

/// What the payment server does next with an order.
#[derive(Clone, Copy)]
enum Next {
    /// Does not answer.
    Silent,
    /// Has begun.
    NotYet,
    /// Is done, says the holder of this key, by this many fen more than ordered.
    Done(u8, i64),
}

/// A payment server that does what it is told, and keeps what it was asked.
#[derive(Default)]
struct Pay {
    next: Mutex<VecDeque<Next>>,
    asked: Mutex<Vec<(RefundId, RefundWanted)>>,
}

impl Pay {
    fn answer(&self, refund_id: RefundId, wanted: RefundWanted) -> Option<Refund> {
        let order =
            Signed::<RefundOrder>::verify(&wanted.order.0, &company_key().verifying_key()).unwrap();
        self.asked.lock().unwrap().push((refund_id, wanted));
        let next = self
            .next
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Next::Silent);
        let refunded = match next {
            Next::Silent => return None,
            Next::NotYet => None,
            Next::Done(key, more) => Some(done(&order, key, more)),
        };
        Some(Refund {
            refund_id,
            vend_id: order.statement().vend_id,
            state: gas_api::pay::RefundState::Ordered,
            amount_fen: order.statement().amount_fen,
            order: Jws(order.shared_compact()),
            trouble: None,
            refunded,
        })
    }
}

fn done(order: &Signed<RefundOrder>, key: u8, more: i64) -> Jws {
    let statement = order.statement();
    let refunded = Refunded {
        refund_id: statement.refund_id,
        vend_id: statement.vend_id,
        meter: statement.meter,
        order_sha256: order.sha256(),
        provider: "wechat".to_owned(),
        provider_refund_id: "50000000382019052709732678859".to_owned(),
        amount_fen: Money::from_fen(statement.amount_fen.fen() + more),
        refunded_at_ms: statement.ordered_at_ms.plus_millis(60_000),
    };
    let signed = Signed::sign(&SigningKey::from_bytes(&[key; 32]), refunded).unwrap();
    Jws(signed.into_parts().0.into())
}

impl PayPeer for Pay {
    fn refund(&self, refund_id: RefundId, wanted: RefundWanted) -> Answer<'_, Refund> {
        Box::pin(async move {
            self.answer(refund_id, wanted).ok_or(PeerError::Timeout {
                peer: "payment",
                source: "silent".into(),
            })
        })
    }

    fn begin_epoch(&self, _: MeterNumber, _: u8) -> Answer<'_, MeterEpoch> {
        panic!("not asked for here")
    }

    fn payments(&self, _: MeterNumber) -> Answer<'_, MeterPayments> {
        panic!("not asked for here")
    }
}

/// A refund whose money is due.
async fn money_due() -> Bench {
    let mut bench = Bench::new().await;
    let quote = bench.quote(1, 5_000).await;
    let sale = bench.sell(&quote).await.unwrap();
    bench.deliver(&sale.token).await.unwrap();
    let debit = bench.ask_refund(1, 1).await.unwrap().waiting.unwrap();
    bench.deliver(&debit).await.unwrap();
    bench
}

/// Performs what is due as the runner does; tells whether it was done.
async fn perform(bench: &Bench, dispatch: &Dispatch) -> bool {
    let [due] = &dispatch.due(bench.now(), 4).await.unwrap()[..] else {
        panic!("one order waits");
    };
    let (id, attempts) = (due.id.clone(), due.attempts);
    let due = gas_http::DueEffect {
        id: id.clone(),
        attempts,
        effect: due.effect.clone(),
    };
    let performed = dispatch.perform(due).await;
    if performed.is_err() {
        dispatch.postpone(&id, attempts, bench.now()).await.unwrap();
    }
    performed.is_ok()
}

#[tokio::test]
async fn an_order_is_handed_over_until_its_money_went_back() {
    let mut bench = money_due().await;
    let pay = Arc::new(Pay::default());
    let script = [Next::Silent, Next::NotYet, Next::Done(2, 0)];
    pay.next.lock().unwrap().extend(script);
    for done in [false, false, true] {
        // A new process each time: the order is in the books.
        bench.restart().await;
        let dispatch = Dispatch::new(bench.company(), Arc::<Pay>::clone(&pay));
        let state = bench.refund(1).await.state;
        assert_eq!(state, RefundState::MoneyDue);
        assert_eq!(perform(&bench, &dispatch).await, done);
        bench.pass(5_000);
    }
    let dispatch = Dispatch::new(bench.company(), Arc::<Pay>::clone(&pay));
    assert!(dispatch.due(bench.now(), 4).await.unwrap().is_empty());
    assert_eq!(dispatch.next_due().await.unwrap(), None);
    let refund = bench.refund(1).await;
    assert_eq!(refund.state, RefundState::Refunded);
    let refunded =
        Signed::<Refunded>::verify(&refund.refunded.unwrap().0, &pay_key().verifying_key());
    assert_eq!(
        refunded.unwrap().statement().amount_fen,
        Money::from_fen(5_000)
    );

    // Each time the very same words: the order, and the quote that was paid.
    let asked = pay.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|once| *once == asked[0]));
    let (asked_for, wanted) = &asked[0];
    assert_eq!(*asked_for, refund_id(1));
    assert_eq!(Some(&wanted.order), refund.order.as_ref());
    let quote = Signed::<Quote>::verify(&wanted.quote.0, &company_key().verifying_key()).unwrap();
    assert_eq!(quote.statement().vend_id, vend(1));
}

#[tokio::test]
async fn a_word_that_is_not_the_payment_servers_or_does_not_fit_closes_nothing() {
    let bench = money_due().await;
    let pay = Arc::new(Pay::default());
    let script = [Next::Done(1, 0), Next::Done(2, -1), Next::Done(2, 0)];
    pay.next.lock().unwrap().extend(script);
    let dispatch = Dispatch::new(bench.company(), Arc::<Pay>::clone(&pay));
    for _ in 0..2 {
        assert!(!perform(&bench, &dispatch).await);
        assert_eq!(bench.refund(1).await.state, RefundState::MoneyDue);
        bench.pass(5_000);
    }
    assert!(perform(&bench, &dispatch).await);
    assert_eq!(bench.refund(1).await.state, RefundState::Refunded);
}

#[tokio::test]
async fn the_payment_server_is_asked_over_http_with_the_companys_key() {
    let bench = money_due().await;
    let double = Arc::new(Pay::default());
    double.next.lock().unwrap().push_back(Next::Done(2, 0));
    let router = Router::new()
        .route(
            "/v1/refunds/{refund_id}",
            put(
                async |State(pay): State<Arc<Pay>>,
                       Path(refund_id): Path<RefundId>,
                       headers: HeaderMap,
                       axum::Json(wanted): axum::Json<RefundWanted>| {
                    let key = headers["authorization"].to_str().unwrap();
                    assert_eq!(key, format!("Bearer {}", rig::DESK_KEY));
                    axum::Json(pay.answer(refund_id, wanted).unwrap())
                },
            ),
        )
        .route(
            "/v1/meters/{meter}/payments",
            get(async |Path(meter): Path<MeterNumber>| {
                let payments = vec![];
                axum::Json(MeterPayments { meter, payments })
            }),
        )
        .route(
            "/v1/meters/{meter}/epochs/{epoch}",
            post(async |Path((meter, epoch)): Path<(MeterNumber, u8)>| {
                axum::Json(MeterEpoch { meter, epoch })
            }),
        )
        .with_state(Arc::clone(&double));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let key = AccessKey::parse(rig::DESK_KEY).unwrap();
    let pay = Arc::new(HttpPay::new(
        Peer::new("payment", &url, Some(&key)).unwrap(),
    ));
    let meter = rig::METER.parse().unwrap();
    let known = pay.payments(meter).await.unwrap();
    assert_eq!((known.meter, known.payments), (meter, vec![]));
    let begun = pay.begin_epoch(meter, 3).await.unwrap();
    assert_eq!(begun, MeterEpoch { meter, epoch: 3 });
    let dispatch = Dispatch::new(bench.company(), pay);
    assert!(perform(&bench, &dispatch).await);
    assert_eq!(bench.refund(1).await.state, RefundState::Refunded);
}
