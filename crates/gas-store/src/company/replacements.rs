//! Meters that are replaced: debit, the old meter's proof or two people's word, then its credit for the new one.

use gas_sales::{
    Approval, Correction, MeterBook, MeterKeyring, OpenReplacement, ReceiveRefusal,
    ReplaceConclusion, ReplaceRefusal, Successor, Told,
};
use gas_statement::{MeterReplaced, ReplacementEvidence, SigningKey};
use gas_token::Seq;
use gas_units::{MeterNumber, ReplacementId, UnixMillis};

use super::refunds::{close_refund, correction_row};
use super::reservations::holder;
use super::tx::{IssueKind, NewAlarm, Tx};
use super::{CompanyStore, Effect, raise_alarm, sign};
use crate::sqlite::StoreError;

/// Where a replacement stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplacementState {
    /// The debit is out; the old meter has not answered for it.
    Open,
    /// The old meter refused the debit: its reversal is out.
    Reversed,
    /// The credit has left the old meter, and is to be given to the new one.
    CarryDue,
    /// The new meter's token holds it.
    Carried,
    /// The old meter holds its credit again; nothing went to the new one.
    Closed,
}

/// A replacement as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplacementRow {
    /// The old meter.
    pub meter: MeterNumber,
    /// Why it was asked for; for people.
    pub reason: String,
    /// Who has declared the old meter dead, if it was.
    pub approved_by: Option<[String; 2]>,
    /// Where it stands.
    pub state: ReplacementState,
    /// What is taken off, for which meter, and by which tokens.
    pub open: OpenReplacement,
    /// Our statement that it has left the old meter, compact JWS, from [`ReplacementState::CarryDue`] on.
    pub statement: Option<String>,
    /// Sequence of the new meter's token, once carried.
    pub carry_seq: Option<Seq>,
    /// When it was asked for.
    pub asked_at: UnixMillis,
}

/// What is asked for: one meter in another's place.
#[derive(Clone, Copy, Debug)]
pub struct ReplacementInquiry<'a> {
    /// The replacement.
    pub replacement_id: ReplacementId,
    /// The old meter.
    pub meter: MeterNumber,
    /// The new one.
    pub new_meter: MeterNumber,
    /// Why; for people.
    pub reason: &'a str,
    /// Who declares the old meter dead, if it is.
    pub approval: Option<&'a Approval>,
}

/// What came of asking for a replacement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReplacementOutcome {
    /// It stands as told: begun now, or before.
    Stands(Box<ReplacementRow>),
    /// This id was given to the replacement of other meters, or approved by others.
    IdReused,
    /// It cannot be begun now.
    Refused(ReplaceRefusal),
}

/// What came of giving the new meter its credit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CarryOutcome {
    /// Its token is issued, now or before; or there is nothing to be given yet.
    Stands(Box<ReplacementRow>),
    /// Not now: the credit waits.
    Refused(ReceiveRefusal),
}

impl ReplacementState {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Reversed,
        Self::CarryDue,
        Self::Carried,
        Self::Closed,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reversed => "reversed",
            Self::CarryDue => "carry_due",
            Self::Carried => "carried",
            Self::Closed => "closed",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the new meter may still get something by it.
    pub(super) const fn is_under_way(self) -> bool {
        match self {
            Self::Open | Self::Reversed | Self::CarryDue => true,
            Self::Carried | Self::Closed => false,
        }
    }
}

