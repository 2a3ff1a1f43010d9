//! What must not go through, each with its own code; and that nothing is lost by it.

use axum::body::Body;
use axum::http::{Method, Request};
use gas_api::cloud::{Consent, Vend, VendState, VendWanted};
use gas_api::pay::TenderEvent;
use gas_api::{Digest, HexBytes, codes};
use gas_http::{now, webhook};
use gas_token::{Nonce, Tag};
use gas_units::{Money, UnixMillis, VendId};

use crate::peers::{FORGED, tender};
use crate::world::{Answered, Running, World, meter, path, receipt, status, vend_id, wanted};

fn webhook_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[2; 32])
}

async fn post_event(
    cloud: &Running,
    body: Vec<u8>,
    signed_at: UnixMillis,
    key: &ed25519_dalek::SigningKey,
) -> Answered {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/v1/tender-events");
    for (name, value) in webhook::sign("news_1", &body, signed_at, key) {
        request = request.header(name, value);
    }
    cloud.send(request.body(Body::from(body)).unwrap()).await
}

fn event(world: &World) -> Vec<u8> {
    let tender = world.peers.with(|books| tender(books, vend_id()));
    serde_json::to_vec(&TenderEvent { tender }).unwrap()
}

/// A world whose vend waits for payment.
async fn tendered(world: &World) -> (Running, Vend) {
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    let vend: Vend = cloud.ask_tender(&vend).await.ok();
    assert_eq!(vend.state, VendState::TenderRequested);
    assert!(vend.payment_request.is_some());
    (cloud, vend)
}

/// A world whose vend has its token.
async fn issued(world: &World) -> Running {
    let (cloud, vend) = tendered(world).await;
    world.peers.with(|books| books.paid = true);
    let paid: Vend = cloud.confirm(&vend).await.ok();
    assert!(paid.state >= VendState::TenderConfirmed);
    cloud.until(|vend| vend.token.is_some()).await;
    cloud
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let put = async |body: Vec<u8>| cloud.raw("PUT", &path(""), body).await.problem();
    assert_eq!(put(b"{".to_vec()).await, code(400, codes::BODY_MALFORMED));
    assert_eq!(
        put(br#"{"meter":"1"}"#.to_vec()).await,
        code(400, codes::BODY_MALFORMED)
    );
    assert_eq!(
        put(vec![b' '; 65_537]).await,
        code(413, codes::BODY_TOO_LARGE)
    );
    let phone = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let big = vec![b' '; 65_537];
    let answered = cloud
        .signed(&phone, Method::GET, "/v1/meters/33010000000001", &big)
        .await;
    assert_eq!(answered.problem(), code(413, codes::BODY_TOO_LARGE));
    let answered = post_event(&cloud, big, now(), &webhook_key()).await;
    assert_eq!(answered.problem(), code(413, codes::BODY_TOO_LARGE));
    let nowhere = cloud.get("/v1/nowhere").await;
    assert_eq!(nowhere.problem(), code(404, codes::NO_SUCH_ENDPOINT));
    let not_an_id = cloud.get("/v1/vends/1").await;
    assert_eq!(not_an_id.problem(), code(404, codes::NO_SUCH_ENDPOINT));
    assert!(
        world.peers.with(|books| books.log.is_empty()),
        "nobody else was bothered"
    );
}

#[tokio::test]
async fn statuses_that_are_none_or_forged_begin_no_vend() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let put = async |status: HexBytes| {
        let status = Some(status);
        cloud
            .json("PUT", &path(""), &VendWanted { status, ..wanted() })
            .await
            .problem()
    };
    let whole = wanted().status.unwrap();
    let cut = HexBytes(whole.0[..74].to_vec());
    assert_eq!(put(cut).await, code(422, codes::MESSAGE_MALFORMED));
    let others = status(
        "33010000000002".parse().unwrap(),
        Nonce([1; 8]),
        Tag([1; 16]),
    );
    assert_eq!(put(others).await, code(422, codes::OTHER_METER));
    let forged = status(meter(), Nonce([1; 8]), FORGED);
    assert_eq!(put(forged).await, code(422, codes::MESSAGE_FORGED));
    assert_eq!(
        cloud.get(&path("")).await.problem(),
        code(404, codes::VEND_UNKNOWN)
    );
    cloud.begin().await;
}

#[tokio::test]
async fn the_same_id_is_the_same_vend() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let first = cloud.begin().await;
    assert_eq!(cloud.begin().await, first);
    let want = gas_api::Want::AmountFen(Money::from_fen(1));
    let other = cloud
        .json("PUT", &path(""), &VendWanted { want, ..wanted() })
        .await;
    assert_eq!(other.problem(), code(409, codes::ID_REUSED));
    assert_eq!(world.peers.with(|books| books.log.len()), 1, "quoted once");
}

