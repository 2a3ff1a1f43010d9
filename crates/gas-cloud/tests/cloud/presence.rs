//! Presence: a fresh status, read with a nonce for this phone, opens a meter's data to it.

use axum::http::Method;
use ed25519_dalek::SigningKey;
use gas_api::cloud::{
    Asks, AsksWanted, Enrolment, EnrolmentRevoked, EnrolmentWanted, Meter, Nonce as NonceMade,
    NonceWanted, RecordsKept, RecordsUploaded, TokenDelivered, TokenTaken, Vend, VendState,
    VendWanted,
};
use gas_api::{HexBytes, PublicKeyHex};
use gas_http::now;
use gas_statement::Evidence;
use gas_token::{Ask, Nonce, Record, StateFlags, Tag, Tagged};
use gas_units::{MeterNumber, UnixTime, Volume};

use crate::peers::{FORGED, settle};
use crate::world::{Answered, Running, World, meter, receipt, status, vend_id, wanted};

fn phone(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}

fn key(phone: &SigningKey) -> PublicKeyHex {
    PublicKeyHex(phone.verifying_key().to_bytes())
}

async fn nonce_for(cloud: &Running, phone_key: Option<PublicKeyHex>) -> Nonce {
    let wanted = NonceWanted {
        meter: meter(),
        phone_key,
    };
    let made: NonceMade = cloud.json("POST", "/v1/nonces", &wanted).await.ok();
    Tagged::<Ask>::parse(&made.ask.0).unwrap().message.nonce
}

async fn enrol(cloud: &Running, phone: &SigningKey, status: HexBytes) -> Answered {
    let body = serde_json::to_vec(&EnrolmentWanted {
        meter: meter(),
        status,
    })
    .unwrap();
    cloud
        .signed(
            phone,
            Method::PUT,
            &format!("/v1/enrolments/{}", key(phone)),
            &body,
        )
        .await
}

async fn show(cloud: &Running, phone: &SigningKey) -> Answered {
    cloud
        .signed(phone, Method::GET, &format!("/v1/meters/{}", meter()), b"")
        .await
}

async fn upload(cloud: &Running, phone: &SigningKey, records: Vec<HexBytes>) -> Answered {
    let body = serde_json::to_vec(&RecordsUploaded { records }).unwrap();
    let path = format!("/v1/meters/{}/records", meter());
    cloud.signed(phone, Method::PUT, &path, &body).await
}

fn record(meter: MeterNumber, number: u32, tag: Tag) -> HexBytes {
    let message = Record {
        generation: 1,
        meter,
        number,
        time: UnixTime::from_seconds(number),
        volume: Volume::from_centi_m3(number),
        balance: 1,
        flags: StateFlags(0),
    };
    HexBytes(Tagged { message, tag }.to_bytes())
}

async fn enrolled(cloud: &Running, phone: &SigningKey) {
    let nonce = nonce_for(cloud, Some(key(phone))).await;
    let _enrolled: Enrolment = enrol(cloud, phone, status(meter(), nonce, Tag([1; 16])))
        .await
        .ok();
}

#[tokio::test]
async fn a_fresh_status_for_this_phone_enrols_it_and_no_other() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let (mine, other) = (phone(5), phone(6));
    let not_live = (409, "nonce_not_live".to_owned());
    let made_for_nobody = nonce_for(&cloud, None).await;
    let made_for_me = nonce_for(&cloud, Some(key(&mine))).await;
    let with = |nonce| status(meter(), nonce, Tag([1; 16]));
    assert_eq!(
        enrol(&cloud, &mine, with(made_for_nobody)).await.problem(),
        not_live
    );
    assert_eq!(
        enrol(&cloud, &mine, with(Nonce([0xEE; 8]))).await.problem(),
        not_live
    );
    assert_eq!(
        enrol(&cloud, &other, with(made_for_me)).await.problem(),
        not_live
    );
    let forged = status(meter(), made_for_me, FORGED);
    let answered = enrol(&cloud, &mine, forged).await;
    assert_eq!(answered.problem(), (422, "message_forged".to_owned()));
    assert_eq!(show(&cloud, &mine).await.status, 403);

    let first: Enrolment = enrol(&cloud, &mine, with(made_for_me)).await.ok();
    let again: Enrolment = enrol(&cloud, &mine, with(made_for_me)).await.ok();
    assert_eq!(again, first, "the same again");
    let seen: Meter = show(&cloud, &mine).await.ok();
    assert_eq!(seen.state.unwrap().balance, 20_500);
    assert_eq!(show(&cloud, &other).await.status, 403);
}

