//! The payment server's rows on SQLite.

use std::sync::Arc;

use gas_ledger::{Account, Transfer};
use gas_tender::{Applied, Effect, RefundState, State};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};
use sqlx::query::QueryAs;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite as Engine, Transaction};

use super::{
    Begun, Change, NewRefund, NotificationId, PaidRow, RefundChange, RefundRow, Saved, TenderRow,
};
use crate::outbox;
use crate::sqlite::{Sqlite, StoreError, from_json, to_json};

type Columns = (String, i64, String, Option<String>);

pub(super) async fn find(
    db: &Sqlite,
    vend_id: VendId,
) -> Result<Option<Arc<TenderRow>>, StoreError> {
    let row =
        sqlx::query_as("SELECT tender, version, quote, payment FROM tenders WHERE vend_id = ?")
            .bind(vend_id.to_string())
            .fetch_optional(db.readers())
            .await?;
    row.map(parse_row).transpose()
}

pub(super) async fn find_by_order(
    db: &Sqlite,
    order_no: &str,
) -> Result<Option<Arc<TenderRow>>, StoreError> {
    let row =
        sqlx::query_as("SELECT tender, version, quote, payment FROM tenders WHERE order_no = ?")
            .bind(order_no)
            .fetch_optional(db.readers())
            .await?;
    row.map(parse_row).transpose()
}

pub(super) async fn create(
    db: &Sqlite,
    applied: &Applied,
    quote: &str,
    now: UnixMillis,
) -> Result<Saved, StoreError> {
    let mut tx = db.begin().await?;
    let tender = &applied.tender;
    let inserted = sqlx::query(
        "INSERT INTO tenders (vend_id, order_no, version, state, amount_fen, tender, quote, created_at_ms)
         VALUES (?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(tender.vend_id().to_string())
    .bind(tender.order_no())
    .bind(state_name(tender.state()))
    .bind(tender.amount().fen())
    .bind(to_json(tender)?)
    .bind(quote)
    .bind(now.millis())
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Saved::Raced);
    }
    put_effects(&mut tx, tender.vend_id(), &applied.effects, now).await?;
    tx.commit().await?;
    Ok(Saved::Done)
}

pub(super) async fn save(db: &Sqlite, change: Change<'_>) -> Result<Saved, StoreError> {
    let mut tx = db.begin().await?;
    let tender = &change.applied.tender;
    let updated = sqlx::query(
        "UPDATE tenders SET version = version + 1, state = ?, tender = ?, payment = COALESCE(payment, ?)
         WHERE vend_id = ? AND version = ?",
    )
    .bind(state_name(tender.state()))
    .bind(to_json(tender)?)
    .bind(change.payment)
    .bind(tender.vend_id().to_string())
    .bind(change.version)
    .execute(&mut *tx)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(Saved::Raced);
    }
    if let Some(id) = change.notification {
        put_notification(&mut tx, id, tender.order_no(), change.now).await?;
    }
    let effects = &change.applied.effects;
    put_effects(&mut tx, tender.vend_id(), effects, change.now).await?;
    if let Some(effect_id) = change.performed {
        outbox::done(&mut tx, effect_id, change.now).await?;
    }
    tx.commit().await?;
    Ok(Saved::Done)
}

pub(super) async fn knows_notification(
    db: &Sqlite,
    id: NotificationId<'_>,
) -> Result<bool, StoreError> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM notifications WHERE provider = ? AND event_id = ?")
            .bind(id.provider)
            .bind(id.event_id)
            .fetch_one(db.readers())
            .await?;
    Ok(count > 0)
}

pub(super) async fn transfers(db: &Sqlite) -> Result<Vec<Transfer>, StoreError> {
    let rows: Vec<(String, String, String, i64, String, i64)> = sqlx::query_as(
        "SELECT transfer_id, debit, credit, amount_fen, vend_id, at_ms FROM transfers ORDER BY at_ms, transfer_id",
    )
    .fetch_all(db.readers())
    .await?;
    rows.into_iter().map(parse_transfer).collect()
}

pub(super) async fn find_refund(
    db: &Sqlite,
    id: RefundId,
) -> Result<Option<RefundRow>, StoreError> {
    let query = sqlx::query_as(
        "SELECT refund, version, refund_order, refunded FROM refunds WHERE refund_id = ?",
    );
    one(db, query.bind(id.to_string())).await
}

pub(super) async fn find_refund_of(
    db: &Sqlite,
    vend_id: VendId,
) -> Result<Option<RefundRow>, StoreError> {
    let query = sqlx::query_as(
        "SELECT refund, version, refund_order, refunded FROM refunds WHERE vend_id = ?",
    );
    one(db, query.bind(vend_id.to_string())).await
}

pub(super) async fn begin_refund(db: &Sqlite, new: NewRefund<'_>) -> Result<Begun, StoreError> {
    let mut tx = db.begin().await?;
    let refund = &new.applied.refund;
    let fence: Option<(i64,)> = sqlx::query_as("SELECT epoch FROM fences WHERE meter = ?")
        .bind(refund.meter().to_string())
        .fetch_optional(&mut *tx)
        .await?;
    if fence.is_some_and(|(epoch,)| epoch > i64::from(new.epoch)) {
        return Ok(Begun::Fenced);
    }
    let inserted = sqlx::query(
        "INSERT INTO refunds (refund_id, vend_id, version, state, amount_fen, refund, refund_order, created_at_ms)
         VALUES (?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(refund.refund_id().to_string())
    .bind(refund.vend_id().to_string())
    .bind(refund_state_name(refund.state()))
    .bind(refund.amount().fen())
    .bind(to_json(refund)?)
    .bind(new.order)
    .bind(new.now.millis())
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Begun::Known);
    }
    put_effects(&mut tx, refund.vend_id(), &new.applied.effects, new.now).await?;
    tx.commit().await?;
    Ok(Begun::Done)
}

