//! What the tables themselves hold, whatever the code above them does.

use gas_sales::{Inquiry, MeterBook, MeterKeyring, PaidQuote, TariffYear, prove_status};
use gas_statement::{Currency, Payment, Quote, Sha256Digest, Signed, SigningKey, quote_hash};
use gas_tariff::{Tariff, Want};
use gas_token::{
    Message as _, MeterState, Nonce, Receipt, Record, Seq, ShortTag, StateFlags, Status, Tag,
    Tagged, Total,
};
use gas_units::{MeterNumber, Money, Unit, UnixMillis, UnixTime, VendId, Volume};
use tempfile::TempDir;

use super::rows::{find_book, save_book};
use super::{AddOutcome, CompanyStore, QuoteOutcome, SellOutcome, StateOutcome};
use crate::sqlite::StoreError;

const NOW: UnixMillis = UnixMillis::from_millis(1_795_435_200_000);

/// Keys of a meter that believes every tag: the tags are not what is tested here.
struct Keys(MeterNumber);

impl MeterKeyring for Keys {
    fn meter(&self) -> MeterNumber {
        self.0
    }

    fn generation(&self) -> u8 {
        1
    }

    fn receipt_holds(&self, _: &Tagged<Receipt>, _: Tag) -> bool {
        true
    }

    fn record_holds(&self, _: &Tagged<Record>) -> bool {
        true
    }

    fn status_holds(&self, _: &Tagged<Status>) -> bool {
        true
    }

    fn seal(&self, total: Total) -> Tagged<Total> {
        let Sha256Digest(digest) = Sha256Digest::of(&total.untagged());
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest[..16]);
        Tagged {
            message: total,
            tag: Tag(tag),
        }
    }
}

fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

fn a_book() -> MeterBook {
    MeterBook {
        meter: meter(),
        unit: Unit::CentiCubicMetre,
        generation: 1,
        tariff: Tariff::default(),
        limit: 100_000,
        sale_limit: Money::from_fen(100_000),
        epoch: 0,
        counter: 0,
        total: 0,
        last_tid: 0,
        frozen: false,
        year: TariffYear::beginning(NOW, Volume::from_centi_m3(7)),
        believed: None,
        debit: None,
    }
}

fn status(nonce: u8) -> Vec<u8> {
    let message = Status {
        generation: 1,
        meter: meter(),
        nonce: Nonce([nonce; 8]),
        state: MeterState {
            last_seq: Seq::default(),
            last_tag: ShortTag::default(),
            total: 0,
            keypad: 0,
            balance: -12,
            volume: Volume::from_centi_m3(1_000),
            time: UnixTime::from_seconds(5),
            flags: StateFlags(0x8001),
        },
        battery_percent: 77,
        settings: [0; 5],
    };
    let tag = Tag([nonce; 16]);
    Tagged { message, tag }.to_bytes()
}

