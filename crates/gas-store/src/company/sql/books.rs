//! A meter's book as rows: `meters`, `believed_states`.

use gas_sales::{BelievedState, MeterBook, Moved, OpenDebit, PastYear, Retired, TariffYear};
use gas_token::{MeterState, Seq, ShortTag, StateFlags};
use gas_units::{MeterNumber, Money, Unit, UnixMillis, UnixTime, Volume};
use sqlx::SqliteConnection;

use super::{array, broken, digest, find_refund, find_replacement, parse};
use crate::company::tx::BookRow;
use crate::company::{ReplacementRow, changed_meanwhile};
use crate::sqlite::{StoreError, to_json};

#[derive(sqlx::FromRow)]
struct MeterColumns {
    meter: String,
    unit: u8,
    generation: u8,
    tariff: String,
    balance_limit: u32,
    sale_limit_fen: i64,
    epoch: u8,
    counter: u32,
    total: u32,
    last_tid: u32,
    frozen: bool,
    year: i64,
    year_start_register: u32,
    year_purchased: u32,
    believed_id: Option<i64>,
    version: i64,
    debit_refund_id: Option<String>,
    before_year: Option<i64>,
    before_start_register: Option<u32>,
    before_purchased: Option<u32>,
    replacement_id: Option<String>,
    retired_register: Option<u32>,
    retired_dead: bool,
    carried_in: u32,
    carried_out: u32,
    next_generation: Option<u8>,
    moved_used: u32,
    moved_purchased: u32,
    before_moved_used: u32,
    before_moved_purchased: u32,
}

#[derive(sqlx::FromRow)]
struct StateColumns {
    last_seq: u32,
    last_tag: Vec<u8>,
    total: u32,
    keypad: u32,
    balance: i32,
    register: u32,
    meter_time: u32,
    flags: u16,
    battery_percent: Option<u8>,
    message_sha256: Vec<u8>,
    believed_at_ms: i64,
}

pub(in crate::company) async fn find_book(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
) -> Result<Option<BookRow>, StoreError> {
    let columns: Option<MeterColumns> = sqlx::query_as("SELECT * FROM meters WHERE meter = ?")
        .bind(meter.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(columns) = columns else {
        return Ok(None);
    };
    let believed = match columns.believed_id {
        Some(id) => {
            let state: StateColumns = sqlx::query_as("SELECT * FROM believed_states WHERE id = ?")
                .bind(id)
                .fetch_one(&mut *connection)
                .await?;
            Some(state.parse()?)
        }
        None => None,
    };
    let debit = match &columns.debit_refund_id {
        Some(refund_id) => {
            let refund_id = parse("meters.debit_refund_id", refund_id)?;
            let refund = find_refund(&mut *connection, refund_id).await?;
            refund.map(|refund| refund.debit)
        }
        None => None,
    };
    let replacement = match &columns.replacement_id {
        Some(id) => find_replacement(connection, parse("meters.replacement_id", id)?).await?,
        None => None,
    };
    columns.parse(believed, debit, replacement).map(Some)
}

pub(in crate::company) async fn meters(
    connection: &mut SqliteConnection,
) -> Result<Vec<MeterNumber>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as("SELECT meter FROM meters ORDER BY meter")
        .fetch_all(connection)
        .await?;
    let meters = rows.iter().map(|(meter,)| parse("meters.meter", meter));
    meters.collect()
}

pub(in crate::company) async fn meters_before(
    connection: &mut SqliteConnection,
    epoch: u8,
) -> Result<Vec<MeterNumber>, StoreError> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT meter FROM meters WHERE epoch < ? ORDER BY meter")
            .bind(epoch)
            .fetch_all(connection)
            .await?;
    let meters = rows.iter().map(|(meter,)| parse("meters.meter", meter));
    meters.collect()
}

pub(in crate::company) async fn insert_book(
    connection: &mut SqliteConnection,
    book: &MeterBook,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO meters (meter, unit, generation, tariff, balance_limit, sale_limit_fen, epoch,
             counter, total, last_tid, frozen, year, year_start_register, year_purchased, version)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
    )
    .bind(book.meter.to_string())
    .bind(book.unit.to_byte())
    .bind(book.generation)
    .bind(to_json(&book.tariff)?)
    .bind(book.limit)
    .bind(book.sale_limit.fen())
    .bind(book.epoch)
    .bind(book.counter)
    .bind(book.total)
    .bind(book.last_tid)
    .bind(book.frozen)
    .bind(book.year.year)
    .bind(book.year.start_register.centi_m3())
    .bind(book.year.purchased.centi_m3())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