#[tokio::test]
async fn a_revoked_phone_needs_a_new_status() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let (mine, other) = (phone(5), phone(6));
    let nonce = nonce_for(&cloud, Some(key(&mine))).await;
    let proof = status(meter(), nonce, Tag([1; 16]));
    let _enrolled: Enrolment = enrol(&cloud, &mine, proof.clone()).await.ok();
    let body = serde_json::to_vec(&EnrolmentRevoked { meter: meter() }).unwrap();
    let path = format!("/v1/enrolments/{}", key(&mine));
    let stranger = cloud.signed(&other, Method::DELETE, &path, &body).await;
    assert_eq!(stranger.problem(), (403, "not_enrolled".to_owned()));
    enrolled(&cloud, &other).await;
    assert_eq!(
        cloud
            .signed(&other, Method::DELETE, &path, &body)
            .await
            .status,
        204
    );
    assert_eq!(show(&cloud, &mine).await.status, 403);
    assert_eq!(
        enrol(&cloud, &mine, proof).await.problem(),
        (409, "nonce_not_live".to_owned())
    );
    enrolled(&cloud, &mine).await;
    assert_eq!(show(&cloud, &mine).await.status, 200);
}

#[tokio::test]
async fn records_are_kept_whole_or_not_at_all() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let mine = phone(5);
    enrolled(&cloud, &mine).await;
    let good = |number| record(meter(), number, Tag([1; 16]));
    let kept: RecordsKept = upload(&cloud, &mine, vec![good(1), good(2)]).await.ok();
    assert_eq!(kept, RecordsKept { new: 2, newest: 2 });
    let kept: RecordsKept = upload(&cloud, &mine, vec![good(2), good(3)]).await.ok();
    assert_eq!(kept, RecordsKept { new: 1, newest: 3 });

    let mut cut = good(5);
    cut.0.pop();
    let others = record("33010000000002".parse().unwrap(), 5, Tag([1; 16]));
    for (bad, expected) in [
        (
            vec![good(4), record(meter(), 5, FORGED)],
            (422, "message_forged"),
        ),
        (vec![good(4), others], (422, "other_meter")),
        (vec![good(4), cut], (422, "message_malformed")),
        (vec![good(4); 201], (400, "body_malformed")),
    ] {
        let (status, code) = upload(&cloud, &mine, bad).await.problem();
        assert_eq!((status, code.as_str()), expected);
    }
    let seen: Meter = show(&cloud, &mine).await.ok();
    assert_eq!(seen.records, [good(3), good(2), good(1)]);
}

#[tokio::test]
async fn history_shows_paid_vends_only() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let mine = phone(5);
    enrolled(&cloud, &mine).await;
    let vend = cloud.begin().await;
    cloud.ask_tender(&vend).await;
    let seen: Meter = show(&cloud, &mine).await.ok();
    assert_eq!(
        seen.vends,
        [],
        "the id of an unpaid vend is its owner's alone"
    );
    world.peers.with(|books| books.paid = true);
    cloud.confirm(&vend).await;
    cloud.until(|vend| vend.token.is_some()).await;
    cloud.deliver(receipt(Tag([1; 16]))).await;
    let seen: Meter = show(&cloud, &mine).await.ok();
    assert_eq!(seen.vends.len(), 1);
    assert_eq!(
        (seen.vends[0].vend_id, seen.vends[0].state),
        (vend_id(), VendState::Accepted)
    );
}

async fn deliver(cloud: &Running, path: &str, receipt: HexBytes) -> Answered {
    let delivered = TokenDelivered { receipt };
    cloud.json("PUT", path, &delivered).await
}

/// A sale taken back, books restored: whoever reads the meter is given what it lacks, and brings the answer.
#[tokio::test]
async fn a_phone_at_the_meter_carries_what_the_company_has_for_it() {
    let world = World::new(None).await;
    let tokens = [HexBytes(vec![1]), HexBytes(vec![2])];
    world.peers.with(|books| books.waiting = tokens.to_vec());
    let cloud = world.start().await;
    let nonce = nonce_for(&cloud, Some(key(&phone(7)))).await;
    let read = status(meter(), nonce, Tag([1; 16]));
    let enrolment: Enrolment = enrol(&cloud, &phone(7), read).await.ok();
    assert_eq!(enrolment.waiting, Some(tokens[0].clone()));

    let path = format!("/v1/meters/{}/tokens/8/receipt", meter());
    let elsewhere = "/v1/meters/99999999999999/tokens/8/receipt";
    let refused =
        async |path: &str, receipt: HexBytes| deliver(&cloud, path, receipt).await.problem();
    let forged = (422, "message_forged".to_owned());
    assert_eq!(refused(&path, receipt(FORGED)).await, forged);
    let other = (422, "other_meter".to_owned());
    assert_eq!(refused(elsewhere, receipt(Tag([2; 16]))).await, other);
    assert!(world.peers.with(|books| books.carried.is_empty()));

    let taken: TokenTaken = deliver(&cloud, &path, receipt(Tag([2; 16]))).await.ok();
    assert_eq!(taken.waiting, Some(tokens[1].clone()));
    assert_eq!(world.peers.with(|books| books.carried.clone()), [8]);
    let taken: TokenTaken = deliver(&cloud, &path, receipt(Tag([2; 16]))).await.ok();
    assert_eq!(taken.waiting, None);
}