async fn open(dir: &TempDir) -> CompanyStore {
    CompanyStore::open(&dir.path().join("company.db"))
        .await
        .unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

async fn quote(store: &CompanyStore, number: u8) -> Signed<Quote> {
    let expires = NOW.plus_millis(1_000);
    store
        .put_nonces(meter(), &[Nonce([number; 8])], expires, NOW)
        .await
        .unwrap();
    let proven = prove_status(&Keys(meter()), &status(number)).unwrap();
    let inquiry = Inquiry {
        vend_id: VendId::from_parts(1, [number; 10]),
        want: Want::Volume(Volume::from_centi_m3(500)),
        valid_for_ms: 1_000,
    };
    let request = Sha256Digest::of(&[number]);
    let made = store
        .make_quote(&proven, inquiry, request, &key(), NOW)
        .await
        .unwrap();
    let QuoteOutcome::Quoted(compact) = made else {
        panic!("{made:?}");
    };
    Signed::verify(&compact, &key().verifying_key()).unwrap()
}

async fn sell(store: &CompanyStore, quote: &Signed<Quote>) -> SellOutcome {
    let payment = Payment {
        vend_id: quote.statement().vend_id,
        meter: meter(),
        quote_hash: quote_hash(quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: String::new(),
        order_no: String::new(),
        transaction_id: String::new(),
        paid_at_ms: NOW,
    };
    let payment = Signed::sign(&key(), payment).unwrap();
    let paid = PaidQuote::new(quote.clone(), payment).unwrap();
    store
        .sell(&paid, &Keys(meter()), &key(), NOW)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_book_survives_its_rows() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    assert_eq!(store.add_meter(&a_book()).await.unwrap(), AddOutcome::Added);
    assert_eq!(store.meter(meter()).await.unwrap(), Some(a_book()));
    let quote = quote(&store, 1).await;
    assert!(matches!(sell(&store, &quote).await, SellOutcome::Issued(_)));
    store.close().await;

    let store = open(&dir).await;
    let book = store.meter(meter()).await.unwrap().unwrap();
    assert_eq!((book.epoch, book.counter, book.total), (0, 1, 512));
    assert_eq!(book.year.purchased, Volume::from_centi_m3(512));
    let believed = book.believed.unwrap();
    assert_eq!(believed.state.balance, -12);
    assert_eq!(believed.state.flags, StateFlags(0x8001));
    assert_eq!(believed.battery_percent, Some(77));
    let known = store.add_meter(&a_book()).await.unwrap();
    assert_eq!(known, AddOutcome::Known(Box::new(book)));
}

#[tokio::test]
async fn a_change_decided_on_an_older_version_is_not_saved() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let mut tx = store.db.begin().await.unwrap();
    let row = find_book(&mut tx, meter()).await.unwrap().unwrap();
    save_book(&mut tx, &row.book, row.version).await.unwrap();
    let raced = save_book(&mut tx, &row.book, row.version).await;
    assert!(matches!(raced, Err(StoreError::Corrupt(_))), "{raced:?}");
}

#[tokio::test]
async fn the_issue_log_takes_one_token_per_sequence_and_vend_and_never_changes() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let quote = quote(&store, 1).await;
    sell(&store, &quote).await;
    let mut tx = store.db.begin().await.unwrap();
    let insert =
        "INSERT INTO issue_log SELECT meter, seq + ?, total, tag, tid, vend_id || ?, token,
                  issued_at_ms FROM issue_log";
    for (step, suffix, rule) in [
        (0, "x", "issue_log.meter, issue_log.seq"),
        (1, "", "issue_log.vend_id"),
    ] {
        let inserted = sqlx::query(insert)
            .bind(step)
            .bind(suffix)
            .execute(&mut *tx)
            .await;
        let error = StoreError::from(inserted.unwrap_err());
        assert!(error.violates_unique(rule), "{error:?}");
    }
    for change in ["UPDATE issue_log SET total = 0", "DELETE FROM issue_log"] {
        let error = sqlx::query(change).execute(&mut *tx).await.unwrap_err();
        assert!(error.to_string().contains("append only"), "{error}");
    }
}

#[tokio::test]
async fn one_reservation_is_open_per_meter() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let mut vends = Vec::new();
    for number in [1, 2] {
        vends.push(quote(&store, number).await.statement().vend_id.to_string());
    }
    let mut tx = store.db.begin().await.unwrap();
    let insert = "INSERT INTO reservations VALUES (?, ?, 'open', 0)";
    let mut reserve = async |vend_id: &str| {
        sqlx::query(insert)
            .bind(vend_id)
            .bind(meter().to_string())
            .execute(&mut *tx)
            .await
    };
    reserve(&vends[0]).await.unwrap();
    let error = StoreError::from(reserve(&vends[1]).await.unwrap_err());
    assert!(error.violates_unique("reservations.meter"), "{error:?}");
}

#[tokio::test]
async fn expired_nonces_are_forgotten_and_of_no_use() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    store.add_meter(&a_book()).await.unwrap();
    let expires = NOW.plus_millis(1_000);
    let first = [Nonce([1; 8])];
    store
        .put_nonces(meter(), &first, expires, NOW)
        .await
        .unwrap();
    let proven = prove_status(&Keys(meter()), &status(1)).unwrap();
    let report = async |now| store.report_status(&proven, &key(), now).await.unwrap();
    assert_eq!(report(expires).await, StateOutcome::NonceNotLive);
    assert!(matches!(
        report(expires.plus_millis(-1)).await,
        StateOutcome::Learned(_)
    ));
    let second = [Nonce([2; 8])];
    store
        .put_nonces(meter(), &second, expires.plus_millis(1_000), expires)
        .await
        .unwrap();
    let (left,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM nonces")
        .fetch_one(store.db.readers())
        .await
        .unwrap();
    assert_eq!(left, 1);
}
