use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::files::ProviderFile;
use crate::random;

/// Which of the provider's keys signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyMode {
    /// The platform certificate's.
    Certificate,
    /// The public key with an id.
    PublicKey,
}

/// The provider's keys, and what it knows of its one merchant.
pub(crate) struct Keys {
    pub(crate) mchid: String,
    pub(crate) appid: String,
    pub(crate) merchant_serial: String,
    merchant_public_key: Vec<u8>,
    apiv3_key: LessSafeKey,
    pub(crate) platform_serial: String,
    pub(crate) platform_certificate: String,
    platform_key: RsaKeyPair,
    pub(crate) public_key_id: String,
    public_key: RsaKeyPair,
}

impl Keys {
    pub(crate) fn new(file: ProviderFile) -> Result<Self, String> {
        let key_pair = |pem: &str| {
            let der = pem_contents(pem).ok_or("a private key in provider.json is not PEM")?;
            RsaKeyPair::from_pkcs8(&der).map_err(|fault| fault.to_string())
        };
        let apiv3_key = UnboundKey::new(&AES_256_GCM, file.apiv3_key.as_bytes())
            .map_err(|_| "the API v3 key in provider.json is not 32 characters")?;
        Ok(Self {
            merchant_public_key: pem_contents(&file.merchant_public_key)
                .ok_or("the merchant's key in provider.json is not PEM")?,
            platform_key: key_pair(&file.platform_private_key)?,
            public_key: key_pair(&file.public_key_private_key)?,
            apiv3_key: LessSafeKey::new(apiv3_key),
            mchid: file.mchid,
            appid: file.appid,
            merchant_serial: file.merchant_serial,
            platform_serial: file.platform_serial,
            platform_certificate: file.platform_certificate,
            public_key_id: file.public_key_id,
        })
    }

    /// Whether the merchant signed `message`.
    pub(crate) fn merchant_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.merchant_public_key)
            .verify(message, signature)
            .is_ok()
    }

    /// The serial or id that goes with `mode`.
    pub(crate) fn serial(&self, mode: KeyMode) -> &str {
        match mode {
            KeyMode::Certificate => &self.platform_serial,
            KeyMode::PublicKey => &self.public_key_id,
        }
    }

    /// The provider's signature, base64.
    pub(crate) fn sign(&self, mode: KeyMode, message: &[u8]) -> Result<String, Unspecified> {
        let key = match mode {
            KeyMode::Certificate => &self.platform_key,
            KeyMode::PublicKey => &self.public_key,
        };
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message,
            &mut signature,
        )?;
        Ok(STANDARD.encode(signature))
    }

    /// Seals a resource with the merchant's API v3 key (API v3 rules, "decrypting").
    pub(crate) fn seal(&self, text: &str, associated_data: &str) -> Result<Value, Unspecified> {
        // Twelve printable characters, as the provider's nonces are.
        let nonce_text = random::hex_text::<6>().map_err(|_| Unspecified)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce_text.as_bytes())?;
        let mut bytes = text.as_bytes().to_vec();
        let aad = Aad::from(associated_data.as_bytes());
        self.apiv3_key
            .seal_in_place_append_tag(nonce, aad, &mut bytes)?;
        Ok(json!({
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce_text,
            "associated_data": associated_data,
            "ciphertext": STANDARD.encode(bytes),
        }))
    }
}

/// The bytes between the first two lines of dashes.
fn pem_contents(pem: &str) -> Option<Vec<u8>> {
    let base64: String = pem
        .lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    STANDARD
        .decode(base64)
        .ok()
        .filter(|bytes| !bytes.is_empty())
}
