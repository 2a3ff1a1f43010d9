//! Whose word the page takes, the phone's own key, and proof of what is over.

use ed25519_dalek::SigningKey;
use gas_api::{Keys, PublicKeyHex};
use gas_phone::{ReceiptFile, phone_header};
use gas_statement::VerifyingKey;
use gas_units::UnixMillis;
use wasm_bindgen::prelude::*;

/// The public keys of company and payment server that the page keeps. Given once, never by whom they check.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Trust(pub(crate) gas_phone::Trust);

#[wasm_bindgen]
impl Trust {
    /// From the JSON of `GET /v1/keys`, as it was kept.
    ///
    /// # Errors
    /// A key is missing or is none.
    #[wasm_bindgen(constructor)]
    pub fn new(keys: &str) -> Result<Self, JsError> {
        let keys: Keys = gas_json::from_slice(keys.as_bytes())?;
        Ok(Self(gas_phone::Trust {
            company: key(keys.company, "gas company")?,
            pay: key(keys.pay, "payment server")?,
        }))
    }
}

fn key(key: Option<PublicKeyHex>, whose: &str) -> Result<VerifyingKey, JsError> {
    let missing = || JsError::new(&format!("the key of the {whose} is missing"));
    let PublicKeyHex(bytes) = key.ok_or_else(missing)?;
    Ok(VerifyingKey::from_bytes(&bytes)?)
}

/// Checks a receipt file (JSON): every signature, every amount, every link from one statement to the next.
///
/// # Errors
/// What in it does not hold.
#[wasm_bindgen]
pub fn prove(receipt_file: &str, trust: &Trust) -> Result<(), JsError> {
    let file: ReceiptFile = gas_json::from_slice(receipt_file.as_bytes())?;
    file.prove(&trust.0)?;
    Ok(())
}

/// The key by which the cloud knows this phone. It was made here and stays here.
#[wasm_bindgen]
pub struct PhoneKey(SigningKey);

#[wasm_bindgen]
impl PhoneKey {
    /// From its 32 secret bytes.
    ///
    /// # Errors
    /// It has not 32 bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(secret: &[u8]) -> Result<Self, JsError> {
        let secret = secret
            .try_into()
            .map_err(|_| JsError::new("a phone's key has 32 bytes"))?;
        Ok(Self(SigningKey::from_bytes(secret)))
    }

    /// The public key, hexadecimal: the phone's id.
    #[must_use]
    pub fn id(&self) -> String {
        PublicKeyHex(self.0.verifying_key().to_bytes()).to_string()
    }

    /// The value of the header `Pilotlight-Phone` of this request; `now` in ms since 1970.
    #[must_use]
    pub fn header(&self, method: &str, path: &str, body: &[u8], now: f64) -> String {
        phone_header(&self.0, method, path, body, millis(now))
    }
}

/// JavaScript counts ms in floating point, exactly up to the year 287396.
pub(crate) fn millis(now: f64) -> UnixMillis {
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let now = now as i64;
    UnixMillis::from_millis(now)
}
