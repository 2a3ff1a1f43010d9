use gas_api::cloud::{Asks, AsksWanted, Nonce, NonceWanted};
use gas_api::company::{Nonces, NoncesWanted};
use gas_api::{HexBytes, PublicKeyHex};
use gas_http::Problem;
use gas_store::cloud::NewNonce;
use gas_token::{Ask, Tagged};
use gas_units::{MeterNumber, UnixMillis};

use super::Cloud;

/// Most unanswered asks of one phone for one meter, so that nobody fills the books with them. Those whose answer
/// was lost count until they end.
const ASKS_MAX: u32 = 64;

/// What lives longer than this was fetched ahead: the asks of a visit, which anyone may have made for any phone,
/// keep no phone from those.
const VISIT_MS: i64 = 60 * 60 * 1000;

impl Cloud {
    /// An ask message for one meter, from the company. With a phone key it is also remembered: the status
    /// that answers it can enrol that phone, and no other.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/nonces` answers it.
    pub async fn nonce(&self, wanted: NonceWanted) -> Result<Nonce, Problem> {
        let NonceWanted { meter, phone_key } = wanted;
        let wanted = NoncesWanted {
            meter,
            count: 1,
            ahead: false,
        };
        let nonces = self.company().nonces(wanted).await?;
        let ask = nonces.asks.into_iter().next().ok_or_else(unfit)?;
        let expires_at_ms = nonces.expires_at_ms;
        self.keep_ask(meter, phone_key, &ask, expires_at_ms).await?;
        Ok(Nonce { ask, expires_at_ms })
    }

    /// Ask messages for reading a meter where there is no internet, for the enrolled phone that has signed the
    /// request: what answers them enrols that phone, and no other, as the status of a visit does.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/meters/{meter}/asks` answers it.
    pub async fn asks(
        &self,
        signer: PublicKeyHex,
        meter: MeterNumber,
        wanted: AsksWanted,
    ) -> Result<Asks, Problem> {
        let AsksWanted { count } = wanted;
        self.must_be_enrolled(meter, signer).await?;
        let after = self.now().plus_millis(VISIT_MS);
        let live = self.store().live_nonces(meter, signer, after).await;
        if live.map_err(Problem::ours)?.saturating_add(count.into()) > ASKS_MAX {
            return Err(too_many_asks());
        }
        let wanted = NoncesWanted {
            meter,
            count,
            ahead: true,
        };
        let Nonces {
            asks,
            expires_at_ms,
        } = self.company().nonces(wanted).await?;
        for ask in &asks {
            let phone_key = Some(signer);
            self.keep_ask(meter, phone_key, ask, expires_at_ms).await?;
        }
        Ok(Asks {
            asks,
            expires_at_ms,
        })
    }

    /// Remembers whom the status that answers this ask can enrol, if anyone.
    async fn keep_ask(
        &self,
        meter: MeterNumber,
        phone_key: Option<PublicKeyHex>,
        ask: &HexBytes,
        expires_at: UnixMillis,
    ) -> Result<(), Problem> {
        let asked = Tagged::<Ask>::parse(&ask.0).map_err(|_| unfit())?.message;
        if asked.meter != meter {
            return Err(unfit());
        }
        let Some(phone_key) = phone_key else {
            return Ok(());
        };
        let new = NewNonce {
            nonce: asked.nonce,
            meter,
            phone_key,
            expires_at,
        };
        let kept = self.store().keep_nonce(new, self.now()).await;
        kept.map_err(Problem::ours)
    }
}

fn unfit() -> Problem {
    Problem::upstream("company", "its answer holds no ask message for this meter")
}

fn too_many_asks() -> Problem {
    Problem::too_many_requests(
        "This phone has many ask messages for this meter that nothing has answered yet.",
    )
    .hint("Use those first.")
}
