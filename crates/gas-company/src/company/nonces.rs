use gas_api::HexBytes;
use gas_api::company::{Nonces, NoncesWanted};
use gas_http::Problem;
use gas_token::{Ask, Nonce, Tag, Tagged};

use super::{Company, NONCE_AHEAD_VALID_MS, NONCE_VALID_MS};
use crate::problems;

/// Most challenges given at once.
const COUNT_MAX: u8 = 8;

impl Company {
    /// Fresh challenges for one meter, each to be answered by one status.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/nonces` answers it.
    pub async fn nonces(&self, wanted: NoncesWanted) -> Result<Nonces, Problem> {
        if !(1..=COUNT_MAX).contains(&wanted.count) {
            return Err(Problem::body_malformed("`count` must be 1 to 8."));
        }
        let book = self.book(wanted.meter).await?;
        let nonces = (0..wanted.count)
            .map(|_| self.inner.entropy.bytes().map(Nonce))
            .collect::<Result<Vec<_>, _>>()
            .map_err(problems::ours)?;
        let now = self.now();
        let valid_ms = if wanted.ahead {
            NONCE_AHEAD_VALID_MS
        } else {
            NONCE_VALID_MS
        };
        let expires_at_ms = now.plus_millis(valid_ms);
        self.store()
            .put_nonces(book.meter, &nonces, expires_at_ms, now)
            .await
            .map_err(problems::ours)?;
        let ask = |nonce| Tagged {
            message: Ask {
                generation: book.generation,
                meter: book.meter,
                nonce,
            },
            // An ask carries no tag: anyone may ask.
            tag: Tag([0; 16]),
        };
        Ok(Nonces {
            asks: nonces
                .into_iter()
                .map(|nonce| HexBytes(ask(nonce).to_bytes()))
                .collect(),
            expires_at_ms,
        })
    }
}
