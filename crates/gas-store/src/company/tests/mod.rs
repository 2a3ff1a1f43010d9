//! The company's store: what its tables hold, and that both backends give the same answers.

mod conformance;
mod mark;
mod memory;
mod migrations;
mod refunds;
mod replacements;
mod reservations;
mod restore;
mod tables;

use gas_sales::{Inquiry, MeterBook, MeterKeyring, PaidQuote, TariffYear, prove_status};
use gas_statement::{Currency, Payment, Quote, Sha256Digest, Signed, SigningKey, quote_hash};
use gas_tariff::{Tariff, Want};
use gas_token::{
    Message as _, MeterState, Nonce, Receipt, Record, Seq, ShortTag, StateFlags, Status, Tag,
    Tagged, Total,
};
use gas_units::{MeterNumber, Money, Unit, UnixMillis, UnixTime, VendId, Volume};
use tempfile::TempDir;

use super::{CompanyStore, QuoteAsked, QuoteOutcome, SellOutcome};

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

/// Keys of any generation; they hold as much as those.
struct KeysUnder(MeterNumber, u8);

impl MeterKeyring for KeysUnder {
    fn meter(&self) -> MeterNumber {
        self.0
    }

    fn generation(&self) -> u8 {
        self.1
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
        Keys(self.0).seal(total)
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
        replacement: None,
        retired: None,
        carried_in: 0,
        carried_out: 0,
        next_generation: None,
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

/// A store in a file and one in memory, each with the meter.
async fn both() -> (TempDir, [CompanyStore; 2]) {
    let dir = TempDir::new().unwrap();
    let stores = [open(&dir).await, CompanyStore::in_memory()];
    for store in &stores {
        store.add_meter(&a_book()).await.unwrap();
    }
    (dir, stores)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

async fn quote(store: &CompanyStore, number: u8) -> Signed<Quote> {
    quote_at(store, number, NOW).await
}

async fn quote_at(store: &CompanyStore, number: u8, now: UnixMillis) -> Signed<Quote> {
    let expires = now.plus_millis(1_000);
    store
        .put_nonces(meter(), &[Nonce([number; 8])], expires, now)
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
        .make_quote(
            &proven,
            QuoteAsked { inquiry, request },
            &Keys(meter()),
            &key(),
            UnixMillis::from_millis(i64::MAX),
            now,
        )
        .await
        .unwrap();
    let QuoteOutcome::Quoted(compact) = made else {
        panic!("{made:?}");
    };
    Signed::verify(&compact, &key().verifying_key()).unwrap()
}

/// Money came for this quote.
fn payment_for(quote: &Signed<Quote>, order_no: &str) -> PaidQuote {
    let payment = Payment {
        vend_id: quote.statement().vend_id,
        meter: meter(),
        quote_hash: quote_hash(quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: String::new(),
        order_no: order_no.to_owned(),
        transaction_id: String::new(),
        paid_at_ms: NOW,
    };
    let payment = Signed::sign(&key(), payment).unwrap();
    PaidQuote::new(quote.clone(), payment).unwrap()
}

async fn sell(store: &CompanyStore, quote: &Signed<Quote>) -> SellOutcome {
    store
        .sell(&payment_for(quote, ""), &Keys(meter()), &key(), NOW)
        .await
        .unwrap()
}
