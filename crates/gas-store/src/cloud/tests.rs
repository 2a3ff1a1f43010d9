use gas_api::cloud::VendState;
use gas_api::pay::Way;
use gas_api::{HexBytes, Jws, PublicKeyHex, Want};
use gas_statement::{Quote, Sha256Digest, Signed, SigningKey};
use gas_tariff::{QuoteBasis, Tariff};
use gas_token::Nonce;
use gas_units::{MeterNumber, Money, Unit, UnixTime, Volume};
use gas_vend::{Asked, Event, SignedQuote};
use tempfile::TempDir;

use super::*;

const NOW: UnixMillis = UnixMillis::from_millis(1_760_000_000_000);
const REQUEST: Digest = Digest([6; 32]);

fn meter() -> MeterNumber {
    "33010000000001".parse().unwrap()
}

fn vend_id() -> VendId {
    VendId::from_parts(1_760_000_000_000, [7; 10])
}

fn phone(byte: u8) -> PublicKeyHex {
    PublicKeyHex([byte; 32])
}

fn quoted() -> Applied {
    let bounds = [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)];
    let tariff = Tariff::new(1, bounds, [261, 283, 423]).unwrap();
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::ZERO,
        year_start_register_centi_m3: Volume::ZERO,
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 0,
    };
    let amount = Money::from_fen(20_000);
    let quote = Quote {
        vend_id: vend_id(),
        meter: meter(),
        explanation: tariff
            .quote(basis, gas_tariff::Want::Amount(amount), amount)
            .unwrap(),
        last_seq: 0,
        meter_time: UnixTime::from_seconds(0),
        status_sha256: Sha256Digest([0; 32]),
        created_at_ms: NOW,
        valid_until_ms: NOW.plus_millis(1),
    };
    let key = SigningKey::from_bytes(&[1; 32]);
    let jws = Jws(Signed::sign(&key, quote).unwrap().compact().into());
    let quote = SignedQuote::verify(&jws, &key.verifying_key()).unwrap();
    let asked = Asked {
        vend_id: vend_id(),
        meter: meter(),
        want: Want::AmountFen(amount),
    };
    Vend::quoted(asked, &quote).unwrap()
}

fn believed(at: UnixMillis, balance: i32) -> BelievedState {
    BelievedState {
        meter: meter(),
        unit: Unit::Fen,
        last_seq: 1,
        total: 1,
        balance,
        register_centi_m3: Volume::ZERO,
        meter_time: UnixTime::from_seconds(0),
        flags: 0,
        battery_percent: None,
        believed_at_ms: at,
        old: false,
        message_sha256: Digest([0; 32]),
        waiting: None,
        key_change: None,
    }
}

struct Fixture {
    folder: TempDir,
    store: CloudStore,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = CloudStore::open(&folder.path().join("cloud.db"))
            .await
            .unwrap();
        Self { folder, store }
    }

    /// As after a power cut: the same file, opened by another process.
    async fn again(self) -> Self {
        let store = CloudStore::open(&self.folder.path().join("cloud.db"))
            .await
            .unwrap();
        Self { store, ..self }
    }

    async fn with_vend() -> (Self, Arc<VendRow>) {
        let fixture = Self::new().await;
        assert_eq!(
            fixture.store.create(&quoted(), REQUEST, NOW).await.unwrap(),
            Saved::Done
        );
        let row = fixture.store.find(vend_id()).await.unwrap().unwrap();
        (fixture, row)
    }
}

fn apply(row: &VendRow, event: Event) -> Applied {
    row.vend.apply(event, NOW).unwrap()
}

fn change<'a>(before: &'a VendRow, applied: &'a Applied, performed: Option<&'a str>) -> Change<'a> {
    Change {
        before,
        applied,
        performed,
        believed: None,
        now: NOW,
    }
}

