use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::keys::KeyError;

const ALGORITHM: &str = "AEAD_AES_256_GCM";

/// Why a sealed resource could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// Sealed in a way we do not know.
    #[error("the resource is sealed by another algorithm than {ALGORITHM}")]
    Algorithm,
    /// The nonce is not 12 bytes, or the ciphertext is not base64.
    #[error("the sealed resource is malformed")]
    Malformed,
    /// Another API v3 key, or changed bytes.
    #[error("the sealed resource does not open with the merchant's API v3 key")]
    Refused,
}

/// A resource as the provider seals it (API v3 rules, "decrypting").
#[derive(Deserialize)]
pub(crate) struct Sealed {
    algorithm: String,
    nonce: String,
    #[serde(default)]
    associated_data: String,
    ciphertext: String,
}

/// The API v3 key, with which the provider seals certificates and notifications.
pub(crate) struct ApiV3Key(LessSafeKey);

impl ApiV3Key {
    /// The key is the 32 ASCII bytes themselves.
    pub(crate) fn new(text: &str) -> Result<Self, KeyError> {
        if text.len() != 32 || !text.is_ascii() {
            return Err(KeyError::ApiV3Key);
        }
        UnboundKey::new(&AES_256_GCM, text.as_bytes())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| KeyError::ApiV3Key)
    }

    pub(crate) fn open(&self, sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
        if sealed.algorithm != ALGORITHM {
            return Err(OpenError::Algorithm);
        }
        let nonce = Nonce::try_assume_unique_for_key(sealed.nonce.as_bytes())
            .map_err(|_| OpenError::Malformed)?;
        let mut bytes = STANDARD
            .decode(&sealed.ciphertext)
            .map_err(|_| OpenError::Malformed)?;
        let length = self
            .0
            .open_in_place(
                nonce,
                Aad::from(sealed.associated_data.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| OpenError::Refused)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}