#[tokio::test]
async fn a_quote_that_is_not_what_was_asked_is_not_kept() {
    let bends: [fn(&mut gas_statement::Quote); 3] = [
        |quote| quote.vend_id = VendId::from_parts(1, [1; 10]),
        |quote| quote.meter = "33010000000002".parse().unwrap(),
        |quote| quote.explanation.want = gas_tariff::Want::Amount(Money::from_fen(1)),
    ];
    for bend in bends {
        let world = World::new(None).await;
        world.peers.with(|books| books.bend_quote = Some(bend));
        let cloud = world.start().await;
        let answered = cloud.json("PUT", &path(""), &wanted()).await;
        assert_eq!(answered.problem(), code(503, codes::UPSTREAM_UNAVAILABLE));
        assert_eq!(
            cloud.get(&path("")).await.problem(),
            code(404, codes::VEND_UNKNOWN)
        );
    }
    let world = World::new(None).await;
    world.peers.with(|books| books.quote_key = Some([3; 32]));
    let cloud = world.start().await;
    let answered = cloud.json("PUT", &path(""), &wanted()).await;
    assert_eq!(answered.problem(), code(503, codes::UPSTREAM_UNAVAILABLE));
}

#[tokio::test]
async fn without_an_answer_from_the_company_nothing_is_begun_and_the_same_may_be_sent_again() {
    let world = World::new(None).await;
    let refusal = (503, codes::UPSTREAM_UNAVAILABLE);
    world
        .peers
        .with(|books| books.refusals.insert("PUT /v1/quotes", refusal));
    let cloud = world.start().await;
    let answered = cloud.json("PUT", &path(""), &wanted()).await;
    assert_eq!(answered.problem(), code(503, codes::UPSTREAM_UNAVAILABLE));
    world.peers.with(|books| books.refusals.clear());
    cloud.begin().await;
}

#[tokio::test]
async fn consent_to_another_quote_is_none() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    let other = Consent {
        quote_hash: Digest([0; 32]),
    };
    for rest in ["/tender", "/confirmation"] {
        let answered = cloud.json("POST", &path(rest), &other).await;
        assert_eq!(
            answered.problem(),
            code(409, codes::QUOTE_DIFFERS),
            "{rest}"
        );
    }
    assert_eq!(
        cloud.confirm(&vend).await.problem(),
        code(409, codes::WRONG_STATE)
    );
    let after: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(after, vend);
}

#[tokio::test]
async fn an_expired_quote_is_not_tendered() {
    let world = World::new(None).await;
    let past: fn(&mut gas_statement::Quote) = |quote| quote.valid_until_ms = UnixMillis::default();
    world.peers.with(|books| books.bend_quote = Some(past));
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    assert_eq!(
        cloud.ask_tender(&vend).await.problem(),
        code(410, codes::QUOTE_EXPIRED)
    );
}

#[tokio::test]
async fn a_refused_reservation_says_whose_payment_is_under_way_and_can_be_tried_again() {
    let world = World::new(None).await;
    let refusal = (409, codes::TENDER_OPEN);
    world
        .peers
        .with(|books| books.refusals.insert("PUT /v1/reservations", refusal));
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    let answered = cloud.ask_tender(&vend).await;
    assert_eq!(answered.problem(), code(409, codes::TENDER_OPEN));
    assert!(
        answered
            .body
            .contains(&VendId::from_parts(9, [9; 10]).to_string())
    );
    let seen: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(
        (seen.state, seen.obstacle.unwrap().code),
        (VendState::Quoted, "tender_open".into())
    );
    world.peers.with(|books| books.refusals.clear());
    let vend: Vend = cloud.ask_tender(&vend).await.ok();
    assert!(vend.payment_request.is_some() && vend.obstacle.is_none());
}

#[tokio::test]
async fn confirmation_without_payment_yields_nothing() {
    let world = World::new(None).await;
    let (cloud, vend) = tendered(&world).await;
    for _ in 0..3 {
        let vend: Vend = cloud.confirm(&vend).await.ok();
        assert_eq!(vend.state, VendState::TenderRequested);
        assert!(vend.consented_at_ms.is_some());
    }
    let asked = |line: &String| line.ends_with("?ask=true");
    let asked = world
        .peers
        .with(|books| books.log.iter().filter(|line| asked(line)).count());
    assert_eq!(asked, 3, "the provider is asked each time");
}

