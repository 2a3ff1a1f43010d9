//! What stands in the data directory: `config.json`, the two keys, the database.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use gas_api::PublicKeyHex;
use gas_http::{
    AccessKey, AccessKeyError, Callers, PrivateFileError, RandomError, create_private_dir,
    read_or_create_private, read_private,
};
use gas_statement::{KeyError, SigningKey, VerifyingKey};
use gas_token_issue::MasterKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::keys::KeyStore;

const CONFIG_FILE: &str = "config.json";
const DATABASE_FILE: &str = "company.db";
const MARK_FILE: &str = "issue.mark";
const MASTER_KEY_FILE: &str = "master.key";
const PAY_KEY_FILE: &str = "pay.access-key";
const STATEMENT_KEY_FILE: &str = "statement.key";

/// `config.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen, like `127.0.0.1:8002`; port 0 takes a free one.
    pub listen: String,
    /// Who may call: `cloud`, and `desk` for refunds.
    pub callers: Callers,
    /// The payment server's key: only what it has signed was paid.
    pub pay_public_key: PublicKeyHex,
    /// Where the payment server is handed orders to give money back. Left out, they wait in the books.
    #[serde(default)]
    pub pay: Option<PayAccess>,
    /// The file that tells how far was issued, relative to the data directory. It must never be put back
    /// together with the database. Left out, it is `issue.mark`.
    #[serde(default = "mark_file")]
    pub mark_file: PathBuf,
    /// How long a payment may be begun for a quote, s. Left out, it is 15 minutes.
    #[serde(default)]
    pub quote_valid_s: Option<NonZeroU32>,
}

fn mark_file() -> PathBuf {
    MARK_FILE.into()
}

/// How the payment server is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayAccess {
    /// Where it is, like `http://127.0.0.1:8003`.
    pub url: String,
    /// The file of the access key that the company shows there (0600), relative to the data directory.
    pub access_key_file: PathBuf,
}