fn asked(row: &VendRow) -> Applied {
    apply(
        row,
        Event::TenderAsked {
            quote_hash: row.vend.quote_hash(),
            way: Way::Native,
        },
    )
}

#[tokio::test]
async fn a_vend_its_timeline_and_its_effects_outlive_the_process() {
    let (fixture, row) = Fixture::with_vend().await;
    let applied = asked(&row);
    let saved = fixture
        .store
        .save(change(&row, &applied, None))
        .await
        .unwrap();
    assert_eq!(saved, Saved::Done);
    let fixture = fixture.again().await;
    let row = fixture.store.find(vend_id()).await.unwrap().unwrap();
    assert_eq!(
        (row.version, row.request, &row.vend),
        (2, REQUEST, &applied.vend)
    );
    assert_eq!(
        row.timeline,
        [Step {
            state: VendState::Quoted,
            at_ms: NOW
        }]
    );
    let due = fixture.store.due(Receiver::Company, NOW, 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].effect, applied.effects[0]);
    assert_eq!(due[0].effect_id, applied.effects[0].id());

    let reserved = apply(&row, Event::Reserved { attempt: 1 });
    let id = Some(due[0].effect_id.as_str());
    fixture
        .store
        .save(change(&row, &reserved, id))
        .await
        .unwrap();
    let row = fixture.store.find(vend_id()).await.unwrap().unwrap();
    let states: Vec<VendState> = row.timeline.iter().map(|step| step.state).collect();
    assert_eq!(states, [VendState::Quoted, VendState::TenderRequested]);
    assert_eq!(
        fixture.store.next_due(Receiver::Company).await.unwrap(),
        None
    );
    assert_eq!(
        fixture.store.next_due(Receiver::Pay).await.unwrap(),
        Some(NOW)
    );
    assert!(
        fixture
            .store
            .due(Receiver::Company, NOW, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn who_decided_on_an_old_version_saves_nothing() {
    let (fixture, row) = Fixture::with_vend().await;
    let first = asked(&row);
    assert_eq!(
        fixture
            .store
            .save(change(&row, &first, None))
            .await
            .unwrap(),
        Saved::Done
    );
    let second = apply(&row, Event::TenderClosed);
    assert_eq!(
        fixture
            .store
            .save(change(&row, &second, None))
            .await
            .unwrap(),
        Saved::Raced
    );
    let kept = fixture.store.find(vend_id()).await.unwrap().unwrap();
    assert_eq!(
        (kept.version, &kept.vend, kept.timeline.len()),
        (2, &first.vend, 1)
    );
    let due = fixture.store.due(Receiver::Company, NOW, 9).await.unwrap();
    assert_eq!(
        due.len(),
        1,
        "the loser's effect must not be there: {due:?}"
    );
}

/// What an event makes of a vend that it does not concern.
fn nothing(row: &VendRow) -> Applied {
    Applied {
        vend: row.vend.clone(),
        reached: vec![],
        effects: vec![],
    }
}

#[tokio::test]
async fn the_same_vend_is_made_once() {
    let (fixture, _) = Fixture::with_vend().await;
    let again = fixture
        .store
        .create(&quoted(), Digest([0; 32]), NOW)
        .await
        .unwrap();
    assert_eq!(again, Saved::Raced);
    let row = fixture.store.find(vend_id()).await.unwrap().unwrap();
    assert_eq!((row.request, row.timeline.len()), (REQUEST, 1));
}

#[tokio::test]
async fn an_effect_without_news_does_not_count_as_a_change() {
    let (fixture, row) = Fixture::with_vend().await;
    let nothing = nothing(&row);
    fixture
        .store
        .save(change(&row, &nothing, None))
        .await
        .unwrap();
    assert_eq!(fixture.store.version(vend_id()).await.unwrap(), Some(1));
}

#[tokio::test]
async fn consent_and_timeline_are_append_only() {
    let (fixture, row) = Fixture::with_vend().await;
    let mut row = row;
    for event in [
        Event::Reserved { attempt: 1 },
        Event::Consented {
            quote_hash: row.vend.quote_hash(),
        },
    ] {
        let applied = apply(&row, event);
        fixture
            .store
            .save(change(&row, &applied, None))
            .await
            .unwrap();
        row = fixture.store.find(vend_id()).await.unwrap().unwrap();
    }
    for statement in [
        "UPDATE consents SET quote_hash = ''",
        "DELETE FROM consents",
        "UPDATE timeline SET state = 'quoted'",
        "DELETE FROM timeline",
    ] {
        let mut tx = fixture.store.sqlite().begin().await.unwrap();
        let error = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert!(
            error.to_string().contains("append only"),
            "{statement}: {error}"
        );
    }
}

fn nonce(phone_key: PublicKeyHex) -> NewNonce {
    NewNonce {
        nonce: Nonce([1; 8]),
        meter: meter(),
        phone_key,
        expires_at: NOW.plus_millis(1000),
    }
}

#[tokio::test]
async fn a_nonce_enrols_its_phone_once() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    store.keep_nonce(nonce(phone(1)), NOW).await.unwrap();
    let enrol = async |phone_key, now| {
        let could = store
            .could_enrol(Nonce([1; 8]), meter(), phone_key, now)
            .await
            .unwrap();
        let state = believed(NOW, 1);
        let enrolling = store
            .enrol(Nonce([1; 8]), phone_key, &state, now)
            .await
            .unwrap();
        assert_eq!(could, enrolling != Enrolling::NonceNotLive);
        enrolling
    };
    assert_eq!(
        enrol(phone(2), NOW).await,
        Enrolling::NonceNotLive,
        "another phone's"
    );
    let late = NOW.plus_millis(1000);
    assert_eq!(
        enrol(phone(1), late).await,
        Enrolling::NonceNotLive,
        "expired"
    );
    assert!(!store.is_enrolled(meter(), phone(1)).await.unwrap());

    assert_eq!(enrol(phone(1), NOW).await, Enrolling::Enrolled(NOW));
    assert_eq!(
        enrol(phone(1), late).await,
        Enrolling::Enrolled(NOW),
        "the same again"
    );
    assert!(store.is_enrolled(meter(), phone(1)).await.unwrap());
    let other_meter = "33010000000002".parse().unwrap();
    assert!(!store.is_enrolled(other_meter, phone(1)).await.unwrap());
    assert!(!store.is_enrolled(meter(), phone(2)).await.unwrap());

    let unused = NewNonce {
        nonce: Nonce([9; 8]),
        ..nonce(phone(1))
    };
    store.keep_nonce(unused, NOW).await.unwrap();
    let live = async |now| store.live_nonces(meter(), phone(1), now).await.unwrap();
    assert_eq!((live(NOW).await, live(late).await), (1, 0));
    store.revoke(meter(), phone(1)).await.unwrap();
    assert_eq!(live(NOW).await, 0, "it must come to the meter anew");
    assert!(!store.is_enrolled(meter(), phone(1)).await.unwrap());
    assert_eq!(
        enrol(phone(1), NOW).await,
        Enrolling::NonceNotLive,
        "used before the revocation"
    );
}

#[tokio::test]
async fn nonces_long_expired_are_forgotten() {
    let fixture = Fixture::new().await;
    fixture
        .store
        .keep_nonce(nonce(phone(1)), NOW)
        .await
        .unwrap();
    let much_later = NOW.plus_millis(2 * 24 * 60 * 60 * 1000);
    let next = NewNonce {
        nonce: Nonce([2; 8]),
        ..nonce(phone(1))
    };
    fixture.store.keep_nonce(next, much_later).await.unwrap();
    let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM nonces")
        .fetch_one(fixture.store.sqlite().readers())
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn readings_are_kept_once_and_shown_newest_first() {
    let fixture = Fixture::new().await;
    let reading = |number: u32| Reading {
        number,
        record: HexBytes(number.to_be_bytes().to_vec()),
    };
    let upload: Vec<Reading> = (1..=300).map(reading).collect();
    let kept = fixture.store.keep_readings(meter(), &upload).await.unwrap();
    assert_eq!((kept.new, kept.newest), (300, 300));
    let upload: Vec<Reading> = (200..=500).map(reading).collect();
    let kept = fixture.store.keep_readings(meter(), &upload).await.unwrap();
    assert_eq!((kept.new, kept.newest), (200, 500));
    let data = fixture.store.meter(meter()).await.unwrap();
    assert_eq!(data.records.len(), 400);
    assert_eq!(data.records[0], reading(500).record);
    let kept = fixture
        .store
        .keep_readings("33010000000002".parse().unwrap(), &[])
        .await
        .unwrap();
    assert_eq!((kept.new, kept.newest), (0, 0));
}

#[tokio::test]
async fn the_newest_state_is_shown_and_unpaid_vends_are_not() {
    let (fixture, row) = Fixture::with_vend().await;
    let nothing = nothing(&row);
    for (at, balance, old) in [
        (5, 50, false),
        (9, 90, false),
        (7, 70, false),
        (11, 110, true),
    ] {
        let state = BelievedState {
            old,
            ..believed(NOW.plus_millis(at), balance)
        };
        let change = Change {
            believed: Some(&state),
            ..change(&row, &nothing, None)
        };
        fixture.store.save(change).await.unwrap();
    }
    let data = fixture.store.meter(meter()).await.unwrap();
    assert_eq!(data.state.unwrap().balance, 90);
    assert_eq!(data.vends, []);
}

/// One row that cannot be read stops nothing else.
#[tokio::test]
async fn an_effect_that_cannot_be_read_keeps_no_other_waiting() {
    let (fixture, row) = Fixture::with_vend().await;
    let asked = Event::TenderAsked {
        quote_hash: row.vend.quote_hash(),
        way: Way::Native,
    };
    let applied = apply(&row, asked);
    let saved = fixture.store.save(change(&row, &applied, None)).await;
    assert_eq!(saved.unwrap(), Saved::Done);
    let mut tx = fixture.store.sqlite().begin().await.unwrap();
    sqlx::query("INSERT INTO outbox (effect_id, vend_id, effect, due_at_ms) VALUES (?, ?, ?, ?)")
        .bind("company/a")
        .bind("v")
        .bind("{\"of a later version\":1}")
        .bind(0)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let due = fixture.store.due(Receiver::Company, NOW, 1).await.unwrap();
    assert_eq!(due, [], "it stood first, and was put off");
    let due = fixture.store.due(Receiver::Company, NOW, 1).await.unwrap();
    assert_eq!(due.len(), 1);
}

/// A clock that was a day ahead when an effect was put off has been set right.
#[tokio::test]
async fn what_a_clock_ahead_put_off_is_due_when_it_is_set_right() {
    for memory in [false, true] {
        let (mut fixture, row) = Fixture::with_vend().await;
        if memory {
            fixture.store = CloudStore::in_memory();
            fixture.store.create(&quoted(), REQUEST, NOW).await.unwrap();
        }
        let asked = Event::TenderAsked {
            quote_hash: row.vend.quote_hash(),
            way: Way::Native,
        };
        let applied = apply(&row, asked);
        let saved = fixture.store.save(change(&row, &applied, None)).await;
        assert_eq!(saved.unwrap(), Saved::Done);
        let ahead = NOW.plus_millis(86_400_000);
        let id = applied.effects[0].id();
        fixture.store.postpone(&id, 9, ahead).await.unwrap();
        let due = fixture.store.due(Receiver::Company, NOW, 9).await.unwrap();
        assert_eq!(due.len(), 1, "memory: {memory}");
    }
}
