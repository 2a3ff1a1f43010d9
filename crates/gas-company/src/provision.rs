use std::path::Path;

use gas_http::{PrivateFileError, write_private};
use gas_sales::{MeterBook, TariffYear};
use gas_store::StoreError;
use gas_store::company::{AddOutcome, CompanyStore};
use gas_tariff::Tariff;
use gas_token_keys::MeterKey;
use gas_units::{MeterNumber, Money, Unit, UnixMillis, Volume};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::keys::KeyStore;

/// The key generation that meters are provisioned with.
const FIRST_GENERATION: u8 = 1;

/// A meter to be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewMeter {
    /// Its number.
    pub meter: MeterNumber,
    /// What it counts in.
    pub unit: Unit,
    /// What its gas costs.
    pub tariff: Tariff,
    /// Most that its balance may come to, in its unit.
    pub limit: u32,
    /// Most that one sale may cost.
    pub sale_limit: Money,
    /// Its register when this tariff year began; [`None`] where its first reading begins the year.
    pub year_start_register: Option<Volume>,
}

/// Why a meter was not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddMeterError {
    /// It is there already, as something else.
    #[error(
        "meter {0} was added before with another unit, tariff or limit; it stays as it was. \
         Add it with the same settings to have its provisioning written again"
    )]
    Differs(MeterNumber),
    /// The provisioning could not be written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The provisioning could not be put in words.
    #[error("the provisioning could not be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The limit does not fit the meter's balance.
    #[error("the limit must be above zero and fit the meter's balance (at most 2147483647)")]
    Limit,
    /// The books failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a meter is made with. It holds the meter's key, and no other.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// Its number.
    pub meter: MeterNumber,
    /// Generation of its key.
    pub generation: u8,
    /// Its key.
    pub key: MeterKey,
    /// What it counts in.
    pub unit: Unit,
    /// Most that its balance may come to, in its unit.
    pub limit: u32,
    /// What its gas costs.
    pub tariff: Tariff,
}

/// [`Provisioned`] as the file says it.
#[derive(Serialize)]
struct ProvisioningFile<'a> {
    meter: MeterNumber,
    generation: u8,
    meter_key_hex: &'a str,
    unit: Unit,
    limit: u32,
    tariff: Tariff,
}

/// Takes a meter into the books and writes what it is provisioned with to `out` (0600). Run again with the
/// same settings, it writes the same file; the books stay as they are.
///
/// # Errors
/// [`AddMeterError`].
pub async fn add_meter(
    store: &CompanyStore,
    keys: &KeyStore,
    new: NewMeter,
    out: &Path,
    now: UnixMillis,
) -> Result<(), AddMeterError> {
    let provisioned = provision(store, keys, new, now).await?;
    let key_hex = Zeroizing::new(hex::encode(provisioned.key.expose()));
    let file = ProvisioningFile {
        meter: provisioned.meter,
        generation: provisioned.generation,
        meter_key_hex: &key_hex,
        unit: provisioned.unit,
        limit: provisioned.limit,
        tariff: provisioned.tariff,
    };
    let text = Zeroizing::new(serde_json::to_vec_pretty(&file)?);
    Ok(write_private(out, &text)?)
}

/// Takes a meter into the books, where it is not there yet with the same settings.
pub(crate) async fn provision(
    store: &CompanyStore,
    keys: &KeyStore,
    new: NewMeter,
    now: UnixMillis,
) -> Result<Provisioned, AddMeterError> {
    if new.limit == 0 || i32::try_from(new.limit).is_err() {
        return Err(AddMeterError::Limit);
    }
    let book = MeterBook {
        meter: new.meter,
        unit: new.unit,
        generation: FIRST_GENERATION,
        tariff: new.tariff,
        limit: new.limit,
        sale_limit: new.sale_limit,
        epoch: 0,
        counter: 0,
        total: 0,
        last_tid: 0,
        frozen: false,
        year: match new.year_start_register {
            Some(register) => TariffYear::beginning(now, register),
            None => TariffYear::BEFORE_THE_FIRST_READING,
        },
        believed: None,
        debit: None,
        replacement: None,
        retired: None,
        carried_in: 0,
        carried_out: 0,
        next_generation: None,
    };
    let generation = match store.add_meter(&book).await? {
        AddOutcome::Added => FIRST_GENERATION,
        AddOutcome::Known(known) if settings(&known) == settings(&book) => known.generation,
        AddOutcome::Known(_) => return Err(AddMeterError::Differs(new.meter)),
    };
    Ok(Provisioned {
        meter: new.meter,
        generation,
        key: keys.meter_key(new.meter, generation),
        unit: new.unit,
        limit: new.limit,
        tariff: new.tariff,
    })
}

fn settings(book: &MeterBook) -> (Unit, Tariff, u32, Money) {
    (book.unit, book.tariff, book.limit, book.sale_limit)
}