pub(in crate::company) async fn save_book(
    connection: &mut SqliteConnection,
    book: &MeterBook,
    version: i64,
) -> Result<(), StoreError> {
    let before = book.year.before;
    let retired_by = book.retired.map(|retired| retired.replacement_id);
    let replacement_id = book
        .replacement
        .map(|open| open.replacement_id)
        .or(retired_by);
    let saved = sqlx::query(
        "UPDATE meters SET epoch = ?, counter = ?, total = ?, last_tid = ?, frozen = ?, year = ?,
             year_start_register = ?, year_purchased = ?, before_year = ?,
             before_start_register = ?, before_purchased = ?, debit_refund_id = ?, generation = ?,
             next_generation = ?, replacement_id = ?, retired_register = ?, retired_dead = ?,
             carried_in = ?, carried_out = ?, moved_used = ?, moved_purchased = ?,
             before_moved_used = ?, before_moved_purchased = ?, version = version + 1
         WHERE meter = ? AND version = ?",
    )
    .bind(book.epoch)
    .bind(book.counter)
    .bind(book.total)
    .bind(book.last_tid)
    .bind(book.frozen)
    .bind(book.year.year)
    .bind(book.year.start_register.centi_m3())
    .bind(book.year.purchased.centi_m3())
    .bind(before.map(|past| past.year))
    .bind(before.map(|past| past.start_register.centi_m3()))
    .bind(before.map(|past| past.purchased.centi_m3()))
    .bind(book.debit.map(|debit| debit.refund_id.to_string()))
    .bind(book.generation)
    .bind(book.next_generation)
    .bind(replacement_id.map(|id| id.to_string()))
    .bind(book.retired.map(|retired| retired.register.centi_m3()))
    .bind(book.retired.is_some_and(|retired| retired.dead))
    .bind(book.carried_in)
    .bind(book.carried_out)
    .bind(book.year.moved.used.centi_m3())
    .bind(book.year.moved.purchased.centi_m3())
    .bind(before.map_or(0, |past| past.moved.used.centi_m3()))
    .bind(before.map_or(0, |past| past.moved.purchased.centi_m3()))
    .bind(book.meter.to_string())
    .bind(version)
    .execute(&mut *connection)
    .await?;
    if saved.rows_affected() != 1 {
        return Err(changed_meanwhile(book.meter));
    }
    Ok(())
}

pub(in crate::company) async fn save_state(
    connection: &mut SqliteConnection,
    meter: MeterNumber,
    believed: &BelievedState,
    message: &[u8],
) -> Result<(), StoreError> {
    let state = &believed.state;
    let inserted = sqlx::query(
        "INSERT INTO believed_states (meter, last_seq, last_tag, total, keypad, balance, register,
             meter_time, flags, battery_percent, message, message_sha256, believed_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(meter.to_string())
    .bind(state.last_seq.bits())
    .bind(state.last_tag.0.as_slice())
    .bind(state.total)
    .bind(state.keypad)
    .bind(state.balance)
    .bind(state.volume.centi_m3())
    .bind(state.time.seconds())
    .bind(state.flags.0)
    .bind(believed.battery_percent)
    .bind(message)
    .bind(believed.message_sha256.0.as_slice())
    .bind(believed.believed_at.millis())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE meters SET believed_id = ? WHERE meter = ?")
        .bind(inserted.last_insert_rowid())
        .bind(meter.to_string())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

impl MeterColumns {
    fn parse(
        self,
        believed: Option<BelievedState>,
        debit: Option<OpenDebit>,
        replacement: Option<ReplacementRow>,
    ) -> Result<BookRow, StoreError> {
        let past = (
            self.before_year,
            self.before_start_register,
            self.before_purchased,
        );
        let before = match past {
            (Some(year), Some(start_register), Some(purchased)) => Some(PastYear {
                year,
                start_register: Volume::from_centi_m3(start_register),
                purchased: Volume::from_centi_m3(purchased),
                moved: moved(self.before_moved_used, self.before_moved_purchased),
            }),
            (None, None, None) => None,
            (_, _, _) => return Err(StoreError::Corrupt("meters.before_year".to_owned())),
        };
        let open = replacement.as_ref().map(|row| row.open);
        let retired = self
            .retired_register
            .zip(open)
            .map(|(register, open)| Retired {
                replacement_id: open.replacement_id,
                new_meter: open.new_meter,
                seq: open.seq,
                register: Volume::from_centi_m3(register),
                dead: self.retired_dead,
            });
        let book = MeterBook {
            meter: parse("meters.meter", &self.meter)?,
            unit: Unit::try_from(self.unit).map_err(|error| broken("meters.unit", &error))?,
            generation: self.generation,
            tariff: serde_json::from_str(&self.tariff)
                .map_err(|error| broken("meters.tariff", &error))?,
            limit: self.balance_limit,
            sale_limit: Money::from_fen(self.sale_limit_fen),
            epoch: self.epoch,
            counter: self.counter,
            total: self.total,
            last_tid: self.last_tid,
            frozen: self.frozen,
            year: TariffYear {
                year: self.year,
                start_register: Volume::from_centi_m3(self.year_start_register),
                purchased: Volume::from_centi_m3(self.year_purchased),
                moved: moved(self.moved_used, self.moved_purchased),
                before,
            },
            believed,
            debit,
            replacement: open.filter(|_| retired.is_none()),
            retired,
            carried_in: self.carried_in,
            carried_out: self.carried_out,
            next_generation: self.next_generation,
        };
        Ok(BookRow {
            book,
            version: self.version,
        })
    }
}

const fn moved(used: u32, purchased: u32) -> Moved {
    Moved {
        used: Volume::from_centi_m3(used),
        purchased: Volume::from_centi_m3(purchased),
    }
}

impl StateColumns {
    fn parse(self) -> Result<BelievedState, StoreError> {
        Ok(BelievedState {
            state: MeterState {
                last_seq: Seq::from_bits(self.last_seq),
                last_tag: ShortTag(array("believed_states.last_tag", self.last_tag)?),
                total: self.total,
                keypad: self.keypad,
                balance: self.balance,
                volume: Volume::from_centi_m3(self.register),
                time: UnixTime::from_seconds(self.meter_time),
                flags: StateFlags(self.flags),
            },
            battery_percent: self.battery_percent,
            message_sha256: digest("believed_states.message_sha256", self.message_sha256)?,
            believed_at: UnixMillis::from_millis(self.believed_at_ms),
        })
    }
}