#[tokio::test]
async fn payment_without_confirmation_issues() {
    let world = World::new(None).await;
    let (cloud, _) = tendered(&world).await;
    world.peers.with(|books| books.paid = true);
    assert_eq!(
        post_event(&cloud, event(&world), now(), &webhook_key())
            .await
            .status,
        204
    );
    let vend = cloud.until(|vend| vend.token.is_some()).await;
    assert_eq!(
        (vend.state, vend.consented_at_ms),
        (VendState::TokenIssued, None)
    );
    // The same webhook again.
    assert_eq!(
        post_event(&cloud, event(&world), now(), &webhook_key())
            .await
            .status,
        204
    );
    let again: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(again, vend);
    assert_eq!(world.peers.with(|books| books.issues), 1);
}

#[tokio::test]
async fn a_payment_that_nobody_tells_of_is_found_by_asking() {
    let world = World::new(None).await;
    world.peers.with(|books| {
        books.slow_provider = true;
        books.paid = true;
    });
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    // No webhook, no confirmation: the answer to opening says nothing, the next question does.
    cloud.ask_tender(&vend).await;
    let vend = cloud.until(|vend| vend.token.is_some()).await;
    assert_eq!(vend.consented_at_ms, None);
}

#[tokio::test]
async fn unpaid_at_the_end_expires_and_late_money_still_issues() {
    let world = World::new(None).await;
    let (cloud, vend) = tendered(&world).await;
    world.peers.with(|books| books.closed = true);
    assert_eq!(
        post_event(&cloud, event(&world), now(), &webhook_key())
            .await
            .status,
        204
    );
    let expired: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(
        (expired.state, expired.payment_request),
        (VendState::Expired, None)
    );
    assert_eq!(
        cloud.ask_tender(&vend).await.problem(),
        code(410, codes::QUOTE_EXPIRED)
    );
    world.peers.with(|books| books.paid = true);
    assert_eq!(
        post_event(&cloud, event(&world), now(), &webhook_key())
            .await
            .status,
        204
    );
    let vend = cloud.until(|vend| vend.token.is_some()).await;
    assert_eq!(vend.state, VendState::TokenIssued);
}

#[tokio::test]
async fn forged_stale_and_unsigned_webhooks_are_refused() {
    let world = World::new(None).await;
    let (cloud, vend) = tendered(&world).await;
    world.peers.with(|books| books.paid = true);
    let body = event(&world);
    let forged = code(401, codes::NOTIFICATION_FORGED);
    let other = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    assert_eq!(
        post_event(&cloud, body.clone(), now(), &other)
            .await
            .problem(),
        forged
    );
    let stale = now().plus_millis(-301_000);
    assert_eq!(
        post_event(&cloud, body.clone(), stale, &webhook_key())
            .await
            .problem(),
        forged
    );
    let unsigned = cloud.raw("POST", "/v1/tender-events", body).await;
    assert_eq!(unsigned.problem(), forged);
    let nonsense = post_event(&cloud, b"{}".to_vec(), now(), &webhook_key()).await;
    assert_eq!(nonsense.problem(), code(400, codes::BODY_MALFORMED));
    let after: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(after, vend);
}

#[tokio::test]
async fn a_payment_that_does_not_fit_issues_nothing_and_is_kept_for_people() {
    type Bend = fn(&mut gas_statement::Payment);
    let cases: [(Bend, (u16, &str)); 3] = [
        (
            |payment| payment.amount_fen = Money::from_fen(1),
            (422, codes::AMOUNT_MISMATCH),
        ),
        (
            |payment| payment.quote_hash.0.0 = [0; 32],
            (409, codes::QUOTE_DIFFERS),
        ),
        (
            |payment| payment.vend_id = VendId::from_parts(1, [1; 10]),
            (422, codes::STATEMENT_FORGED),
        ),
    ];
    for (bend, (status, name)) in cases {
        let world = World::new(None).await;
        let (cloud, _) = tendered(&world).await;
        world.peers.with(|books| {
            books.paid = true;
            books.bend_payment = Some(bend);
        });
        let answered = post_event(&cloud, event(&world), now(), &webhook_key()).await;
        assert_eq!(answered.problem(), code(status, name));
        let vend: Vend = cloud.get(&path("")).await.ok();
        assert_eq!(
            (vend.state, vend.payment),
            (VendState::TenderRequested, None)
        );
        assert_eq!(vend.obstacle.unwrap().code, name);
        assert_eq!(world.peers.with(|books| books.issues), 0);
        // The true statement still counts.
        world.peers.with(|books| books.bend_payment = None);
        assert_eq!(
            post_event(&cloud, event(&world), now(), &webhook_key())
                .await
                .status,
            204
        );
        let vend = cloud.until(|vend| vend.token.is_some()).await;
        assert_eq!(vend.obstacle, None);
    }
}

