use core::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gas_units::UnixMillis;
use serde::Deserialize;

use crate::keys::{KeyError, PlatformKeys, private_key};
use crate::seal::ApiV3Key;
use crate::signature::{SIGNATURE_TYPE, unix_seconds};

/// What the provider's merchant console hands out, as `merchant.json` holds it. Secret: has no
/// `Debug`, keep the file readable by its owner only.
#[derive(Deserialize)]
pub struct Credentials {
    /// The merchant's number.
    pub mchid: String,
    /// The app the orders belong to.
    pub appid: String,
    /// The serial of the merchant's API certificate, hex.
    pub merchant_serial: String,
    /// The merchant's private key, PEM.
    pub merchant_private_key: String,
    /// The API v3 key: 32 ASCII characters.
    pub apiv3_key: String,
    /// A platform certificate, PEM; more are learned from the certificates call.
    #[serde(default)]
    pub platform_certificate: Option<String>,
    /// The provider's public key's id (`PUB_KEY_ID_...`); with it goes `public_key`.
    #[serde(default)]
    pub public_key_id: Option<String>,
    /// The provider's public key, PEM.
    #[serde(default)]
    pub public_key: Option<String>,
}

/// One merchant at the provider: makes requests and reads answers. Holds keys, so has no `Debug`.
pub struct Merchant {
    mchid: String,
    appid: String,
    serial: String,
    key: RsaKeyPair,
    pub(crate) apiv3_key: ApiV3Key,
    pub(crate) platform: PlatformKeys,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
}

impl Method {
    /// The method's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request ready to be sent, byte for byte, within the next minutes.
#[derive(Clone)]
pub struct SignedRequest {
    /// GET or POST.
    pub method: Method,
    /// Path and query, to be put behind the provider's base address unchanged.
    pub path: String,
    /// All headers but `Host` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for GET.
    pub body: Vec<u8>,
}

impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} (headers and body not shown)",
            self.method.name(),
            self.path
        )
    }
}

impl Merchant {
    /// Takes the merchant's keys.
    ///
    /// # Errors
    /// [`KeyError`] where something of it cannot be used.
    pub fn new(credentials: &Credentials) -> Result<Self, KeyError> {
        let letters = |text: &str| {
            !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        for (name, text) in [
            ("merchant number", &credentials.mchid),
            ("app id", &credentials.appid),
            (
                "merchant's certificate serial",
                &credentials.merchant_serial,
            ),
        ] {
            if !letters(text) {
                return Err(KeyError::Identity(name));
            }
        }
        let mut platform = PlatformKeys::new();
        if let Some(pem) = &credentials.platform_certificate {
            platform.add_certificate(pem)?;
        }
        match (&credentials.public_key_id, &credentials.public_key) {
            (Some(id), Some(pem)) => platform.add_public_key(id, pem)?,
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return Err(KeyError::PublicKeyId),
        }
        Ok(Self {
            mchid: credentials.mchid.clone(),
            appid: credentials.appid.clone(),
            serial: credentials.merchant_serial.to_ascii_uppercase(),
            key: private_key(&credentials.merchant_private_key)?,
            apiv3_key: ApiV3Key::new(&credentials.apiv3_key)?,
            platform,
        })
    }

    /// The merchant's number.
    #[must_use]
    pub fn mchid(&self) -> &str {
        &self.mchid
    }

    /// The app the orders belong to.
    #[must_use]
    pub fn appid(&self) -> &str {
        &self.appid
    }

    /// The keys the provider's messages are verified with.
    #[must_use]
    pub const fn platform_keys(&self) -> &PlatformKeys {
        &self.platform
    }

    /// Signs a request (API v3 rules, "signing": five lines, each ended by a line feed).
    pub(crate) fn sign(
        &self,
        method: Method,
        path: String,
        body: Vec<u8>,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        let nonce = hex::encode_upper(nonce);
        let timestamp = unix_seconds(now);
        let mut message = format!("{}\n{path}\n{timestamp}\n{nonce}\n", method.name()).into_bytes();
        message.extend_from_slice(&body);
        message.push(b'\n');
        let mut signature = vec![0; self.key.public_modulus_len()];
        // PKCS #1 v1.5 signatures are deterministic; the random source is not used.
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                &message,
                &mut signature,
            )
            .map_err(|fault| KeyError::Unreadable("private key", fault.to_string()))?;
        let authorization = format!(
            r#"{SIGNATURE_TYPE} mchid="{}",nonce_str="{nonce}",timestamp="{timestamp}",serial_no="{}",signature="{}""#,
            self.mchid,
            self.serial,
            STANDARD.encode(&signature),
        );
        let mut headers = vec![
            ("Accept", "application/json".to_owned()),
            (
                "User-Agent",
                concat!("pilotlight/", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
            ("Authorization", authorization),
        ];
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        if let Some(id) = self.platform.public_key_id() {
            headers.push(("Wechatpay-Serial", id.to_owned()));
        }
        Ok(SignedRequest {
            method,
            path,
            headers,
            body,
        })
    }
}
