//! Keys of the next generation, and tokens sealed again under it.

use gas_sales::{KeyChange, KeyChangeRefusal, MeterBook, MeterKeyring, ResealRefusal};
use gas_sales::{Proven, Told};
use gas_statement::SigningKey;
use gas_token::{Receipt, Seq, Setting, Tagged, Total};
use gas_units::{MeterNumber, UnixMillis};

use super::learn::{Learned, Message, learn};
use super::refunds::load_refund;
use super::replacements::load_replacement;
use super::tx::Tx;
use super::{CompanyStore, RefundRow, ReplacementRow};
use crate::sqlite::StoreError;

/// A change of a meter's key as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyChangeRow {
    /// The meter.
    pub meter: MeterNumber,
    /// The new generation.
    pub generation: u8,
    /// The token that gives the meter its key, sealed under the generation before.
    pub token: Tagged<Setting>,
    /// When it was asked for.
    pub asked_at: UnixMillis,
}

/// What came of wanting another key generation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyChangeOutcome {
    /// It is under way: begun now, or before.
    Open(Box<KeyChangeRow>),
    /// The meter has this generation.
    Done,
    /// It cannot be begun.
    Refused(KeyChangeRefusal),
}

/// What came of wanting a token under one of two generations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResealOutcome {
    /// The same sale under that generation.
    Sealed(Box<Tagged<Total>>),
    /// The company issued no such token.
    Unknown,
    /// It is not sealed again.
    Refused(ResealRefusal),
}

impl CompanyStore {
    /// The meter's rule 6: begins the change to key generation `to`. Again, it is the same change. `seal`
    /// makes the token from the generation that the meter has.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was begun then, or it was and the same call tells so.
    pub async fn change_key(
        &self,
        meter: MeterNumber,
        to: u8,
        seal: impl FnOnce(u8) -> Option<Tagged<Setting>> + Send,
        now: UnixMillis,
    ) -> Result<KeyChangeOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let row = tx.load_book(meter).await?;
        let book = match row.book.change_key(to) {
            Err(refusal) => return Ok(KeyChangeOutcome::Refused(refusal)),
            Ok(KeyChange::Done) => return Ok(KeyChangeOutcome::Done),
            Ok(KeyChange::Open) => {
                let known = load_key_change(&mut tx, meter, to).await?;
                return Ok(KeyChangeOutcome::Open(Box::new(known)));
            }
            Ok(KeyChange::Begun(book)) => book,
        };
        let token = seal(row.book.generation)
            .ok_or_else(|| StoreError::Corrupt("a meter's key cannot be wrapped".to_owned()))?;
        let begun = KeyChangeRow {
            meter,
            generation: to,
            token,
            asked_at: now,
        };
        tx.put_key_change(&begun).await?;
        tx.save_book(&book, row.version).await?;
        tx.commit().await?;
        Ok(KeyChangeOutcome::Open(Box::new(begun)))
    }

    /// The key change that the meter has not shown yet, if one is under way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_key_change(
        &self,
        meter: MeterNumber,
    ) -> Result<Option<KeyChangeRow>, StoreError> {
        let mut tx = self.read().await?;
        match tx.load_book(meter).await?.book.next_generation {
            Some(next) => load_key_change(&mut tx, meter, next).await.map(Some),
            None => Ok(None),
        }
    }

    /// The key change to a generation, open or done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn key_change(
        &self,
        meter: MeterNumber,
        generation: u8,
    ) -> Result<Option<KeyChangeRow>, StoreError> {
        self.read().await?.find_key_change(meter, generation).await
    }

    /// A token under the generation of `keys`: as it was issued, or sealed again, for carriers whose meter
    /// has changed its key while the company has not heard of it. Again, it is the same bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn token_under(
        &self,
        seq: Seq,
        keys: &(impl MeterKeyring + Sync),
        now: UnixMillis,
    ) -> Result<ResealOutcome, StoreError> {
        let meter = keys.meter();
        let mut tx = self.begin().await?;
        let Some(issue) = tx.find_issue(meter, seq).await? else {
            return Ok(ResealOutcome::Unknown);
        };
        let known = seal_of(&mut tx, &issue.token, keys.generation()).await?;
        if let Some(known) = known {
            return Ok(ResealOutcome::Sealed(Box::new(known)));
        }
        let book = tx.load_book(meter).await?.book;
        match book.reseal(&issue.token, keys) {
            Err(refusal) => Ok(ResealOutcome::Refused(refusal)),
            Ok(sealed) => {
                tx.insert_seal(&sealed, now).await?;
                tx.commit().await?;
                Ok(ResealOutcome::Sealed(Box::new(sealed)))
            }
        }
    }

    /// A token as it was sealed under a generation, if it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed(
        &self,
        meter: MeterNumber,
        seq: Seq,
        generation: u8,
    ) -> Result<Option<Tagged<Total>>, StoreError> {
        let mut tx = self.read().await?;
        match tx.find_issue(meter, seq).await? {
            Some(issue) => seal_of(&mut tx, &issue.token, generation).await,
            None => Ok(None),
        }
    }

    /// Learns from the receipt for a setting; which one it answers was proven by its tag.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report_setting_receipt(
        &self,
        receipt: &Proven<Receipt>,
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<Learned, StoreError> {
        let mut tx = self.begin().await?;
        let message = Message {
            told: Told::from(receipt),
            bytes: receipt.bytes(),
            answers: None,
        };
        let (learned, _) = learn(&mut tx, &message, keys, key, now).await?;
        tx.commit().await?;
        Ok(learned)
    }
}

/// The token under one generation: as issued, or as sealed again.
pub(super) async fn seal_of(
    tx: &mut Tx,
    token: &Tagged<Total>,
    generation: u8,
) -> Result<Option<Tagged<Total>>, StoreError> {
    if token.message.generation == generation {
        return Ok(Some(*token));
    }
    let seals = tx
        .find_seals(token.message.meter, token.message.seq)
        .await?;
    let mut seals = seals.into_iter();
    Ok(seals.find(|seal| seal.message.generation == generation))
}

async fn load_key_change(
    tx: &mut Tx,
    meter: MeterNumber,
    generation: u8,
) -> Result<KeyChangeRow, StoreError> {
    tx.find_key_change(meter, generation)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("a key change of meter {meter} is missing")))
}

/// After the first state of a generation: every token that the meter has not shown is sealed under it, since
/// the meter takes no other any more. Gives the book that knows its open debit by the new seal.
pub(super) async fn reseal_unshown(
    tx: &mut Tx,
    mut book: MeterBook,
    keys: &(impl MeterKeyring + Sync),
    now: UnixMillis,
) -> Result<MeterBook, StoreError> {
    let shown = book
        .believed
        .map_or_else(Seq::default, |believed| believed.state.last_seq);
    for issue in tx.issues_after(book.meter, shown).await? {
        let sealed = match seal_of(tx, &issue.token, book.generation).await? {
            Some(known) => known,
            None => {
                let sealed = book
                    .reseal(&issue.token, keys)
                    .map_err(|refusal| StoreError::Corrupt(refusal.to_string()))?;
                tx.insert_seal(&sealed, now).await?;
                sealed
            }
        };
        book = book.with_seal(&sealed);
    }
    if let Some(debit) = book.debit {
        let row = load_refund(tx, debit.refund_id).await?;
        tx.put_refund(&RefundRow { debit, ..row }).await?;
    }
    if let Some(open) = book.replacement {
        let row = load_replacement(tx, open.replacement_id).await?;
        tx.put_replacement(&ReplacementRow { open, ..row }).await?;
    }
    Ok(book)
}
