//! A meter's next key, with the meter's real core: what was sold before the change arrives after it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use axum::http::{Method, StatusCode};
use gas_api::company::{BelievedState, Sale, SaleState};
use gas_api::desk::{Key, SealedToken};
use gas_api::{HexBytes, Problem, codes};
use gas_token::{Tagged, Total};
use rig::real::Real;
use rig::{Bench, METER};
use serde_json::json;

async fn read(bench: &Bench, meter: &mut Real) -> BelievedState {
    let status = meter.status(&bench.nonce().await);
    bench.report(&status).await.unwrap()
}

async fn change_key(bench: &Bench, generation: u8) -> Result<Key, Problem> {
    let path = format!("/v1/meters/{METER}/key");
    bench.put(&path, json!({ "generation": generation })).await
}

async fn token_under(bench: &Bench, seq: u32, generation: u8) -> Result<HexBytes, String> {
    let path = format!("/v1/meters/{METER}/tokens/{seq}/{generation}");
    let (status, value) = bench.call(Method::GET, &path, "").await;
    if status != StatusCode::OK {
        return Err(value["code"].as_str().unwrap().to_owned());
    }
    let sealed: SealedToken = serde_json::from_value(value).unwrap();
    Ok(sealed.token)
}

async fn sold(bench: &Bench, meter: &mut Real, number: u8) -> Sale {
    let status = meter.status(&bench.nonce().await);
    let quote = bench.quote_from(number, &status, 5_000).await.unwrap();
    bench.sell(&quote).await.unwrap()
}

async fn sale(bench: &Bench, number: u8) -> Sale {
    let path = format!("/v1/sales/{}", rig::vend(number));
    let (_, value) = bench.call(Method::GET, &path, "").await;
    serde_json::from_value(value).unwrap()
}

fn total(token: &HexBytes) -> Total {
    Tagged::<Total>::parse(&token.0).unwrap().message
}

#[tokio::test]
async fn what_was_sold_before_the_change_arrives_after_it() {
    let (mut bench, mut meter) = (Bench::new().await, Real::new(METER));
    let first = sold(&bench, &mut meter, 1).await;
    let receipt = meter.deliver(&first.token).unwrap();
    bench.receipt(1, &receipt).await.unwrap();
    let second = sold(&bench, &mut meter, 2).await;
    let key = change_key(&bench, 2).await.unwrap();
    assert_eq!((key.generation, key.next_generation), (1, Some(2)));
    assert_eq!(change_key(&bench, 2).await.unwrap(), key);
    let shown = read(&bench, &mut meter).await;
    assert_eq!(
        (shown.key_change.clone(), shown.waiting),
        (key.key_change, Some(second.token.clone()))
    );
    let before = meter.status(&bench.nonce().await);

    // The answer is lost: the company hears of it by the next state.
    let change = shown.key_change.unwrap();
    let lost = meter.deliver(&change).unwrap();
    assert_eq!(meter.core.view().generation, 2);
    assert!(
        meter.deliver(&second.token).is_err(),
        "the old key opens nothing"
    );
    // A carrier that has heard of it first is given either; and it is the same sale.
    let ahead = token_under(&bench, second.seq, 2).await.unwrap();
    assert_eq!(
        token_under(&bench, second.seq, 1).await.unwrap(),
        second.token
    );
    assert_eq!(
        token_under(&bench, second.seq, 3).await.unwrap_err(),
        codes::WRONG_STATE
    );
    assert_eq!(
        token_under(&bench, 9, 2).await.unwrap_err(),
        codes::TOKEN_UNKNOWN
    );
    bench.restart().await;
    let shown = read(&bench, &mut meter).await;
    assert_eq!(shown.key_change, None);
    let resealed = shown.waiting.unwrap();
    assert_eq!(resealed, ahead);
    let same = Total {
        generation: 1,
        ..total(&resealed)
    };
    assert_eq!(same, total(&second.token));
    assert_eq!(sale(&bench, 2).await.resealed, Some(resealed.clone()));
    assert_eq!(sale(&bench, 1).await.resealed, None);

    // A state under the old key is old, and so is the key change's own receipt by now.
    let old = bench.report(&before).await.unwrap();
    assert!(old.old);
    let path = format!("/v1/meters/{METER}/key/2/receipt");
    let told: BelievedState = bench.put(&path, json!({ "receipt": lost })).await.unwrap();
    assert_eq!(told.waiting, Some(resealed.clone()));

    let receipt = meter.deliver(&resealed).unwrap();
    let settled = bench.receipt(2, &receipt).await.unwrap();
    assert_eq!(settled.sale.state, SaleState::Settled);
    assert_eq!(
        (settled.state.balance, settled.state.waiting),
        (10_000, None)
    );
    assert!(bench.store.alarms().await.unwrap().is_empty());
}

