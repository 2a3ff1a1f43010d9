use gas_api::HexBytes;
use gas_api::company::{BelievedState, ReceiptReported};
use gas_api::desk::{Key, KeyWanted, SealedToken};
use gas_http::Problem;
use gas_sales::{MeterBook, prove_receipt};
use gas_store::company::{KeyChangeOutcome, ResealOutcome};
use gas_token::{Seq, Tag};
use gas_units::MeterNumber;

use super::Company;
use crate::problems;

impl Company {
    /// Begins to give a meter the key of another generation. The same generation again is the same change.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/meters/{meter}/key` answers it.
    pub async fn change_key(&self, meter: MeterNumber, wanted: KeyWanted) -> Result<Key, Problem> {
        self.book(meter).await?;
        let to = wanted.generation;
        let seal = |from| self.keys().key_change(meter, from, to);
        let changed = self.store().change_key(meter, to, seal, self.now()).await;
        match changed.map_err(problems::ours)? {
            KeyChangeOutcome::Open(_) | KeyChangeOutcome::Done => self.key(meter).await,
            KeyChangeOutcome::Refused(refusal) => Err(problems::key_not_changed(refusal)),
        }
    }

    /// Which key a meter has, and which it is being given.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/meters/{meter}/key` answers it.
    pub async fn key(&self, meter: MeterNumber) -> Result<Key, Problem> {
        let book = self.book(meter).await?;
        Ok(Key {
            meter,
            generation: book.generation,
            next_generation: book.next_generation,
            key_change: self.key_change_due(&book).await?,
        })
    }

    /// The meter's answer to a key change; it is of the new generation already.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/meters/{meter}/key/{generation}/receipt` answers it.
    pub async fn key_receipt(
        &self,
        meter: MeterNumber,
        generation: u8,
        reported: ReceiptReported,
    ) -> Result<BelievedState, Problem> {
        let book = self.book(meter).await?;
        let change = self.store().key_change(meter, generation).await;
        let change = change.map_err(problems::ours)?;
        let change = change.ok_or_else(|| problems::key_change_unknown(meter, generation))?;
        let keys = self.keys_for(&book, &reported.receipt.0)?;
        let receipt = prove_receipt(&keys, &reported.receipt.0, change.token.tag);
        let receipt = receipt.map_err(problems::not_proven)?;
        let learned = self
            .store()
            .report_setting_receipt(&receipt, &keys, self.statement_key(), self.now())
            .await
            .map_err(problems::ours)?;
        self.believed(&book, &learned).await
    }

    /// The token that gives a meter its next key, while it has not shown that one. `book` may be older than
    /// what was just learned.
    pub(super) async fn key_change_due(
        &self,
        book: &MeterBook,
    ) -> Result<Option<HexBytes>, Problem> {
        if book.next_generation.is_none() {
            return Ok(None);
        }
        let open = self.store().open_key_change(book.meter).await;
        let open = open.map_err(problems::ours)?;
        Ok(open.map(|row| HexBytes(row.token.to_bytes())))
    }

    /// A token under the meter's key generation or the next, while the meter has not shown it. It is the
    /// same sale under each.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/meters/{meter}/tokens/{seq}/{generation}` answers it.
    pub async fn token_under(
        &self,
        meter: MeterNumber,
        seq: u32,
        generation: u8,
    ) -> Result<SealedToken, Problem> {
        self.book(meter).await?;
        let keys = self.keys().keys_of(meter, generation);
        let sealed = self
            .store()
            .token_under(Seq::from_bits(seq), &keys, self.now())
            .await;
        match sealed.map_err(problems::ours)? {
            ResealOutcome::Sealed(token) => Ok(SealedToken {
                token: HexBytes(token.to_bytes()),
            }),
            ResealOutcome::Unknown => Err(problems::token_unknown(meter, seq)),
            ResealOutcome::Refused(refusal) => Err(problems::not_resealed(refusal)),
        }
    }

    /// The tag of the token at `seq` as it was sealed under `generation`.
    pub(super) async fn tag_under(
        &self,
        meter: MeterNumber,
        seq: Seq,
        generation: u8,
    ) -> Result<Option<Tag>, Problem> {
        let sealed = self.store().sealed(meter, seq, generation).await;
        let sealed = sealed.map_err(problems::ours)?;
        Ok(sealed.map(|token| token.tag))
    }
}
