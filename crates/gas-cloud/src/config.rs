//! What stands in the data directory: `config.json`, the access keys, the database.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use gas_api::Digest;
use gas_http::{AccessKey, AccessKeyError, PrivateFileError, create_private_dir};
use gas_statement::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::bridge::BridgeOrigin;

/// `config.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen, like `127.0.0.1:8001`; port 0 takes a free one.
    pub listen: String,
    /// The gas company's server.
    pub company: ServerConfig,
    /// The payment server.
    pub pay: ServerConfig,
    /// How often one address may ask.
    #[serde(default)]
    pub rate_limit: RateLimit,
    /// Our own reverse proxies, whose `X-Forwarded-For` says who asks. Nobody else's is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
    /// The bridge through which a visitor without Bluetooth uses the page with a demo card. Never one to a
    /// household's card: who uses it is taken for somebody at the meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demo_bridge: Option<BridgeOrigin>,
}

/// A server that the cloud calls.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where it is, like `http://127.0.0.1:8002`.
    pub url: String,
    /// The file of the access key that the cloud shows there (0600), relative to the data directory.
    pub access_key_file: PathBuf,
    /// With which its statements are checked.
    pub public_key: VerifyingKey,
}

/// A bucket of requests for each address: it holds `burst`, and `per_second` flow in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second that an address may go on with, from 1.
    pub per_second: u32,
    /// Requests that it may make at once, from 1.
    pub burst: u32,
}

/// Generous: many households can stand behind one address of a mobile network.
impl Default for RateLimit {
    fn default() -> Self {
        Self {
            per_second: 1_000,
            burst: 5_000,
        }
    }
}

/// Everything of the data directory, read and checked.
#[derive(Debug)]
pub struct Setup {
    /// `config.json`.
    pub config: Config,
    /// Shown to the company.
    pub company_access_key: AccessKey,
    /// Shown to the payment server.
    pub pay_access_key: AccessKey,
    /// The database file.
    pub database: PathBuf,
}

/// What `init` tells: for the `callers` of the other servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Init {
    /// SHA-256 of the access key for the company.
    pub company_access_key_sha256: Digest,
    /// SHA-256 of the access key for the payment server.
    pub pay_access_key_sha256: Digest,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An access key cannot be used.
    #[error(transparent)]
    AccessKey(#[from] AccessKeyError),
    /// A file is missing or cannot be read.
    #[error(
        "cannot read {path}; run `gas-cloud init` and write config.json (docs/protocols/http.md)"
    )]
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
    /// The data directory cannot be made.
    #[error(transparent)]
    Private(#[from] PrivateFileError),
}

const COMPANY_KEY_FILE: &str = "company.access-key";
const PAY_KEY_FILE: &str = "pay.access-key";

/// Makes the data directory and the two access keys, where they are missing.
///
/// # Errors
/// [`ConfigError`].
pub fn init(data_dir: &Path) -> Result<Init, ConfigError> {
    create_private_dir(data_dir)?;
    let key = |name| read_or_create(&data_dir.join(name));
    Ok(Init {
        company_access_key_sha256: key(COMPANY_KEY_FILE)?.sha256(),
        pay_access_key_sha256: key(PAY_KEY_FILE)?.sha256(),
    })
}

fn read_or_create(path: &Path) -> Result<AccessKey, AccessKeyError> {
    match AccessKey::read(path) {
        Err(AccessKeyError::File(PrivateFileError::Io { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            let key = AccessKey::generate()?;
            key.write(path)?;
            Ok(key)
        }
        read => read,
    }
}

impl Setup {
    /// Reads the data directory.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join("config.json");
        let bytes = std::fs::read(&path).map_err(|source| ConfigError::File {
            path: path.clone(),
            source,
        })?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|source| ConfigError::Json { path, source })?;
        let company_access_key = AccessKey::read(&data_dir.join(&config.company.access_key_file))?;
        let pay_access_key = AccessKey::read(&data_dir.join(&config.pay.access_key_file))?;
        let database = data_dir.join("cloud.db");
        Ok(Self {
            config,
            company_access_key,
            pay_access_key,
            database,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn configured(folder: &Path) {
        let key = VerifyingKey::from_bytes(
            &gas_statement::SigningKey::from_bytes(&[1; 32])
                .verifying_key()
                .to_bytes(),
        );
        let server = |name: &str| ServerConfig {
            url: "http://127.0.0.1:1".to_owned(),
            access_key_file: name.into(),
            public_key: key.clone().unwrap(),
        };
        let config = Config {
            listen: "127.0.0.1:0".to_owned(),
            company: server(COMPANY_KEY_FILE),
            pay: server(PAY_KEY_FILE),
            rate_limit: RateLimit::default(),
            trusted_proxies: Vec::new(),
            demo_bridge: None,
        };
        fs::write(
            folder.join("config.json"),
            serde_json::to_vec(&config).unwrap(),
        )
        .unwrap();
    }

    #[test]
    fn a_second_init_keeps_the_keys_of_the_first() {
        let folder = TempDir::new().unwrap();
        let data_dir = folder.path().join("cloud");
        let first = init(&data_dir).unwrap();
        assert_ne!(first.company_access_key_sha256, first.pay_access_key_sha256);
        assert_eq!(init(&data_dir).unwrap(), first);
        configured(&data_dir);
        let setup = Setup::read(&data_dir).unwrap();
        assert_eq!(
            setup.company_access_key.sha256(),
            first.company_access_key_sha256
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = TempDir::new().unwrap();
        let data_dir = folder.path().join("cloud");
        init(&data_dir).unwrap();
        configured(&data_dir);
        let key = data_dir.join(PAY_KEY_FILE);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Setup::read(&data_dir).unwrap_err();
        assert!(matches!(
            error,
            ConfigError::AccessKey(AccessKeyError::File(PrivateFileError::Exposed { .. }))
        ));
        assert!(init(&data_dir).is_err());
    }

    #[test]
    fn a_missing_and_a_misspelt_configuration_say_which_file() {
        let folder = TempDir::new().unwrap();
        let error = Setup::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
        fs::write(folder.path().join("config.json"), r#"{"listne":"x"}"#).unwrap();
        let error = Setup::read(folder.path()).unwrap_err();
        assert!(matches!(error, ConfigError::Json { .. }), "{error}");
    }
}
