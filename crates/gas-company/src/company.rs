use std::fmt;
use std::sync::Arc;

use gas_http::Problem;
use gas_sales::{MeterBook, Proven, prove_status};
use gas_statement::{SigningKey, VerifyingKey};
use gas_store::company::CompanyStore;
use gas_token::Status;
use gas_units::{MeterNumber, UnixMillis};

use crate::keys::{KeyStore, KeysOfMeter};
use crate::problems::{meter_unknown, not_proven};

/// How long a payment may be begun for a quote, ms.
pub const QUOTE_VALID_MS: i64 = 15 * 60 * 1000;

/// How long a status may answer a nonce, ms: long enough for a phone that fetched it ahead.
pub const NONCE_VALID_MS: i64 = 15 * 60 * 1000;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// What every route works with. Cheap to clone.
#[derive(Clone)]
pub struct Company(Arc<Inner>);

struct Inner {
    store: CompanyStore,
    keys: KeyStore,
    statement_key: SigningKey,
    pay_key: VerifyingKey,
    clock: Clock,
}

impl fmt::Debug for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Company(..)")
    }
}

impl Company {
    /// The company with its books and keys; `pay_key` is the payment server's.
    #[must_use]
    pub fn new(
        store: CompanyStore,
        keys: KeyStore,
        statement_key: SigningKey,
        pay_key: VerifyingKey,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            keys,
            statement_key,
            pay_key,
            clock,
        }))
    }

    pub(crate) fn now(&self) -> UnixMillis {
        (self.0.clock)()
    }

    pub(crate) fn store(&self) -> &CompanyStore {
        &self.0.store
    }

    pub(crate) fn statement_key(&self) -> &SigningKey {
        &self.0.statement_key
    }

    pub(crate) fn pay_key(&self) -> &VerifyingKey {
        &self.0.pay_key
    }

    /// The book of a meter that somebody outside named.
    pub(crate) async fn book(&self, meter: MeterNumber) -> Result<MeterBook, Problem> {
        let book = self.0.store.meter(meter).await.map_err(Problem::ours)?;
        book.ok_or_else(|| meter_unknown(meter))
    }

    pub(crate) fn keys_of(&self, book: &MeterBook) -> KeysOfMeter {
        self.0.keys.keys_of(book.meter, book.generation)
    }

    /// A status of the meter that somebody outside named, once its tag was found to hold.
    pub(crate) async fn prove_status(
        &self,
        meter: MeterNumber,
        bytes: &[u8],
    ) -> Result<(MeterBook, Proven<Status>), Problem> {
        let book = self.book(meter).await?;
        let status = prove_status(&self.keys_of(&book), bytes).map_err(not_proven)?;
        Ok((book, status))
    }
}