/// Everything of the data directory, read and checked.
pub struct Setup {
    /// `config.json`.
    pub config: Config,
    /// Only what this key has signed was paid.
    pub pay_key: VerifyingKey,
    /// The master key.
    pub keys: KeyStore,
    /// Signs quotes, issues and settlements.
    pub statement_key: SigningKey,
    /// The database file.
    pub database: PathBuf,
    /// The mark's file.
    pub mark: PathBuf,
    /// The key of [`Config::pay`].
    pub pay_access_key: Option<AccessKey>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The access key for the payment server cannot be read or made.
    #[error(transparent)]
    AccessKey(#[from] AccessKeyError),
    /// A file is missing or cannot be read.
    #[error("cannot read {}; run `gas-company init` and write config.json", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the JSON that is wanted.
    #[error("{} cannot be understood", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A key file does not hold a key.
    #[error("{} does not hold a key of {length} bytes", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// How many bytes it should hold.
        length: usize,
    },
    /// The books are there and the key they were made with is not.
    #[error(
        "{} is missing while the books are there; a new key would not fit the meters in the field. \
         Restore the key from its backup",
        _0.display()
    )]
    KeyLost(PathBuf),
    /// The payment server's key is none.
    #[error("pay_public_key in config.json: {0}")]
    PayKey(#[from] KeyError),
    /// A private file is exposed or cannot be used.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Makes the data directory (0700) and its keys (0600) where they are missing, and gives the public key.
/// Run again, it changes nothing.
///
/// # Errors
/// [`ConfigError`]; [`ConfigError::KeyLost`] rather than new keys beside old books.
pub fn init(data_dir: &Path) -> Result<PublicKeyHex, ConfigError> {
    create_private_dir(data_dir)?;
    if data_dir.join(DATABASE_FILE).exists() {
        for name in [MASTER_KEY_FILE, STATEMENT_KEY_FILE] {
            let path = data_dir.join(name);
            if !path.exists() {
                return Err(ConfigError::KeyLost(path));
            }
        }
    }
    let make_master = || Ok::<_, ConfigError>(Zeroizing::new(gas_http::random::<16>()?.to_vec()));
    read_or_create_private(&data_dir.join(MASTER_KEY_FILE), make_master)?;
    let make_statement =
        || Ok::<_, ConfigError>(Zeroizing::new(gas_http::random::<32>()?.to_vec()));
    read_or_create_private(&data_dir.join(STATEMENT_KEY_FILE), make_statement)?;
    let (_, statement_key, _) = open_files(data_dir)?;
    Ok(PublicKeyHex(statement_key.verifying_key().to_bytes()))
}

/// The access key that the payment server is shown, made where it is missing.
///
/// # Errors
/// [`ConfigError`].
pub fn pay_access_key(data_dir: &Path) -> Result<AccessKey, ConfigError> {
    let path = data_dir.join(PAY_KEY_FILE);
    match AccessKey::read(&path) {
        Err(AccessKeyError::File(PrivateFileError::Io { source, .. }))
            if source.kind() == ErrorKind::NotFound =>
        {
            let key = AccessKey::generate()?;
            key.write(&path)?;
            Ok(key)
        }
        read => Ok(read?),
    }
}

/// Opens the keys of a data directory and tells where its database is. Makes none.
///
/// # Errors
/// [`ConfigError::Private`] where others than the owner have any right on the directory or a key.
pub fn open_files(data_dir: &Path) -> Result<(KeyStore, SigningKey, PathBuf), ConfigError> {
    if let Err(source) = std::fs::metadata(data_dir) {
        let path = data_dir.to_owned();
        return Err(ConfigError::File { path, source });
    }
    create_private_dir(data_dir)?;
    let master = read_key(&data_dir.join(MASTER_KEY_FILE))?;
    let statement = read_key(&data_dir.join(STATEMENT_KEY_FILE))?;
    let keys = KeyStore::new(MasterKey::from_bytes(*master));
    Ok((
        with_later_masters(data_dir, keys)?,
        SigningKey::from_bytes(&statement),
        data_dir.join(DATABASE_FILE),
    ))
}

/// `master.N.key`, where there is one, is the master key of generation N and those above it.
fn with_later_masters(data_dir: &Path, mut keys: KeyStore) -> Result<KeyStore, ConfigError> {
    for generation in 1..=u8::MAX {
        let path = data_dir.join(format!("master.{generation}.key"));
        if path.exists() {
            let master = read_key(&path)?;
            keys = keys.starting_at(generation, MasterKey::from_bytes(*master));
        }
    }
    Ok(keys)
}

fn read_key<const N: usize>(path: &Path) -> Result<Zeroizing<[u8; N]>, ConfigError> {
    let bytes = read_private(path).map_err(|error| match error {
        PrivateFileError::Io { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            ConfigError::File { path, source }
        }
        PrivateFileError::Exposed { .. }
        | PrivateFileError::Io { .. }
        | PrivateFileError::TooLong { .. } => error.into(),
    })?;
    let bytes: [u8; N] = bytes.as_slice().try_into().map_err(|_| ConfigError::Key {
        path: path.to_owned(),
        length: N,
    })?;
    Ok(Zeroizing::new(bytes))
}

impl Setup {
    /// Reads the data directory.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(data_dir: &Path) -> Result<Self, ConfigError> {
        let (keys, statement_key, database) = open_files(data_dir)?;
        let path = data_dir.join(CONFIG_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ConfigError::File { path, source }),
        };
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|source| ConfigError::Json { path, source })?;
        let pay_access_key = match &config.pay {
            Some(pay) => Some(AccessKey::read(&data_dir.join(&pay.access_key_file))?),
            None => None,
        };
        Ok(Self {
            mark: data_dir.join(&config.mark_file),
            pay_access_key,
            pay_key: VerifyingKey::from_bytes(&config.pay_public_key.0)?,
            config,
            keys,
            statement_key,
            database,
        })
    }
}