impl CompanyStore {
    /// The replacement of this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replacement(
        &self,
        replacement_id: ReplacementId,
    ) -> Result<Option<ReplacementRow>, StoreError> {
        self.read().await?.find_replacement(replacement_id).await
    }

    /// Company rule 8: takes all credit off a meter by a debit token; where two people have declared it dead,
    /// the credit has left at once. Again by the same id, it stands as it is, and one that was begun while
    /// the meter was thought to be alive ends by the declaration.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was issued then, or it was and the same call tells so.
    pub async fn replace(
        &self,
        inquiry: ReplacementInquiry<'_>,
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<ReplacementOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let known = tx.find_replacement(inquiry.replacement_id).await?;
        if let Some(row) = &known
            && let Some(outcome) = stands(row, &inquiry)
        {
            return Ok(outcome);
        }
        let old = tx.load_book(inquiry.meter).await?;
        let new = tx.load_book(inquiry.new_meter).await?.book;
        let reserved = holder(&mut tx, inquiry.meter, now).await?;
        let incoming = tx.incoming_replacement(inquiry.meter).await?;
        let successor = Successor {
            replacement_id: inquiry.replacement_id,
            book: &new,
        };
        let debit = match inquiry.approval {
            None => old.book.replace(successor, reserved, incoming, keys, now),
            Some(approval) => old
                .book
                .declare_dead(successor, approval, reserved, incoming, keys, now),
        };
        let debit = match debit {
            Ok(debit) => debit,
            Err(refusal) => return Ok(ReplacementOutcome::Refused(refusal)),
        };
        let asked_at = known.map_or(now, |row| row.asked_at);
        let row = begun(&inquiry, &old.book, &debit, key, (asked_at, now))?;
        tx.insert_issue(&correction_row(&debit, IssueKind::Debit, None, now))
            .await?;
        if let Some(refund) = old.book.debit.filter(|_| inquiry.approval.is_some()) {
            close_refund(&mut tx, refund.refund_id).await?;
        }
        tx.put_replacement(&row).await?;
        tx.save_book(&debit.book, old.version).await?;
        if row.state == ReplacementState::CarryDue {
            put_carry(&mut tx, &row, now).await?;
            raise_declared_dead(&mut tx, &row, now).await?;
        }
        tx.commit().await?;
        Ok(ReplacementOutcome::Stands(Box::new(row)))
    }

    /// Company rule 8: gives the credit that has left the old meter to the new one, exactly once. Again, or
    /// where nothing is due, it changes nothing. `keys_of` gives the new meter's keys.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was issued then, or it was and the same call tells so.
    pub async fn carry_over<K: MeterKeyring + Send + Sync>(
        &self,
        replacement_id: ReplacementId,
        keys_of: impl FnOnce(&MeterBook) -> K + Send,
        now: UnixMillis,
    ) -> Result<CarryOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let row = load_replacement(&mut tx, replacement_id).await?;
        let effect = Effect::CarryOver { replacement_id };
        match row.state {
            ReplacementState::CarryDue => {}
            ReplacementState::Open
            | ReplacementState::Reversed
            | ReplacementState::Carried
            | ReplacementState::Closed => return Ok(CarryOutcome::Stands(Box::new(row))),
        }
        let old = tx.load_book(row.meter).await?.book;
        let new = tx.load_book(row.open.new_meter).await?;
        let keys = keys_of(&new.book);
        let credit = row.open.credit;
        let carry = match new.book.receive(&old, replacement_id, credit, &keys, now) {
            Ok(carry) => carry,
            Err(refusal) => return Ok(CarryOutcome::Refused(refusal)),
        };
        tx.insert_issue(&correction_row(&carry, IssueKind::Carry, None, now))
            .await?;
        let row = ReplacementRow {
            state: ReplacementState::Carried,
            carry_seq: Some(carry.seq),
            ..row
        };
        tx.put_replacement(&row).await?;
        tx.save_book(&carry.book, new.version).await?;
        tx.done(&effect, now).await?;
        tx.commit().await?;
        Ok(CarryOutcome::Stands(Box::new(row)))
    }
}

/// What is told of a replacement that is known; [`None`] where it is to be ended by a declaration.
fn stands(row: &ReplacementRow, inquiry: &ReplacementInquiry<'_>) -> Option<ReplacementOutcome> {
    if row.meter != inquiry.meter || row.open.new_meter != inquiry.new_meter {
        return Some(ReplacementOutcome::IdReused);
    }
    let waits = match row.state {
        ReplacementState::Open | ReplacementState::Reversed => true,
        ReplacementState::CarryDue | ReplacementState::Carried | ReplacementState::Closed => false,
    };
    match (inquiry.approval, &row.approved_by) {
        (Some(_), None) if waits => None,
        (Some(approval), Some(names)) if approval.names() != names => {
            Some(ReplacementOutcome::IdReused)
        }
        (Some(_) | None, Some(_) | None) => Some(ReplacementOutcome::Stands(Box::new(row.clone()))),
    }
}

fn begun(
    inquiry: &ReplacementInquiry<'_>,
    before: &MeterBook,
    debit: &Correction,
    key: &SigningKey,
    (asked_at, now): (UnixMillis, UnixMillis),
) -> Result<ReplacementRow, StoreError> {
    let carried = debit.book.carried_out - before.carried_out;
    let open = debit.book.replacement.unwrap_or_else(|| OpenReplacement {
        replacement_id: inquiry.replacement_id,
        new_meter: inquiry.new_meter,
        credit: carried,
        seq: debit.seq,
        tag: debit.token.tag.short(),
        reversal: None,
    });
    let (state, statement) = match inquiry.approval {
        None => (ReplacementState::Open, None),
        Some(approval) => {
            let evidence = ReplacementEvidence::DeclaredDead {
                approved_by: approval.names().clone(),
                reason: inquiry.reason.to_owned(),
            };
            let statement = replaced(&debit.book, &open, evidence, now)?;
            let signed = sign(key, statement)?.into_parts().0;
            (ReplacementState::CarryDue, Some(signed))
        }
    };
    Ok(ReplacementRow {
        meter: inquiry.meter,
        reason: inquiry.reason.to_owned(),
        approved_by: inquiry.approval.map(|approval| approval.names().clone()),
        state,
        open,
        statement,
        carry_seq: None,
        asked_at,
    })
}

