use gas_units::UnixMillis;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Doubt, ErrorCode, ProviderError};
use crate::keys::PlatformKeys;
use crate::signature::{SignatureHeaders, verify};

/// An HTTP answer of the provider's, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The signature's headers.
    pub headers: SignatureHeaders<'a>,
    /// The body, raw.
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Answer<'a> {
    /// The body of a success, once its signature holds; every other status is an error.
    pub(crate) fn verified(
        &self,
        keys: &PlatformKeys,
        now: UnixMillis,
    ) -> Result<&'a [u8], ProviderError> {
        self.expect_success()?;
        verify(keys, &self.headers, self.body, now).map_err(Doubt::Signature)?;
        Ok(self.body)
    }

    /// Sorts out every status but 200 and 204.
    pub(crate) fn expect_success(&self) -> Result<(), ProviderError> {
        match self.status {
            200 | 204 => Ok(()),
            429 => Err(ProviderError::Retryable),
            status @ 400..=499 => {
                // A page of some proxy's is no word of the provider's.
                let body: ErrorBody = parse(self.body)?;
                Err(ProviderError::Definite {
                    status,
                    code: ErrorCode::parse(&body.code),
                    message: body.message,
                })
            }
            status => Err(Doubt::Status(status).into()),
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Doubt> {
    serde_json::from_slice(body).map_err(|fault| Doubt::Body(fault.to_string()))
}