#[tokio::test]
async fn after_a_change_the_meter_is_sold_to_and_changed_again() {
    let (bench, mut meter) = (Bench::new().await, Real::new(METER));
    let change = change_key(&bench, 2).await.unwrap().key_change.unwrap();
    let receipt = meter.deliver(&change).unwrap();
    let path = format!("/v1/meters/{METER}/key/2/receipt");
    let told: BelievedState = bench
        .put(&path, json!({ "receipt": receipt }))
        .await
        .unwrap();
    assert_eq!((told.old, told.key_change), (false, None));
    let third = sold(&bench, &mut meter, 3).await;
    assert_eq!(total(&third.token).generation, 2);
    let receipt = meter.deliver(&third.token).unwrap();
    bench.receipt(3, &receipt).await.unwrap();
    assert_eq!(meter.core.view().total, 5_000);
    // And on to the next: the tag of the token that the meter shows is of the generation before.
    let key = change_key(&bench, 7).await.unwrap();
    let receipt = meter.deliver(&key.key_change.unwrap()).unwrap();
    let path = format!("/v1/meters/{METER}/key/7/receipt");
    let told: BelievedState = bench
        .put(&path, json!({ "receipt": receipt }))
        .await
        .unwrap();
    assert_eq!((told.balance, told.old), (5_000, false));
    let path = format!("/v1/meters/{METER}/key");
    let (_, key) = bench.call(Method::GET, &path, "").await;
    assert_eq!(key, json!({"meter": METER, "generation": 7}));
    assert!(bench.store.alarms().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_resealed_token_that_the_meter_has_shows_its_own_tag() {
    let (bench, mut meter) = (Bench::new().await, Real::new(METER));
    let first = sold(&bench, &mut meter, 1).await;
    for generation in [2, 3] {
        let change = change_key(&bench, generation).await.unwrap().key_change;
        meter.deliver(&change.unwrap()).unwrap();
        let shown = read(&bench, &mut meter).await;
        if generation == 2 {
            meter.deliver(&shown.waiting.unwrap()).unwrap();
            let shown = read(&bench, &mut meter).await;
            assert_eq!((shown.balance, shown.waiting), (5_000, None));
        }
    }
    // Under the third key the meter shows the tag of the second's seal; the first's was never there.
    let shown = read(&bench, &mut meter).await;
    assert_eq!((shown.balance, shown.last_seq), (5_000, first.seq));
    assert!(bench.store.alarms().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_changed_says_why() {
    let (bench, mut meter) = (Bench::new().await, Real::new(METER));
    let done = change_key(&bench, 1).await.unwrap();
    assert_eq!((done.generation, done.next_generation), (1, None));
    let code = |asked: Result<Key, Problem>| asked.unwrap_err().code;
    assert_eq!(code(change_key(&bench, 0).await), codes::KEY_NOT_CHANGED);
    change_key(&bench, 5).await.unwrap();
    assert_eq!(code(change_key(&bench, 6).await), codes::KEY_NOT_CHANGED);
    let receipt = HexBytes(vec![0; 58]);
    let path = format!("/v1/meters/{METER}/key/6/receipt");
    let told: Result<BelievedState, _> = bench.put(&path, json!({ "receipt": receipt })).await;
    assert_eq!(told.unwrap_err().code, codes::KEY_CHANGE_UNKNOWN);
    let path = format!("/v1/meters/{METER}/key/5/receipt");
    let told: Result<BelievedState, _> = bench.put(&path, json!({ "receipt": receipt })).await;
    assert_eq!(told.unwrap_err().code, codes::MESSAGE_MALFORMED);
    read(&bench, &mut meter).await;
}
