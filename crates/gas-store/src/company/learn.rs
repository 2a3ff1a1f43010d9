//! States of the meter: believed, found old, or found to contradict the issue log.

use gas_sales::{
    Belief, BelievedState, CarriedCredit, Contradiction, LaterSign, LogEntry, MeterBook,
    MeterKeyring, OpenSale, Proven, Told, settlement, settlement_elsewhere,
};
use gas_statement::{Settlement, SigningKey};
use gas_token::{Seq, Status};
use gas_units::{MeterNumber, UnixMillis, VendId};

use super::refunds::conclude;
use super::replacements::conclude_replacement;
use super::rotations::reseal_unshown;
use super::tx::{NewAlarm, Tx};
use super::{CompanyStore, raise_alarm, sign};
use crate::sqlite::StoreError;

/// What the company made of a state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Learned {
    /// Believed, now or before, and the newest.
    Newest(BelievedState),
    /// True, and older than one believed before.
    Old(BelievedState),
    /// It shows a token that restored books do not know; nothing was believed, and the meter must be given
    /// its newest token first.
    NotYet,
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
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<StateOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let message = status.sha256();
        if !tx
            .use_nonce(status.meter, status.nonce, message, now)
            .await?
        {
            return Ok(StateOutcome::NonceNotLive);
        }
        let message = Message {
            told: Told::from(status),
            bytes: status.bytes(),
            answers: None,
        };
        let (learned, _) = learn(&mut tx, &message, keys, key, now).await?;
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