/// A vend begun away from the meter: signed by this phone, or by none.
async fn begin_unread(cloud: &Running, phone: Option<&SigningKey>) -> Answered {
    let wanted = VendWanted {
        status: None,
        ..wanted()
    };
    let path = format!("/v1/vends/{}", vend_id());
    let Some(phone) = phone else {
        return cloud.json("PUT", &path, &wanted).await;
    };
    let body = serde_json::to_vec(&wanted).unwrap();
    cloud.signed(phone, Method::PUT, &path, &body).await
}

#[tokio::test]
async fn away_from_the_meter_an_enrolled_phone_begins_a_vend_and_no_other() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let (mine, other) = (phone(5), phone(6));
    enrolled(&cloud, &mine).await;
    let not_enrolled = (403, "not_enrolled".to_owned());
    for stranger in [None, Some(&other)] {
        let answered = begin_unread(&cloud, stranger).await;
        assert_eq!(answered.problem(), not_enrolled);
    }
    assert!(world.peers.with(|books| books.quotes.is_empty()));
    let vend: Vend = begin_unread(&cloud, Some(&mine)).await.ok();
    assert_eq!(vend.state, VendState::Quoted);
    let again: Vend = begin_unread(&cloud, None).await.ok();
    assert_eq!(again, vend, "who knows the id may see it");
}

async fn asks(cloud: &Running, phone: &SigningKey, count: u8) -> Answered {
    let body = serde_json::to_vec(&AsksWanted { count }).unwrap();
    let path = format!("/v1/meters/{}/asks", meter());
    cloud.signed(phone, Method::POST, &path, &body).await
}

#[tokio::test]
async fn a_meter_read_without_internet_is_shown_weeks_later() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let (mine, other) = (phone(5), phone(6));
    let stranger = asks(&cloud, &mine, 1).await;
    assert_eq!(stranger.problem(), (403, "not_enrolled".to_owned()));
    enrolled(&cloud, &mine).await;
    let Asks {
        asks: made,
        expires_at_ms,
    } = asks(&cloud, &mine, 2).await.ok();
    assert_eq!(made.len(), 2);
    assert!(expires_at_ms > now().plus_millis(34 * 86_400_000));
    let nonce = Tagged::<Ask>::parse(&made[1].0).unwrap().message.nonce;
    let read = || status(meter(), nonce, Tag([1; 16]));
    let others = enrol(&cloud, &other, read()).await;
    assert_eq!(others.problem(), (409, "nonce_not_live".to_owned()));
    let _enrolled: Enrolment = enrol(&cloud, &mine, read()).await.ok();
    // Those of visits do not count; 63 are left of 64.
    for _ in 0..3 {
        nonce_for(&cloud, Some(key(&mine))).await;
    }
    for count in [8, 8, 8, 8, 8, 8, 8, 7] {
        let _asks: Asks = asks(&cloud, &mine, count).await.ok();
    }
    let many = asks(&cloud, &mine, 1).await;
    assert_eq!(many.problem(), (429, "too_many_requests".to_owned()));
}

#[tokio::test]
async fn what_a_phone_fetched_ahead_is_worth_nothing_once_it_is_revoked() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let mine = phone(5);
    enrolled(&cloud, &mine).await;
    let Asks { asks: made, .. } = asks(&cloud, &mine, 1).await.ok();
    let nonce = Tagged::<Ask>::parse(&made[0].0).unwrap().message.nonce;
    let body = serde_json::to_vec(&EnrolmentRevoked { meter: meter() }).unwrap();
    let path = format!("/v1/enrolments/{}", key(&mine));
    let revoked = cloud.signed(&mine, Method::DELETE, &path, &body).await;
    assert_eq!(revoked.status, 204);
    let answered = enrol(&cloud, &mine, status(meter(), nonce, Tag([1; 16]))).await;
    assert_eq!(answered.problem(), (409, "nonce_not_live".to_owned()));
}

#[tokio::test]
async fn what_another_phone_shows_of_the_meter_ends_a_vend_at_once() {
    let world = World::new(None).await;
    let cloud = world.start().await;
    let vend = cloud.begin().await;
    cloud.ask_tender(&vend).await;
    world.peers.with(|books| books.paid = true);
    cloud.confirm(&vend).await;
    cloud.until(|vend| vend.token.is_some()).await;
    // Not by what the meter has not shown yet.
    enrolled(&cloud, &phone(5)).await;
    let path = format!("/v1/vends/{}", vend_id());
    let seen: Vend = cloud.get(&path).await.ok();
    assert_eq!(seen.state, VendState::TokenIssued);
    (world.peers).with(|books| settle(books, vend_id(), Evidence::LaterState));
    enrolled(&cloud, &phone(6)).await;
    let seen: Vend = cloud.get(&path).await.ok();
    assert_eq!(seen.state, VendState::Accepted);
}
