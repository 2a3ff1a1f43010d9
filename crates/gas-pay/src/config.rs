//! What stands in the data directory: `config.json`, the statement key, the database.

use std::path::{Path, PathBuf};

use gas_api::PublicKeyHex;
use gas_http::{
    Callers, PrivateFileError, RandomError, create_private_dir, read_or_create_private,
};
use gas_statement::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// `config.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen, like `127.0.0.1:8003`; port 0 takes a free one.
    pub listen: String,
    /// Who may call: `cloud`, and `company` for refunds and restored books.
    pub callers: Callers,
    /// The gas company's key: only its quotes are asked payment for.
    pub company_public_key: PublicKeyHex,
    /// Where the cloud is told how tenders stand, like `http://127.0.0.1:8001`.
    pub cloud_url: String,
    /// The provider.
    pub wechat: WeChatConfig,
}

/// The WeChat Pay merchant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WeChatConfig {
    /// `https://api.mch.weixin.qq.com`, or the sandbox.
    pub base_url: String,
    /// The merchant's credentials (0600), relative to the data directory.
    pub merchant_file: PathBuf,
    /// Where the provider notifies us; no query part.
    pub notify_url: String,
    /// Shown to the payer with the amount, at most 127 bytes.
    pub description: String,
    /// Whether the provider lets this merchant use H5 payment, which has to be applied for with the domain
    /// of the phone's page. Left out, yes; if not, payers get a QR code instead.
    #[serde(default = "yes")]
    pub h5: bool,
    /// A page where a `code_url` can be paid in a browser; the real provider has none.
    #[serde(default)]
    pub cashier_url: Option<String>,
}

const fn yes() -> bool {
    true
}

/// Everything of the data directory, read and checked.
pub struct Setup {
    /// `config.json`.
    pub config: Config,
    /// Signs payment statements.
    pub key: SigningKey,
    /// Signs what the cloud is told: the same key, in the type that webhooks take.
    pub webhook_key: ed25519_dalek::SigningKey,
    /// The merchant's credentials.
    pub credentials: gas_tender_wechat::Credentials,
    /// The database file.
    pub database: PathBuf,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path}; run `gas-pay init` and write config.json (docs/operating.md)")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the JSON that is wanted.
    #[error("{path} cannot be understood")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The key file does not hold 32 bytes.
    #[error("{0} does not hold a key of 32 bytes")]
    Key(PathBuf),
    /// A private file is exposed or cannot be used.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

const KEY_FILE: &str = "statement.key";

/// Makes the data directory and the statement key, where they are missing, and gives the public key.
///
/// # Errors
/// [`ConfigError`].
pub fn init(data_dir: &Path) -> Result<PublicKeyHex, ConfigError> {
    create_private_dir(data_dir)?;
    Ok(PublicKeyHex(read_key(data_dir)?.verifying_key().to_bytes()))
}

fn read_key(data_dir: &Path) -> Result<SigningKey, ConfigError> {
    Ok(SigningKey::from_bytes(&*read_key_bytes(data_dir)?))
}

fn read_key_bytes(data_dir: &Path) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
    let path = data_dir.join(KEY_FILE);
    let bytes = read_or_create_private(&path, || {
        Ok::<_, ConfigError>(Zeroizing::new(gas_http::random::<32>()?.to_vec()))
    })?;
    let bytes = bytes
        .as_slice()
        .try_into()
        .map_err(|_| ConfigError::Key(path.clone()))?;
    Ok(Zeroizing::new(bytes))
}

impl Setup {
    /// Reads the data directory.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(data_dir: &Path) -> Result<Self, ConfigError> {
        let config: Config = read_json(&data_dir.join("config.json"))?;
        let merchant = data_dir.join(&config.wechat.merchant_file);
        let credentials =
            serde_json::from_slice(&gas_http::read_private(&merchant)?).map_err(|source| {
                ConfigError::Json {
                    path: merchant,
                    source,
                }
            })?;
        Ok(Self {
            config,
            key: read_key(data_dir)?,
            webhook_key: ed25519_dalek::SigningKey::from_bytes(&*read_key_bytes(data_dir)?),
            credentials,
            database: data_dir.join("pay.db"),
        })
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let file = || path.to_owned();
    let bytes = std::fs::read(path).map_err(|source| ConfigError::File {
        path: file(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| ConfigError::Json {
        path: file(),
        source,
    })
}
