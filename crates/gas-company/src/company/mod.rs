//! What can be asked of the company, one file per noun. Each method is what a route of the same name
//! answers; it awaits nothing but the store, so whoever polls it may drop it between any two store calls.

mod nonces;
mod quotes;
mod receipts;
mod records;
mod refunds;
mod replacements;
mod reservations;
mod restore;
mod rotations;
mod sales;
mod states;

pub use restore::{RestoreError, Restored};

use std::fmt;
use std::sync::Arc;

use gas_http::{Clock, Entropy, Problem};
use gas_sales::{MeterBook, Proven, READING_DAYS_MAX, prove_status};
use gas_statement::{SigningKey, VerifyingKey};
use gas_store::company::{CompanyStore, Mark};
use gas_token::{Status, peek};
use gas_units::{MeterNumber, UnixMillis};

use crate::keys::{KeyStore, KeysOfMeter};
use crate::problems::{self, meter_unknown, not_proven};
use crate::provision::{AddMeterError, NewMeter, Provisioned, provision};

/// How long a payment may be begun for a quote, ms, unless the company says otherwise.
pub const QUOTE_VALID_MS: i64 = 15 * 60 * 1000;

/// How long a status may answer a nonce, ms: long enough for a phone that fetched it at the door.
pub const NONCE_VALID_MS: i64 = 15 * 60 * 1000;

/// How long it may where the meter is read without internet, ms: what it tells is told late, and no later than
/// a quote may rest on it.
pub(crate) const NONCE_AHEAD_VALID_MS: i64 = READING_DAYS_MAX * 24 * 60 * 60 * 1000;

/// Own statements made lately, and payments verified lately, are remembered: a vend shows each of them
/// several times within minutes.
const STATEMENTS_REMEMBERED: usize = 4_096;

/// The gas company: its books, its keys, its rules. Cheap to clone.
#[derive(Clone)]
pub struct Company {
    inner: Arc<Inner>,
    quotes_valid_ms: i64,
}

struct Inner {
    store: CompanyStore,
    keys: KeyStore,
    statement_key: SigningKey,
    /// The public half of `statement_key`.
    own_key: VerifyingKey,
    pay_key: VerifyingKey,
    clock: Clock,
    entropy: Entropy,
}

impl fmt::Debug for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Company(..)")
    }
}

impl Company {
    /// The company with its books and their mark, and its keys; `pay_key` is the payment server's.
    #[must_use]
    pub fn new(
        store: CompanyStore,
        mark: Mark,
        keys: KeyStore,
        statement_key: SigningKey,
        pay_key: VerifyingKey,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        let statement_key = statement_key.remembering(STATEMENTS_REMEMBERED);
        let inner = Inner {
            store: store.marked(mark),
            keys,
            own_key: statement_key.verifying_key(),
            statement_key,
            pay_key: pay_key.remembering(STATEMENTS_REMEMBERED),
            clock,
            entropy,
        };
        Self {
            inner: Arc::new(inner),
            quotes_valid_ms: QUOTE_VALID_MS,
        }
    }

    /// The same, where a payment may be begun for so long for a quote.
    #[must_use]
    pub fn with_quotes_valid_for(self, quotes_valid_ms: i64) -> Self {
        Self {
            quotes_valid_ms,
            ..self
        }
    }

    /// Takes a meter into the books and gives what it is made with. Again with the same settings, it gives
    /// the same.
    ///
    /// # Errors
    /// [`AddMeterError`]; the books stay as they were.
    pub async fn provision(&self, new: NewMeter) -> Result<Provisioned, AddMeterError> {
        provision(&self.inner.store, &self.inner.keys, new, self.now()).await
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.inner.clock.now()
    }

    pub(crate) fn store(&self) -> &CompanyStore {
        &self.inner.store
    }

    pub(crate) fn statement_key(&self) -> &SigningKey {
        &self.inner.statement_key
    }

    pub(crate) fn own_key(&self) -> &VerifyingKey {
        &self.inner.own_key
    }

    pub(crate) fn pay_key(&self) -> &VerifyingKey {
        &self.inner.pay_key
    }

    /// The book of a meter that somebody outside named.
    pub(crate) async fn book(&self, meter: MeterNumber) -> Result<MeterBook, Problem> {
        let book = self
            .inner
            .store
            .meter(meter)
            .await
            .map_err(problems::ours)?;
        book.ok_or_else(|| meter_unknown(meter))
    }

    pub(crate) fn keys(&self) -> &KeyStore {
        &self.inner.keys
    }

    pub(crate) fn keys_of(&self, book: &MeterBook) -> KeysOfMeter {
        self.inner.keys.keys_of(book.meter, book.generation)
    }

    /// The keys of the generation that a message names: around a key change the meter may have either. Only
    /// the meter and the company have any of them, so what its tag proves is the meter's.
    pub(crate) fn keys_for(
        &self,
        book: &MeterBook,
        message: &[u8],
    ) -> Result<KeysOfMeter, Problem> {
        let (_, generation, _) = peek(message).map_err(|error| not_proven(error.into()))?;
        Ok(self.inner.keys.keys_of(book.meter, generation))
    }

    /// A status of the meter that somebody outside named, once its tag was found to hold.
    pub(crate) async fn prove_status(
        &self,
        meter: MeterNumber,
        bytes: &[u8],
    ) -> Result<(MeterBook, KeysOfMeter, Proven<Status>), Problem> {
        let book = self.book(meter).await?;
        let keys = self.keys_for(&book, bytes)?;
        let status = prove_status(&keys, bytes).map_err(not_proven)?;
        Ok((book, keys, status))
    }
}
