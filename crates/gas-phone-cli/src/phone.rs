//! This phone: its configuration, its key, and what it remembers.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;
use gas_api::PublicKeyHex;
use gas_hci::BluetoothAddress;
use gas_link::RequestId;
use gas_phone::{History, ReceiptFile, TopUp, Trust};
use gas_statement::VerifyingKey;
use gas_units::{MeterNumber, UnixMillis, VendId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files;

/// `config.json` of a phone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The cloud, like `https://cloud.example`.
    pub(crate) cloud_url: String,
    /// The Bluetooth controller, `host:port`, speaking HCI H4.
    pub(crate) hci: String,
    /// Whose quotes, issues and settlements this phone believes.
    pub(crate) company_public_key: PublicKeyHex,
    /// Whose payments this phone believes.
    pub(crate) pay_public_key: PublicKeyHex,
    /// Longest GATT value this phone offers to the card, 20..=244 bytes; for trying out small links.
    #[serde(default = "value_max")]
    pub(crate) value_max: u16,
}

const fn value_max() -> u16 {
    244
}

/// What this phone knows of a meter.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownMeter {
    /// The cloud shows this phone the meter's data since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enrolled_at_ms: Option<UnixMillis>,
    pub(crate) history: History,
}

/// A phone and its folder.
pub(crate) struct Phone {
    dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    pub(crate) key: SigningKey,
    /// Held while the program runs: two programs would undo each other's vends.
    _lock: File,
}

impl Phone {
    /// Opens the phone in `dir`, alone. Makes its key where it has none.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join("config.json");
        let config: Config = files::read_json(&file)?.with_context(|| {
            format!(
                "there is no phone here: {} is missing. Start everything with ./x up, or write it as docs/operating.md says",
                file.display()
            )
        })?;
        for folder in ["vends", "receipts", "meters"] {
            files::make_dir(&dir.join(folder))?;
        }
        let lock = lock(&dir.join("lock"))?;
        let trust = trust(config.company_public_key, config.pay_public_key)?;
        Ok(Self {
            key: key(&dir.join("phone.key"))?,
            dir: dir.to_owned(),
            config,
            trust,
            _lock: lock,
        })
    }

    /// Its public key, which is also its name.
    pub(crate) fn public_key(&self) -> PublicKeyHex {
        PublicKeyHex(self.key.verifying_key().to_bytes())
    }

    /// Its Bluetooth address: always the same, because bonds hang on it.
    pub(crate) fn address(&self) -> BluetoothAddress {
        let digest: [u8; 32] = Sha256::digest(self.public_key().0).into();
        let mut address = [0; 6];
        address.copy_from_slice(&digest[..6]);
        BluetoothAddress::from_random(address)
    }

    pub(crate) fn bonds(&self) -> PathBuf {
        self.dir.join("bonds.json")
    }

    fn vend_file(&self, vend_id: VendId) -> PathBuf {
        self.dir.join("vends").join(format!("{vend_id}.json"))
    }

    fn meter_file(&self, meter: MeterNumber) -> PathBuf {
        self.dir.join("meters").join(format!("{meter}.json"))
    }

    /// Remembers a vend, for ever.
    pub(crate) fn save(&self, top_up: &TopUp) -> anyhow::Result<()> {
        files::write_json(&self.vend_file(top_up.vend_id()), top_up)
    }

    /// Every vend that it remembers, oldest first.
    pub(crate) fn vends(&self) -> anyhow::Result<Vec<TopUp>> {
        let mut vends: Vec<TopUp> = Vec::new();
        for entry in fs::read_dir(self.dir.join("vends"))? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                vends.extend(files::read_json(&path)?);
            }
        }
        // Ids of version 7 are in order of time.
        vends.sort_by_key(|vend| vend.vend_id().to_string());
        Ok(vends)
    }

    fn receipt_file(&self, vend: VendId) -> PathBuf {
        self.dir.join("receipts").join(format!("{vend}.json"))
    }

    /// The proof of a vend, where it is kept.
    pub(crate) fn receipt(&self, vend: VendId) -> anyhow::Result<Option<ReceiptFile>> {
        files::read_json(&self.receipt_file(vend))
    }

    /// Keeps the proof of a vend, and says where.
    pub(crate) fn keep_receipt(&self, receipt: &ReceiptFile) -> anyhow::Result<PathBuf> {
        let file = self.receipt_file(receipt.vend_id);
        files::write_json(&file, receipt)?;
        Ok(file)
    }

    /// What it knows of a meter.
    pub(crate) fn meter(&self, meter: MeterNumber) -> anyhow::Result<KnownMeter> {
        let known = files::read_json(&self.meter_file(meter))?;
        Ok(known.unwrap_or_else(|| KnownMeter {
            enrolled_at_ms: None,
            history: History::new(meter),
        }))
    }

    pub(crate) fn save_meter(&self, known: &KnownMeter) -> anyhow::Result<()> {
        files::write_json(&self.meter_file(known.history.meter()), known)
    }

    /// Forgets a meter's data.
    pub(crate) fn forget_meter(&self, meter: MeterNumber) -> anyhow::Result<()> {
        fs::remove_file(self.meter_file(meter)).context("cannot forget the meter's data here")
    }

    /// The meters it knows.
    pub(crate) fn meters(&self) -> anyhow::Result<Vec<MeterNumber>> {
        let mut meters = Vec::new();
        for entry in fs::read_dir(self.dir.join("meters"))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str());
            meters.extend(name.and_then(|name| name.parse::<MeterNumber>().ok()));
        }
        meters.sort();
        meters.dedup();
        Ok(meters)
    }
}

/// Keys to check statements with.
pub(crate) fn trust(company: PublicKeyHex, pay: PublicKeyHex) -> anyhow::Result<Trust> {
    let key = |key: PublicKeyHex, whose: &str| {
        VerifyingKey::from_bytes(&key.0).with_context(|| format!("the {whose}'s public key"))
    };
    Ok(Trust {
        company: key(company, "gas company")?,
        pay: key(pay, "payment server")?,
    })
}

/// Now, by the system's clock.
pub(crate) fn now() -> UnixMillis {
    UnixMillis::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes)
}

/// A new request id.
pub(crate) fn request_id() -> anyhow::Result<RequestId> {
    Ok(RequestId(random()?))
}

/// A new vend id.
pub(crate) fn vend_id() -> anyhow::Result<VendId> {
    let now = u64::try_from(now().millis()).context("the clock is before 1970")?;
    Ok(VendId::from_parts(now, random()?))
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("this phone is busy with another command; wait for it, or stop it with Ctrl-C")
        }
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock this phone's folder"),
    }
}

fn key(path: &Path) -> anyhow::Result<SigningKey> {
    if let Some(text) = files::read_secret(path)? {
        let mut bytes = [0; 32];
        let text = text.trim_ascii();
        hex::decode_to_slice(text, &mut bytes)
            .with_context(|| format!("{} is not a key: 64 hexadecimal digits", path.display()))?;
        return Ok(SigningKey::from_bytes(&bytes));
    }
    let key = SigningKey::from_bytes(&random()?);
    files::write(path, hex::encode(key.to_bytes()).as_bytes())?;
    Ok(key)
}
