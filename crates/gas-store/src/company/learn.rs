//! States of the meter: believed, found old, or found to contradict the issue log.

use gas_sales::{
    Belief, BelievedState, Contradiction, MeterBook, OpenSale, Proven, Told, settlement,
};
use gas_statement::SigningKey;
use gas_token::{Seq, Status};
use gas_units::{UnixMillis, VendId};

use super::rows::{load_book, logged_at, parse, save_book, save_state};
use super::{CompanyStore, Tx, raise_alarm, sign, use_nonce};
use crate::sqlite::StoreError;

/// What the company made of a state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Learned {
    /// Believed, now or before, and the newest.
    Newest(BelievedState),
    /// True, and older than one believed before.
    Old(BelievedState),
    /// It contradicts the issue log: the meter is frozen, an alarm is raised.
    Contradicts(Contradiction),
}

/// What came of a status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StateOutcome {
    /// It answers a live nonce.
    Learned(Learned),
    /// Its nonce is unknown, expired, or was used up by another message. Nothing was believed.
    NonceNotLive,
}

impl CompanyStore {
    /// Learns from a status that answers one of our live nonces, and settles every sale that it shows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report_status(
        &self,
        status: &Proven<Status>,
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<StateOutcome, StoreError> {
        let mut tx = self.db.begin().await?;
        if !use_nonce(&mut tx, status.meter, status.nonce, status.sha256(), now).await? {
            return Ok(StateOutcome::NonceNotLive);
        }
        let message = Message {
            told: Told::from(status),
            bytes: status.bytes(),
            answers: None,
        };
        let (learned, _) = learn(&mut tx, &message, key, now).await?;
        tx.commit().await?;
        Ok(StateOutcome::Learned(learned))
    }
}

/// A genuine message, and the vend whose token it answers, if it is a receipt.
pub(super) struct Message<'a> {
    pub(super) told: Told,
    pub(super) bytes: &'a [u8],
    pub(super) answers: Option<VendId>,
}

/// Company rules 2 and 3 in the caller's transaction; gives the meter's book as it is afterwards.
pub(super) async fn learn(
    tx: &mut Tx,
    message: &Message<'_>,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(Learned, MeterBook), StoreError> {
    let told = &message.told;
    let row = load_book(tx, told.meter()).await?;
    let logged = logged_at(tx, told.meter(), told.state().last_seq).await?;
    match row.book.believe(told, logged, now) {
        Belief::Believed(book) => {
            save_book(tx, &book, row.version).await?;
            let believed = book
                .believed
                .ok_or_else(|| StoreError::Corrupt("a believed state went missing".to_owned()))?;
            save_state(tx, &book, &believed, message.bytes).await?;
            settle(tx, message, key, now).await?;
            Ok((Learned::Newest(believed), book))
        }
        Belief::Contradicts(book, contradiction) => {
            save_book(tx, &book, row.version).await?;
            let detail = contradiction.to_string();
            raise_alarm(tx, book.meter, "contradiction", &detail, message.bytes, now).await?;
            Ok((Learned::Contradicts(contradiction), book))
        }
        Belief::Known => {
            let known = row.book.believed.unwrap_or_else(|| as_told(told, now));
            Ok((Learned::Newest(known), row.book))
        }
        Belief::Old | Belief::NotYet => Ok((Learned::Old(as_told(told, now)), row.book)),
    }
}

const fn as_told(told: &Told, now: UnixMillis) -> BelievedState {
    BelievedState {
        state: *told.state(),
        battery_percent: told.battery_percent(),
        message_sha256: told.message_sha256(),
        believed_at: now,
    }
}

async fn settle(
    tx: &mut Tx,
    message: &Message<'_>,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let meter = message.told.meter();
    let open: Vec<(String, u32)> = sqlx::query_as(
        "SELECT vend_id, seq FROM sales
         WHERE meter = ? AND settlement IS NULL AND seq <= ? ORDER BY seq",
    )
    .bind(meter.to_string())
    .bind(message.told.state().last_seq.bits())
    .fetch_all(&mut **tx)
    .await?;
    for (vend_id, seq) in open {
        let sale = OpenSale {
            vend_id: parse("sales.vend_id", &vend_id)?,
            meter,
            seq: Seq::from_bits(seq),
        };
        let Some(settlement) = settlement(sale, &message.told, message.answers, now) else {
            continue;
        };
        let signed = sign(key, settlement)?;
        sqlx::query(
            "UPDATE sales SET settlement = ?, settled_at_ms = ?
             WHERE vend_id = ? AND settlement IS NULL",
        )
        .bind(signed.compact())
        .bind(now.millis())
        .bind(vend_id)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
