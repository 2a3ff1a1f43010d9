//! Quotes.

use gas_sales::{Contradiction, Inquiry, MeterKeyring, Proven, QuoteRefusal, Told};
use gas_statement::{Quote, Sha256Digest, SigningKey};
use gas_token::Status;
use gas_units::{MeterNumber, UnixMillis, VendId};

use super::learn::{Learned, Message, learn};
use super::tx::{NewQuote, Tx};
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

/// What a quote is asked for, and in which words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuoteAsked {
    /// What is asked for.
    pub inquiry: Inquiry,
    /// SHA-256 of the words: the same id never gets two quotes.
    pub request: Sha256Digest,
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
    /// The books were restored and do not know the token that the state shows; the meter must be given its
    /// newest token first.
    NotYet,
    /// A newer state than this one is believed already.
    OldState,
    /// The state contradicts the issue log; the meter is frozen.
    Contradicts(Contradiction),
    /// There is no quote for this.
    Refused(QuoteRefusal),
}

impl CompanyStore {
    /// The quote of a vend.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn quote(&self, vend_id: VendId) -> Result<Option<QuoteRow>, StoreError> {
        self.read().await?.find_quote(vend_id).await
    }

    /// Quotes from the newest believed state of a meter that was not read for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_quote_unread(
        &self,
        meter: MeterNumber,
        QuoteAsked { inquiry, request }: QuoteAsked,
        key: &SigningKey,
        now: UnixMillis,
    ) -> Result<QuoteOutcome, StoreError> {
        let mut tx = self.begin().await?;
        tx.agree().await?;
        if let Some(known) = tx.find_quote(inquiry.vend_id).await? {
            return Ok(as_asked_before(known, request));
        }
        let book = tx.load_book(meter).await?.book;
        let outcome = write(&mut tx, book.quote_unread(inquiry, now), request, key).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    /// Learns from a status that answers a live nonce, and quotes from it. What was learned stays learned
    /// even where there is no quote. A nonce that lives longer than
    /// `fresh_until` was fetched ahead: who has kept what answers it may have no business with the meter any
    /// more, so it is good for a reading only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make_quote(
        &self,
        status: &Proven<Status>,
        QuoteAsked { inquiry, request }: QuoteAsked,
        keys: &(impl MeterKeyring + Sync),
        key: &SigningKey,
        fresh_until: UnixMillis,
        now: UnixMillis,
    ) -> Result<QuoteOutcome, StoreError> {
        let mut tx = self.begin().await?;
        tx.agree().await?;
        if let Some(known) = tx.find_quote(inquiry.vend_id).await? {
            return Ok(as_asked_before(known, request));
        }
        let expires_at = tx.nonce_expiry(status.meter, status.nonce).await?;
        if expires_at.is_some_and(|at| at > fresh_until) {
            return Ok(QuoteOutcome::NonceNotLive);
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
        let (learned, book) = learn(&mut tx, &message, keys, key, now).await?;
        let outcome = match learned {
            Learned::Contradicts(contradiction) => QuoteOutcome::Contradicts(contradiction),
            Learned::Old(_) => QuoteOutcome::OldState,
            Learned::NotYet => QuoteOutcome::NotYet,
            Learned::Newest(_) => write(&mut tx, book.quote(inquiry, now), request, key).await?,
        };
        tx.commit().await?;
        Ok(outcome)
    }
}

fn as_asked_before(known: QuoteRow, request: Sha256Digest) -> QuoteOutcome {
    if known.request == request {
        QuoteOutcome::Quoted(known.quote)
    } else {
        QuoteOutcome::IdReused
    }
}

/// Signs and keeps a quote, where there is one.
async fn write(
    tx: &mut Tx,
    quote: Result<Quote, QuoteRefusal>,
    request: Sha256Digest,
    key: &SigningKey,
) -> Result<QuoteOutcome, StoreError> {
    let quote = match quote {
        Err(refusal) => return Ok(QuoteOutcome::Refused(refusal)),
        Ok(quote) => quote,
    };
    let signed = sign(key, quote)?;
    let new = NewQuote {
        signed: &signed,
        request,
    };
    tx.insert_quote(&new).await?;
    Ok(QuoteOutcome::Quoted(signed.into_parts().0))
}
