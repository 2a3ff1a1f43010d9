use gas_api::cloud::{Nonce, NonceWanted};
use gas_api::company::NoncesWanted;
use gas_http::Problem;
use gas_store::cloud::NewNonce;
use gas_token::{Ask, Tagged};

use super::Cloud;

impl Cloud {
    /// An ask message for one meter, from the company. With a phone key it is also remembered: the status
    /// that answers it can enrol that phone, and no other.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/nonces` answers it.
    pub async fn nonce(&self, wanted: NonceWanted) -> Result<Nonce, Problem> {
        let NonceWanted { meter, phone_key } = wanted;
        let nonces = self
            .company()
            .nonces(NoncesWanted { meter, count: 1 })
            .await?;
        let unfit =
            || Problem::upstream("company", "its answer holds no ask message for this meter");
        let bytes = nonces.asks.into_iter().next().ok_or_else(unfit)?;
        let asked = Tagged::<Ask>::parse(&bytes.0).map_err(|_| unfit())?.message;
        if asked.meter != meter {
            return Err(unfit());
        }
        let expires_at = nonces.expires_at_ms;
        if let Some(phone_key) = phone_key {
            let new = NewNonce {
                nonce: asked.nonce,
                meter,
                phone_key,
                expires_at,
            };
            let kept = self.store().keep_nonce(new, self.now()).await;
            kept.map_err(Problem::ours)?;
        }
        Ok(Nonce {
            ask: bytes,
            expires_at_ms: expires_at,
        })
    }
}
