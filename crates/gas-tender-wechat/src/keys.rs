use std::collections::BTreeMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use gas_units::UnixMillis;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::signature::{SignatureError, unix_seconds};

/// What the id of a public key of the provider starts with.
const PUBLIC_KEY_PREFIX: &str = "PUB_KEY_ID_";

/// Why a key or certificate cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Not a PEM block of the kind that is needed.
    #[error("not a PEM text with a {0}")]
    Pem(&'static str),
    /// The PEM block holds something else.
    #[error("the {0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    /// A public key's id starts otherwise, or one of id and key is missing.
    #[error(
        "the provider's public key must come with its id, which starts with {PUBLIC_KEY_PREFIX}"
    )]
    PublicKeyId,
    /// The API v3 key is not 32 ASCII characters.
    #[error("the API v3 key must be 32 ASCII characters")]
    ApiV3Key,
    /// A merchant number that is not made of digits, or an app id not of letters and digits.
    #[error("the {0} has characters that do not belong there")]
    Identity(&'static str),
}

/// The provider's keys by serial: platform certificates and public keys side by side.
///
/// Both at once, because while a merchant moves from the one to the other the provider signs some
/// messages with each.
#[derive(Clone, Debug, Default)]
pub struct PlatformKeys(BTreeMap<String, PlatformKey>);

#[derive(Clone, Debug)]
struct PlatformKey {
    /// SubjectPublicKeyInfo, DER.
    public_key: Vec<u8>,
    /// The certificate's last second (Unix time); a public key has no end.
    not_after: Option<i64>,
}

impl PlatformKeys {
    /// No keys yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a platform certificate; gives its serial, in upper-case hex.
    ///
    /// # Errors
    /// [`KeyError`] where `pem` is not a certificate.
    pub fn add_certificate(&mut self, pem: &str) -> Result<String, KeyError> {
        const WHAT: &str = "certificate";
        let der = pem_contents(pem, &["CERTIFICATE"], WHAT)?;
        let (_, certificate) = X509Certificate::from_der(&der)
            .map_err(|fault| KeyError::Unreadable(WHAT, fault.to_string()))?;
        let serial = normal_serial(&hex::encode_upper(certificate.raw_serial()));
        let key = PlatformKey {
            public_key: certificate.public_key().raw.to_vec(),
            not_after: Some(certificate.validity().not_after.timestamp()),
        };
        self.0.insert(serial.clone(), key);
        Ok(serial)
    }

    /// Adds a public key of the provider by its id (`PUB_KEY_ID_...`).
    ///
    /// # Errors
    /// [`KeyError`] where `id` is not such an id or `pem` not a public key.
    pub fn add_public_key(&mut self, id: &str, pem: &str) -> Result<(), KeyError> {
        if !id.starts_with(PUBLIC_KEY_PREFIX) {
            return Err(KeyError::PublicKeyId);
        }
        let public_key = pem_contents(pem, &["PUBLIC KEY"], "public key")?;
        self.0.insert(
            id.to_owned(),
            PlatformKey {
                public_key,
                not_after: None,
            },
        );
        Ok(())
    }

    /// The serials and ids of all keys held.
    pub fn serials(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The id to ask for in `Wechatpay-Serial`: the last public key, where there is one.
    pub(crate) fn public_key_id(&self) -> Option<&str> {
        self.serials()
            .filter(|serial| serial.starts_with(PUBLIC_KEY_PREFIX))
            .last()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn verify(
        &self,
        serial: &str,
        message: &[u8],
        signature: &[u8],
        now: UnixMillis,
    ) -> Result<(), SignatureError> {
        let key = self
            .0
            .get(&normal_serial(serial))
            .ok_or_else(|| SignatureError::UnknownSerial(serial.to_owned()))?;
        if key.not_after.is_some_and(|end| unix_seconds(now) > end) {
            return Err(SignatureError::KeyExpired(serial.to_owned()));
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.public_key)
            .verify(message, signature)
            .map_err(|_| SignatureError::Wrong)
    }
}

/// One spelling per serial: upper case without leading zeros; ids of public keys as they are.
fn normal_serial(serial: &str) -> String {
    if serial.starts_with(PUBLIC_KEY_PREFIX) {
        return serial.to_owned();
    }
    serial.trim_start_matches('0').to_ascii_uppercase()
}

/// Reads the merchant's private key: PKCS #8 as the provider's tool writes it, or PKCS #1.
pub(crate) fn private_key(pem: &str) -> Result<RsaKeyPair, KeyError> {
    const WHAT: &str = "private key";
    let der = pem_contents(pem, &["PRIVATE KEY", "RSA PRIVATE KEY"], WHAT)?;
    RsaKeyPair::from_pkcs8(&der)
        .or_else(|_| RsaKeyPair::from_der(&der))
        .map_err(|fault| KeyError::Unreadable(WHAT, fault.to_string()))
}

fn pem_contents(pem: &str, labels: &[&str], what: &'static str) -> Result<Vec<u8>, KeyError> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| KeyError::Pem(what))?;
    if !labels.contains(&block.label.as_str()) {
        return Err(KeyError::Pem(what));
    }
    Ok(block.contents)
}
