//! Quotes, and the reservations made for them.

use gas_sales::{Contradiction, Inquiry, Proven, QuoteRefusal, ReserveRefusal, Told};
use gas_statement::{Quote, Sha256Digest, Signed, SigningKey};
use gas_token::Status;
use gas_units::{MeterNumber, UnixMillis, VendId};

use super::learn::{Learned, Message, learn};
use super::rows::{digest, load_book, parse};
use super::{CompanyStore, Tx, sign, use_nonce};
use crate::sqlite::StoreError;

/// A quote as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuoteRow {
    /// The meter.
    pub meter: MeterNumber,
    /// SHA-256 of what was asked.
    pub request: Sha256Digest,
    /// Compact JWS.
    pub quote: String,
}

/// What came of asking for a quote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QuoteOutcome {
    /// This vend's quote, compact JWS: made now, or before by the same request.
    Quoted(String),
    /// This vend has a quote that was asked for with other words.
    IdReused,
    /// The status's nonce is unknown, expired, or was used up by another message.
    NonceNotLive,
    /// A newer state than this one is believed already.
    OldState,
    /// The state contradicts the issue log; the meter is frozen.
    Contradicts(Contradiction),
    /// There is no quote for this.
    Refused(QuoteRefusal),
}

/// What came of asking for a reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReserveOutcome {
    /// It stands.
    Reserved,
    /// The vend was paid and issued already.
    AlreadyIssued,
    /// It may not be paid.
    Refused(ReserveRefusal),
}

impl CompanyStore {
    /// The quote of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn quote(&self, vend_id: VendId) -> Result<Option<QuoteRow>, StoreError> {
        let row: Option<(String, Vec<u8>, String)> =
            sqlx::query_as("SELECT meter, request, quote FROM quotes WHERE vend_id = ?")
                .bind(vend_id.to_string())
                .fetch_optional(self.db.readers())
                .await?;
        row.map(|(meter, request, quote)| {
            Ok(QuoteRow {
                meter: parse("quotes.meter", &meter)?,
                request: digest("quotes.request", request)?,
                quote,
            })
        })
        .transpose()
    }

    /// Learns from a status that answers a live nonce, and quotes from it. What was learned stays learned
    /// even where there is no quote. `request` is the SHA-256 of what was asked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_quote(
        &self,
        status: &Proven<Status>,
        inquiry: Inquiry,
        request: Sha256Digest,
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<QuoteOutcome, StoreError> {
        let mut tx = self.db.begin().await?;
        if let Some((known, quote)) = find_quote(&mut tx, inquiry.vend_id).await? {
            return Ok(if known == request {
                QuoteOutcome::Quoted(quote)
            } else {
                QuoteOutcome::IdReused
            });
        }
        if !use_nonce(&mut tx, status.meter, status.nonce, status.sha256(), now).await? {
            return Ok(QuoteOutcome::NonceNotLive);
        }
        let message = Message {
            told: Told::from(status),
            bytes: status.bytes(),
            answers: None,
        };
        let (learned, book) = learn(&mut tx, &message, key, now).await?;
        let outcome = match learned {
            Learned::Contradicts(contradiction) => QuoteOutcome::Contradicts(contradiction),
            Learned::Old(_) => QuoteOutcome::OldState,
            Learned::Newest(_) => match book.quote(inquiry, now) {
                Err(refusal) => QuoteOutcome::Refused(refusal),
                Ok(quote) => {
                    let signed = sign(key, quote)?;
                    insert_quote(&mut tx, &signed, request).await?;
                    QuoteOutcome::Quoted(signed.into_parts().0)
                }
            },
        };
        tx.commit().await?;
        Ok(outcome)
    }

    /// Company rule 7: holds the meter's limit and its one payment under way for this vend. Again by the
    /// same vend, it stands.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reserve(
        &self,
        quote: &Signed<Quote>,
        now: UnixMillis,
    ) -> Result<ReserveOutcome, StoreError> {
        let quote = quote.statement();
        let mut tx = self.db.begin().await?;
        if is_issued(&mut tx, quote.vend_id).await? {
            return Ok(ReserveOutcome::AlreadyIssued);
        }
        let open = open_reservation(&mut tx, quote.meter).await?;
        if open == Some(quote.vend_id) {
            return Ok(ReserveOutcome::Reserved);
        }
        let row = load_book(&mut tx, quote.meter).await?;
        if let Err(refusal) = row.book.may_reserve(quote, open, now) {
            return Ok(ReserveOutcome::Refused(refusal));
        }
        sqlx::query(
            "INSERT INTO reservations (vend_id, meter, state, reserved_at_ms)
             VALUES (?, ?, 'open', ?)
             ON CONFLICT (vend_id) DO UPDATE SET state = 'open', reserved_at_ms = excluded.reserved_at_ms",
        )
        .bind(quote.vend_id.to_string())
        .bind(quote.meter.to_string())
        .bind(now.millis())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(ReserveOutcome::Reserved)
    }

    /// Gives a reservation up, if this vend holds one. Money that comes after that is still issued for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, vend_id: VendId) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "UPDATE reservations SET state = 'released' WHERE vend_id = ? AND state = 'open'",
        )
        .bind(vend_id.to_string())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn find_quote(
    tx: &mut Tx,
    vend_id: VendId,
) -> Result<Option<(Sha256Digest, String)>, StoreError> {
    let row: Option<(Vec<u8>, String)> =
        sqlx::query_as("SELECT request, quote FROM quotes WHERE vend_id = ?")
            .bind(vend_id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
    row.map(|(request, quote)| Ok((digest("quotes.request", request)?, quote)))
        .transpose()
}

async fn insert_quote(
    tx: &mut Tx,
    signed: &Signed<Quote>,
    request: Sha256Digest,
) -> Result<(), StoreError> {
    let quote = signed.statement();
    sqlx::query(
        "INSERT INTO quotes (vend_id, meter, request, quote, created_at_ms) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(quote.vend_id.to_string())
    .bind(quote.meter.to_string())
    .bind(request.0.as_slice())
    .bind(signed.compact())
    .bind(quote.created_at_ms.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn open_reservation(tx: &mut Tx, meter: MeterNumber) -> Result<Option<VendId>, StoreError> {
    let row: Option<(String,)> =
        sqlx::query_as("SELECT vend_id FROM reservations WHERE meter = ? AND state = 'open'")
            .bind(meter.to_string())
            .fetch_optional(&mut **tx)
            .await?;
    row.map(|(vend_id,)| parse("reservations.vend_id", &vend_id))
        .transpose()
}

async fn is_issued(tx: &mut Tx, vend_id: VendId) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM sales WHERE vend_id = ?")
        .bind(vend_id.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.is_some())
}