pub(super) async fn save_refund(
    db: &Sqlite,
    change: RefundChange<'_>,
) -> Result<Saved, StoreError> {
    let mut tx = db.begin().await?;
    let refund = &change.applied.refund;
    let updated = sqlx::query(
        "UPDATE refunds SET version = version + 1, state = ?, refund = ?, refunded = COALESCE(refunded, ?)
         WHERE refund_id = ? AND version = ?",
    )
    .bind(refund_state_name(refund.state()))
    .bind(to_json(refund)?)
    .bind(change.refunded)
    .bind(refund.refund_id().to_string())
    .bind(change.version)
    .execute(&mut *tx)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(Saved::Raced);
    }
    let effects = &change.applied.effects;
    put_effects(&mut tx, refund.vend_id(), effects, change.now).await?;
    if let Some(id) = change.notification {
        put_notification(&mut tx, id, refund.order_no(), change.now).await?;
    }
    if let Some(effect_id) = change.performed {
        outbox::done(&mut tx, effect_id, change.now).await?;
    }
    tx.commit().await?;
    Ok(Saved::Done)
}

pub(super) async fn paid_of(db: &Sqlite, meter: MeterNumber) -> Result<Vec<PaidRow>, StoreError> {
    let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT tenders.quote, tenders.payment, refunds.refund_order, refunds.refunded
         FROM tenders LEFT JOIN refunds ON refunds.vend_id = tenders.vend_id
         WHERE json_extract(tenders.tender, '$.meter') = ? AND tenders.payment IS NOT NULL
         ORDER BY tenders.vend_id",
    )
    .bind(meter.to_string())
    .fetch_all(db.readers())
    .await?;
    let paid = |(quote, payment, order, refunded)| PaidRow {
        quote,
        payment,
        order,
        refunded,
    };
    Ok(rows.into_iter().map(paid).collect())
}

pub(super) async fn fence(db: &Sqlite, meter: MeterNumber, epoch: u8) -> Result<u8, StoreError> {
    let mut tx = db.begin().await?;
    let (fenced,): (i64,) = sqlx::query_as(
        "INSERT INTO fences (meter, epoch) VALUES (?, ?)
         ON CONFLICT (meter) DO UPDATE SET epoch = MAX(epoch, excluded.epoch) RETURNING epoch",
    )
    .bind(meter.to_string())
    .bind(i64::from(epoch))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    u8::try_from(fenced).map_err(|error| StoreError::Corrupt(format!("fence: {error}")))
}

async fn put_effects(
    tx: &mut Transaction<'_, Engine>,
    vend_id: VendId,
    effects: &[Effect],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let vend_id = vend_id.to_string();
    for effect in effects {
        if let Effect::Post(transfer) = effect {
            post(tx, transfer).await?;
        } else {
            outbox::put(tx, &effect.id(), &vend_id, effect, effect.due_at(now)).await?;
        }
    }
    Ok(())
}

async fn put_notification(
    tx: &mut Transaction<'_, Engine>,
    id: NotificationId<'_>,
    order_no: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO notifications (provider, event_id, order_no, received_at_ms)
         VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(id.provider)
    .bind(id.event_id)
    .bind(order_no)
    .bind(now.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The same id again is the same transfer; the same id with other contents is refused by the caller's
/// having made the id from the order, which is paid once.
async fn post(tx: &mut Transaction<'_, Engine>, transfer: &Transfer) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO transfers (transfer_id, debit, credit, amount_fen, vend_id, at_ms)
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(transfer.id())
    .bind(to_json(transfer.debit())?)
    .bind(to_json(transfer.credit())?)
    .bind(transfer.amount().fen())
    .bind(transfer.vend_id().to_string())
    .bind(transfer.at().millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn parse_row(row: (String, i64, String, Option<String>)) -> Result<Arc<TenderRow>, StoreError> {
    let (tender, version, quote, payment) = row;
    let tender = from_json(&tender)?;
    Ok(Arc::new(TenderRow {
        tender,
        version,
        quote: quote.into(),
        payment: payment.map(Arc::from),
    }))
}

fn parse_transfer(row: (String, String, String, i64, String, i64)) -> Result<Transfer, StoreError> {
    let (id, debit, credit, amount, vend_id, at) = row;
    let debit: Account = from_json(&debit)?;
    let credit: Account = from_json(&credit)?;
    let broken = |error: &dyn std::fmt::Display| StoreError::Corrupt(format!("transfer: {error}"));
    let vend_id: VendId = vend_id.parse().map_err(|error| broken(&error))?;
    let at = UnixMillis::from_millis(at);
    Transfer::new(id, debit, credit, Money::from_fen(amount), vend_id, at)
        .map_err(|error| broken(&error))
}

async fn one<'q>(
    db: &Sqlite,
    query: QueryAs<'q, Engine, Columns, SqliteArguments>,
) -> Result<Option<RefundRow>, StoreError> {
    let row = query.fetch_optional(db.readers()).await?;
    row.map(|(refund, version, order, refunded)| {
        Ok(RefundRow {
            refund: from_json(&refund)?,
            version,
            order,
            refunded,
        })
    })
    .transpose()
}

const fn refund_state_name(state: &RefundState) -> &'static str {
    match state {
        RefundState::Ordered => "ordered",
        RefundState::AtProvider => "at_provider",
        RefundState::Refunded(_) => "refunded",
    }
}

const fn state_name(state: &State) -> &'static str {
    match state {
        State::Requested => "requested",
        State::Open { .. } => "open",
        State::Closed => "closed",
        State::Paid(_) => "paid",
    }
}