/// Company rules 2 to 4 in the caller's transaction; gives the meter's book as it is afterwards.
pub(super) async fn learn(
    tx: &mut Tx,
    message: &Message<'_>,
    keys: &(impl MeterKeyring + Sync),
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(Learned, MeterBook), StoreError> {
    // Books behind the mark would take what they have forgotten for a contradiction.
    tx.agree().await?;
    let told = &message.told;
    let row = tx.load_book(told.meter()).await?;
    let logged = logged(tx, told).await?;
    match row.book.believe(told, logged, now) {
        Belief::Believed(book) => {
            let believed = book
                .believed
                .ok_or_else(|| StoreError::Corrupt("a believed state went missing".to_owned()))?;
            settle(tx, message, key, now).await?;
            if book.carried_in > 0 {
                settle_carried(tx, message, key, now).await?;
            }
            let book = if book.generation == row.book.generation {
                book
            } else {
                reseal_unshown(tx, book, keys, now).await?
            };
            raise_later_sign(tx, &row.book, message, now).await?;
            let concluded = conclude_all(tx, &book, told, keys, key, now).await?;
            let book = concluded.unwrap_or(book);
            tx.save_book(&book, row.version).await?;
            tx.save_state(book.meter, &believed, message.bytes).await?;
            Ok((Learned::Newest(believed), book))
        }
        Belief::Contradicts(book, contradiction) => {
            tx.save_book(&book, row.version).await?;
            let detail = contradiction.to_string();
            let alarm = NewAlarm {
                meter: book.meter,
                kind: "contradiction",
                detail: &detail,
                message: message.bytes,
                raised_at: now,
            };
            raise_alarm(tx, &alarm).await?;
            Ok((Learned::Contradicts(contradiction), book))
        }
        Belief::Known => {
            let known = row.book.believed.unwrap_or_else(|| as_told(told, now));
            let concluded = conclude_all(tx, &row.book, told, keys, key, now).await?;
            if let Some(book) = &concluded {
                tx.save_book(book, row.version).await?;
            }
            Ok((Learned::Newest(known), concluded.unwrap_or(row.book)))
        }
        Belief::Old => Ok((Learned::Old(as_told(told, now)), row.book)),
        Belief::NotYet(book) if book.generation == row.book.generation => {
            Ok((Learned::NotYet, *book))
        }
        Belief::NotYet(book) => {
            let book = reseal_unshown(tx, *book, keys, now).await?;
            tx.save_book(&book, row.version).await?;
            Ok((Learned::NotYet, book))
        }
    }
}

/// A meter has one debit at most: of a refund, or of a replacement.
async fn conclude_all(
    tx: &mut Tx,
    book: &MeterBook,
    told: &Told,
    keys: &(impl MeterKeyring + Sync),
    key: &SigningKey,
    now: UnixMillis,
) -> Result<Option<MeterBook>, StoreError> {
    if book.replacement.is_some() {
        return conclude_replacement(tx, book, told, keys, key, now).await;
    }
    conclude(tx, book, told, keys, key, now).await
}

/// For people: a meter in whose place another stands goes on.
async fn raise_later_sign(
    tx: &mut Tx,
    before: &MeterBook,
    message: &Message<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let detail = match before.later_sign(message.told.state()) {
        None => return Ok(()),
        Some(LaterSign::Alive { balance, burnt }) => format!(
            "declared dead, and it tells a state: it holds {balance} (fen or 0.01 m³) and has burnt \
             {burnt} m³ since; its credit was carried to another meter before"
        ),
        Some(LaterSign::Burns(burnt)) => {
            format!("another meter stands in its place, and it has burnt {burnt} m³ since")
        }
    };
    let alarm = NewAlarm {
        meter: before.meter,
        kind: "retired_meter",
        detail: &detail,
        message: message.bytes,
        raised_at: now,
    };
    raise_alarm(tx, &alarm).await
}

/// The issue log where the state is held against it. A token may have been sealed again under a newer key:
/// which of its seals the meter has taken shows in its tag.
async fn logged(tx: &mut Tx, told: &Told) -> Result<Option<LogEntry>, StoreError> {
    let seq = told.state().last_seq;
    if seq == Seq::default() {
        return Ok(Some(LogEntry::BEFORE_THE_FIRST));
    }
    let Some(issue) = tx.find_issue(told.meter(), seq).await? else {
        return Ok(None);
    };
    let shown = told.state().last_tag;
    let mut tag = issue.token.tag.short();
    if tag != shown {
        let seals = tx.find_seals(told.meter(), seq).await?;
        let mut tags = seals.iter().map(|seal| seal.tag.short());
        tag = tags.find(|tag| *tag == shown).unwrap_or(tag);
    }
    let total = issue.total;
    Ok(Some(LogEntry { tag, total }))
}

const fn as_told(told: &Told, now: UnixMillis) -> BelievedState {
    BelievedState {
        state: *told.state(),
        battery_percent: told.battery_percent(),
        message_sha256: told.message_sha256(),
        believed_at: now,
    }
}

/// Sales of dead meters whose credit this one has shown: also of one whose place the dead one had taken.
async fn settle_carried(
    tx: &mut Tx,
    message: &Message<'_>,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let told = &message.told;
    for row in tx.carried_to(told.meter(), told.state().last_seq).await? {
        let Some(seq) = row.carry_seq else {
            continue;
        };
        let carried = CarriedCredit {
            replacement_id: row.open.replacement_id,
            new_meter: told.meter(),
            seq,
        };
        let mut dead = vec![(row.meter, row.open.seq)];
        while let Some((meter, up_to)) = dead.pop() {
            let stated = |sale| settlement_elsewhere(sale, carried, told, now);
            settle_up_to(tx, (meter, up_to), stated, key, now).await?;
            let before = tx.carried_to(meter, up_to).await?;
            dead.extend(before.iter().map(|row| (row.meter, row.open.seq)));
        }
    }
    Ok(())
}

async fn settle(
    tx: &mut Tx,
    message: &Message<'_>,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let meter = message.told.meter();
    let up_to = message.told.state().last_seq;
    let stated = |sale| settlement(sale, &message.told, message.answers, now);
    settle_up_to(tx, (meter, up_to), stated, key, now).await
}

/// Keeps what is `stated` of each open sale of a meter up to a sequence.
async fn settle_up_to(
    tx: &mut Tx,
    (meter, up_to): (MeterNumber, Seq),
    stated: impl Fn(OpenSale) -> Option<Settlement> + Send,
    key: &SigningKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    for sale in tx.unsettled_sales(meter, up_to).await? {
        if let Some(settlement) = stated(sale) {
            let signed = sign(key, settlement)?;
            tx.settle_sale(sale.vend_id, signed.compact(), now).await?;
        }
    }
    Ok(())
}
