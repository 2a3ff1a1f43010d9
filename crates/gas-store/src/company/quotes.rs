//! Quotes, and the reservations made for them.

use gas_sales::{Contradiction, Inquiry, Proven, QuoteRefusal, ReserveRefusal, Told};
use gas_statement::{Quote, Sha256Digest, Signed, SigningKey};
use gas_token::Status;
use gas_units::{MeterNumber, UnixMillis, VendId};

use super::learn::{Learned, Message, learn};
use super::tx::{NewQuote, Reservation, ReservationState};
use super::{CompanyStore, sign};
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
        self.db.read().await?.find_quote(vend_id).await
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
        if let Some(known) = tx.find_quote(inquiry.vend_id).await? {
            return Ok(if known.request == request {
                QuoteOutcome::Quoted(known.quote)
            } else {
                QuoteOutcome::IdReused
            });
        }
        let message = status.sha256();
        if !tx
            .use_nonce(status.meter, status.nonce, message, now)
            .await?
        {
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
                    let new = NewQuote {
                        signed: &signed,
                        request,
                    };
                    tx.insert_quote(&new).await?;
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
        if tx.find_sale(quote.vend_id).await?.is_some() {
            return Ok(ReserveOutcome::AlreadyIssued);
        }
        let open = tx.open_reservation(quote.meter).await?;
        if open == Some(quote.vend_id) {
            return Ok(ReserveOutcome::Reserved);
        }
        let row = tx.load_book(quote.meter).await?;
        if let Err(refusal) = row.book.may_reserve(quote, open, now) {
            return Ok(ReserveOutcome::Refused(refusal));
        }
        let reservation = Reservation {
            meter: quote.meter,
            state: ReservationState::Open,
            reserved_at: now,
        };
        tx.put_reservation(quote.vend_id, &reservation).await?;
        tx.commit().await?;
        Ok(ReserveOutcome::Reserved)
    }

    /// Gives a reservation up, if this vend holds one. Money that comes after that is still issued for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&self, vend_id: VendId) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        if let Some(reservation) = tx.find_reservation(vend_id).await?
            && reservation.state == ReservationState::Open
        {
            let released = Reservation {
                state: ReservationState::Released,
                ..reservation
            };
            tx.put_reservation(vend_id, &released).await?;
        }
        tx.commit().await
    }
}