#[tokio::test]
async fn a_payment_that_another_key_has_signed_proves_nothing() {
    let world = World::new(None).await;
    let (cloud, vend) = tendered(&world).await;
    world.peers.with(|books| books.paid = true);
    let mut tender = world.peers.with(|books| tender(books, vend_id()));
    // A genuine statement, but of the company: its quote.
    tender.payment = Some(vend.quote.clone());
    let body = serde_json::to_vec(&TenderEvent { tender }).unwrap();
    let answered = post_event(&cloud, body, now(), &webhook_key()).await;
    assert_eq!(answered.problem(), code(422, codes::STATEMENT_FORGED));
    let after: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(after, vend);
}

#[tokio::test]
async fn a_forged_receipt_is_told_and_keeps_the_true_one_from_nothing() {
    let world = World::new(None).await;
    let cloud = issued(&world).await;
    let forged = code(422, codes::MESSAGE_FORGED);
    assert_eq!(cloud.deliver(receipt(FORGED)).await.problem(), forged);
    let vend: Vend = cloud.get(&path("")).await.ok();
    assert_eq!(vend.obstacle.unwrap().code, codes::MESSAGE_FORGED);
    assert!(vend.payment.is_some() && vend.token.is_some() && vend.settlement.is_none());
    assert_eq!(
        cloud.deliver(receipt(FORGED)).await.problem(),
        forged,
        "the same again"
    );
    let vend: Vend = cloud.deliver(receipt(Tag([1; 16]))).await.ok();
    assert_eq!((vend.state, &vend.obstacle), (VendState::Accepted, &None));
    let again: Vend = cloud.deliver(receipt(Tag([1; 16]))).await.ok();
    assert_eq!(again, vend);
}

#[tokio::test]
async fn receipts_that_are_none_or_too_early_are_refused() {
    let world = World::new(None).await;
    let (cloud, _) = tendered(&world).await;
    let whole = receipt(Tag([1; 16]));
    let early = cloud.deliver(whole.clone()).await;
    assert_eq!(early.problem(), code(409, codes::WRONG_STATE));
    for length in [0, 1, 10, 57] {
        let cut = cloud.deliver(HexBytes(whole.0[..length].to_vec())).await;
        assert_eq!(
            cut.problem(),
            code(422, codes::MESSAGE_MALFORMED),
            "{length}"
        );
    }
}

#[tokio::test]
async fn a_sale_that_the_company_refuses_shows_why_and_stays_paid() {
    let world = World::new(None).await;
    let refusal = (409, codes::METER_FROZEN);
    world
        .peers
        .with(|books| books.refusals.insert("PUT /v1/sales", refusal));
    let (cloud, vend) = tendered(&world).await;
    world.peers.with(|books| books.paid = true);
    cloud.confirm(&vend).await;
    let vend = cloud.until(|vend| vend.obstacle.is_some()).await;
    assert_eq!(
        (vend.state, vend.obstacle.unwrap().code),
        (VendState::TenderConfirmed, codes::METER_FROZEN.to_owned(),)
    );
}

#[tokio::test]
async fn news_reach_who_waits_and_who_waits_in_vain_is_answered() {
    let world = World::new(None).await;
    let (cloud, vend) = tendered(&world).await;
    let query = format!("?after_version={}&wait_ms=1", vend.version);
    let same: Vend = cloud.get(&path(&query)).await.ok();
    assert_eq!(same, vend);
    let query = format!("?after_version={}&wait_ms=25000", vend.version);
    let waiting = path(&query);
    let (news, ()) = tokio::join!(cloud.get(&waiting), async {
        world.peers.with(|books| books.closed = true);
        post_event(&cloud, event(&world), now(), &webhook_key()).await;
    });
    assert_eq!(news.ok::<Vend>().state, VendState::Expired);
    let unknown = cloud.get(&path("?wait=1")).await;
    assert_eq!(unknown.problem(), code(400, codes::BODY_MALFORMED));
}

#[tokio::test]
async fn a_stop_keeps_nobody_waiting() {
    let world = World::new(None).await;
    let (cloud, vend) = tendered(&world).await;
    let waiting = path(&format!("?after_version={}&wait_ms=25000", vend.version));
    let begun = std::time::Instant::now();
    let (same, ()) = tokio::join!(cloud.get(&waiting), async { cloud.stop.now() });
    assert_eq!(same.ok::<Vend>(), vend);
    assert!(begun.elapsed().as_secs() < 20);
}
