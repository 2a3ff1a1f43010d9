use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, SerialNumber};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::random;

const PROVIDER_FILE: &str = "provider.json";
const MERCHANT_FILE: &str = "merchant.json";
const CONFIG_FILE: &str = "config.json";

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A secret that others could read.
    #[error("{0} can be read by others; run chmod 600 on it, and make new keys if it was copied")]
    Exposed(PathBuf),
    /// A file that is not what `init` wrote.
    #[error("{path} cannot be read: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// `serve` before `init`.
    #[error("{0} is missing; run `gas-provider-sandbox init --data-dir DIR` first")]
    NotInitialised(PathBuf),
    /// Making keys failed.
    #[error("making keys failed: {0}")]
    Keys(String),
}

/// What the provider keeps for itself, in `provider.json`. No `Debug`: private keys.
#[derive(Deserialize, Serialize)]
pub(crate) struct ProviderFile {
    pub(crate) mchid: String,
    pub(crate) appid: String,
    pub(crate) merchant_serial: String,
    pub(crate) merchant_public_key: String,
    pub(crate) apiv3_key: String,
    pub(crate) platform_serial: String,
    pub(crate) platform_certificate: String,
    pub(crate) platform_private_key: String,
    pub(crate) public_key_id: String,
    pub(crate) public_key_private_key: String,
}

/// What the merchant gets, in `merchant.json`: hand it to the payment server. No `Debug`: keys.
#[derive(Deserialize, Serialize)]
struct MerchantFile {
    mchid: String,
    appid: String,
    merchant_serial: String,
    merchant_private_key: String,
    apiv3_key: String,
    platform_serial: String,
    platform_certificate: String,
    public_key_id: String,
    public_key: String,
}

/// What may be known to everybody; `init` prints it.
#[derive(Debug, Serialize)]
pub struct PublicFacts {
    /// The merchant's number.
    pub mchid: String,
    /// The app the orders belong to.
    pub appid: String,
    /// The serial of the merchant's certificate.
    pub merchant_serial: String,
    /// The serial of the platform certificate.
    pub platform_serial: String,
    /// The id of the provider's public key.
    pub public_key_id: String,
    /// Where the merchant's file lies.
    pub merchant_file: PathBuf,
}

/// Makes the data directory with keys, `merchant.json` and `config.json`; what is there already
/// stays as it is.
///
/// # Errors
/// [`FilesError`].
pub fn init(dir: &Path) -> Result<PublicFacts, FilesError> {
    let io_at = |path: &Path| {
        let path = path.to_owned();
        move |source| FilesError::Io { path, source }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(io_at(dir))?;
    let config = dir.join(CONFIG_FILE);
    if !config.try_exists().map_err(io_at(&config))? {
        write(&config, &Config::default())?;
    }
    let provider = dir.join(PROVIDER_FILE);
    if !provider.try_exists().map_err(io_at(&provider))? {
        let (ours, merchants) = make_keys()?;
        // Ours last: while it is missing, nothing was handed out that counts.
        write(&dir.join(MERCHANT_FILE), &merchants)?;
        write(&provider, &ours)?;
    }
    let file: ProviderFile = read_secret(&provider)?;
    Ok(PublicFacts {
        mchid: file.mchid,
        appid: file.appid,
        merchant_serial: file.merchant_serial,
        platform_serial: file.platform_serial,
        public_key_id: file.public_key_id,
        merchant_file: dir.join(MERCHANT_FILE),
    })
}

/// Reads what [`init`] wrote; refuses secrets that others can read.
pub(crate) fn load(dir: &Path) -> Result<(ProviderFile, Config), FilesError> {
    let provider = read_secret(&dir.join(PROVIDER_FILE))?;
    let merchant = dir.join(MERCHANT_FILE);
    if merchant.exists() {
        refuse_exposed(&merchant)?;
    }
    Ok((provider, read(&dir.join(CONFIG_FILE))?))
}

fn read_secret<T: DeserializeOwned>(path: &Path) -> Result<T, FilesError> {
    if !path.exists() {
        return Err(FilesError::NotInitialised(path.to_owned()));
    }
    refuse_exposed(path)?;
    read(path)
}

fn refuse_exposed(path: &Path) -> Result<(), FilesError> {
    let metadata = fs::metadata(path).map_err(|source| FilesError::Io {
        path: path.to_owned(),
        source,
    })?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(FilesError::Exposed(path.to_owned()));
    }
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FilesError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            return Err(FilesError::NotInitialised(path.to_owned()));
        }
        Err(source) => {
            return Err(FilesError::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    serde_json::from_slice(&bytes).map_err(|source| FilesError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Writes whole or not at all, readable by the owner only.
fn write(path: &Path, value: &impl Serialize) -> Result<(), FilesError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| FilesError::Json {
        path: path.to_owned(),
        source,
    })?;
    text.push(b'\n');
    let fresh = path.with_extension("new");
    let write_all = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write_all().map_err(|source| FilesError::Io {
        path: path.to_owned(),
        source,
    })
}

fn make_keys() -> Result<(ProviderFile, MerchantFile), FilesError> {
    let fault = |fault: rcgen::Error| FilesError::Keys(fault.to_string());
    let chance = |fault: getrandom::Error| FilesError::Keys(fault.to_string());
    let key = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(fault);
    let (merchant, platform, public) = (key()?, key()?, key()?);

    let platform_serial = serial().map_err(chance)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(
        DnType::CommonName,
        "payment provider sandbox, not the real one",
    );
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2044, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&platform_serial));
    let certificate = params.self_signed(&platform).map_err(fault)?.pem();

    let mchid = format!("19{}", random::digits::<8>().map_err(chance)?);
    let appid = format!("wx{}", random::hex_text::<8>().map_err(chance)?);
    let merchant_serial = hex::encode_upper(serial().map_err(chance)?);
    let platform_serial = hex::encode_upper(platform_serial);
    let public_key_id = format!(
        "PUB_KEY_ID_01{mchid}{}",
        random::digits::<22>().map_err(chance)?
    );
    let apiv3_key = random::hex_text::<16>().map_err(chance)?;
    let ours = ProviderFile {
        mchid: mchid.clone(),
        appid: appid.clone(),
        merchant_serial: merchant_serial.clone(),
        merchant_public_key: merchant.public_key_pem(),
        apiv3_key: apiv3_key.clone(),
        platform_serial: platform_serial.clone(),
        platform_certificate: certificate.clone(),
        platform_private_key: platform.serialize_pem(),
        public_key_id: public_key_id.clone(),
        public_key_private_key: public.serialize_pem(),
    };
    let merchants = MerchantFile {
        mchid,
        appid,
        merchant_serial,
        merchant_private_key: merchant.serialize_pem(),
        apiv3_key,
        platform_serial,
        platform_certificate: certificate,
        public_key_id,
        public_key: public.public_key_pem(),
    };
    Ok((ours, merchants))
}

/// 20 bytes that have one spelling in hex: the first digit is 5.
fn serial() -> Result<[u8; 20], getrandom::Error> {
    let mut serial = random::bytes::<20>()?;
    serial[0] = 0x50 | serial[0] & 0x0F;
    Ok(serial)
}