fn replaced(
    old: &MeterBook,
    open: &OpenReplacement,
    evidence: ReplacementEvidence,
    now: UnixMillis,
) -> Result<MeterReplaced, StoreError> {
    let believed = old
        .believed
        .ok_or_else(|| StoreError::Corrupt("a believed state went missing".to_owned()))?;
    Ok(MeterReplaced {
        replacement_id: open.replacement_id,
        meter: old.meter,
        new_meter: open.new_meter,
        unit: old.unit,
        credit: open.credit,
        seq: open.seq.bits(),
        evidence,
        message_sha256: believed.message_sha256,
        replaced_at_ms: now,
    })
}

/// Company rule 8, second half: what a state that was believed, or was known, means for the meter's open
/// replacement. Gives the changed book, which the caller saves.
pub(super) async fn conclude_replacement(
    tx: &mut Tx,
    book: &MeterBook,
    told: &Told,
    keys: &(impl MeterKeyring + Sync),
    key: &SigningKey,
    now: UnixMillis,
) -> Result<Option<MeterBook>, StoreError> {
    let conclusion = match book.conclude_replacement(told) {
        Ok(conclusion) => conclusion,
        Err(exhausted) => {
            let meter = book.meter;
            tracing::error!(%meter, %exhausted, "a replacement cannot be concluded");
            return Ok(None);
        }
    };
    match conclusion {
        ReplaceConclusion::Nothing => Ok(None),
        ReplaceConclusion::Left(book, open) => {
            let row = load_replacement(tx, open.replacement_id).await?;
            let statement = replaced(&book, &open, ReplacementEvidence::Shown, now)?;
            let row = ReplacementRow {
                state: ReplacementState::CarryDue,
                open,
                statement: Some(sign(key, statement)?.into_parts().0),
                ..row
            };
            tx.put_replacement(&row).await?;
            put_carry(tx, &row, now).await?;
            Ok(Some(*book))
        }
        ReplaceConclusion::ReversalDue => reverse(tx, book, keys, now).await,
        ReplaceConclusion::Closed(book, open) => {
            close_replacement(tx, open.replacement_id).await?;
            Ok(Some(*book))
        }
    }
}

/// Issues the reversal of the open replacement. Where that cannot be, what was believed stays believed, and
/// the same receipt may be shown again.
async fn reverse(
    tx: &mut Tx,
    book: &MeterBook,
    keys: &(impl MeterKeyring + Sync),
    now: UnixMillis,
) -> Result<Option<MeterBook>, StoreError> {
    let reversal = match book.reverse_replacement(keys, now) {
        Ok(reversal) => reversal,
        Err(refusal) => {
            let meter = book.meter;
            tracing::error!(%meter, %refusal, "a refused debit cannot be reversed");
            return Ok(None);
        }
    };
    let open = reversal.book.replacement.ok_or_else(|| {
        StoreError::Corrupt(format!("meter {} has no open replacement", book.meter))
    })?;
    let row = load_replacement(tx, open.replacement_id).await?;
    tx.insert_issue(&correction_row(&reversal, IssueKind::Reversal, None, now))
        .await?;
    let row = ReplacementRow {
        state: ReplacementState::Reversed,
        open,
        ..row
    };
    tx.put_replacement(&row).await?;
    Ok(Some(reversal.book))
}

/// The old meter keeps its credit, or is thought to.
pub(super) async fn close_replacement(
    tx: &mut Tx,
    replacement_id: ReplacementId,
) -> Result<(), StoreError> {
    let row = load_replacement(tx, replacement_id).await?;
    let closed = ReplacementRow {
        state: ReplacementState::Closed,
        ..row
    };
    tx.put_replacement(&closed).await
}

pub(super) async fn load_replacement(
    tx: &mut Tx,
    replacement_id: ReplacementId,
) -> Result<ReplacementRow, StoreError> {
    tx.find_replacement(replacement_id)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("replacement {replacement_id} is missing")))
}

async fn put_carry(tx: &mut Tx, row: &ReplacementRow, now: UnixMillis) -> Result<(), StoreError> {
    let replacement_id = row.open.replacement_id;
    let effect = Effect::CarryOver { replacement_id };
    tx.put_effect(&effect, &replacement_id.to_string(), now)
        .await
}

/// For people: what two of them have decided.
async fn raise_declared_dead(
    tx: &mut Tx,
    row: &ReplacementRow,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let names = row.approved_by.as_ref().map(|names| names.join(" and "));
    let OpenReplacement {
        replacement_id,
        new_meter,
        credit,
        ..
    } = row.open;
    let detail = format!(
        "declared dead by {} (replacement {replacement_id}): {credit} (fen or 0.01 m³) go to meter \
         {new_meter}",
        names.unwrap_or_default()
    );
    let once = replacement_id.to_string();
    let alarm = NewAlarm {
        meter: row.meter,
        kind: "declared_dead",
        detail: &detail,
        message: once.as_bytes(),
        raised_at: now,
    };
    raise_alarm(tx, &alarm).await
}
