//! The program itself: its data directory, its keys, its provisioning files, killed and started again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use gas_company::{ConfigError, Setup, init, open_files};
use gas_http::PrivateFileError;
use gas_token_issue::MasterKey;
use serde_json::{Value, json};
use tempfile::TempDir;

const METER: &str = "00110000123456";

fn program(words: &[&str], data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gas-company"));
    command.args(words).arg("--data-dir").arg(data_dir);
    command
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn facts(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A data directory that has been initialised and configured.
fn ready() -> TempDir {
    let dir = TempDir::new().unwrap();
    let data_dir = dir.path().join("company");
    facts(&program(&["init"], &data_dir).output().unwrap());
    let pay = gas_statement::SigningKey::from_bytes(&[2; 32]).verifying_key();
    let config = json!({
        "listen": "127.0.0.1:0",
        "callers": [{"name": "cloud", "access_key_sha256": "0".repeat(64)}],
        "pay_public_key": pay,
        // Nothing is handed over in these tests: nobody needs to listen there.
        "pay": {"url": "http://127.0.0.1:9", "access_key_file": "pay.access-key"},
    });
    fs::write(data_dir.join("config.json"), config.to_string()).unwrap();
    dir
}

#[test]
fn init_makes_private_files_once() {
    let dir = TempDir::new().unwrap();
    let data_dir = dir.path().join("deep/company");
    let first = facts(&program(&["init"], &data_dir).output().unwrap());
    assert_eq!(first["public_key"].as_str().unwrap().len(), 64);
    assert_eq!(first["pay_access_key_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(mode(&data_dir.join("pay.access-key")), 0o600);
    assert_eq!(mode(&data_dir), 0o700);
    for (name, length) in [("master.key", 16), ("statement.key", 32)] {
        let path = data_dir.join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        assert_eq!(fs::read(&path).unwrap().len(), length, "{name}");
    }
    let master = fs::read(data_dir.join("master.key")).unwrap();
    let again = facts(&program(&["init"], &data_dir).output().unwrap());
    assert_eq!(again, first);
    assert_eq!(fs::read(data_dir.join("master.key")).unwrap(), master);
}

#[test]
fn it_does_not_start_when_others_can_read_a_key_or_enter_the_directory() {
    let dir = ready();
    let data_dir = dir.path().join("company");
    assert!(Setup::read(&data_dir).is_ok());
    for name in ["master.key", "statement.key", ""] {
        let path = data_dir.join(name);
        let before = mode(&path);
        for bits in [0o040, 0o004, 0o020] {
            set_mode(&path, before | bits);
            assert!(
                matches!(
                    Setup::read(&data_dir),
                    Err(ConfigError::Private(PrivateFileError::Exposed { .. }))
                ),
                "{name} {bits:o}"
            );
        }
        let output = program(&["serve"], &data_dir).output().unwrap();
        assert!(!output.status.success(), "{name}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("can be read by others"), "{told}");
        assert!(output.stdout.is_empty());
        set_mode(&path, before);
    }
}

#[test]
fn a_lost_key_is_not_replaced_beside_old_books() {
    let dir = ready();
    let data_dir = dir.path().join("company");
    fs::write(data_dir.join("company.db"), "").unwrap();
    for name in ["master.key", "statement.key"] {
        let path = data_dir.join(name);
        let key = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(init(&data_dir), Err(ConfigError::KeyLost(lost)) if lost == path));
        assert!(matches!(
            open_files(&data_dir),
            Err(ConfigError::File { path: missing, .. }) if missing == path
        ));
        assert!(!path.exists(), "serving makes no key either");
        fs::write(&path, &key[1..]).unwrap();
        set_mode(&path, 0o600);
        assert!(matches!(
            open_files(&data_dir),
            Err(ConfigError::Key { .. })
        ));
        fs::write(&path, key).unwrap();
    }
}

#[test]
fn a_meter_is_provisioned_with_its_own_key_only() {
    let dir = ready();
    let data_dir = dir.path().join("company");
    let out = dir.path().join("meter.json");
    let add = |settings: &[&str]| {
        let mut add = program(&["meter", "add"], &data_dir);
        add.args(["--meter", METER, "--out"]).arg(&out);
        add.args(settings).output().unwrap()
    };
    let output = add(&[]);
    let told = facts(&output);
    assert_eq!(told["provisioning_file"], out.to_str().unwrap());
    assert_eq!(mode(&out), 0o600);
    let text = fs::read_to_string(&out).unwrap();
    let provisioning: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(provisioning["meter"], METER);
    assert_eq!(provisioning["unit"], "fen");
    assert_eq!(provisioning["generation"], 1);
    assert_eq!(provisioning["limit"], 200_000);
    assert_eq!(
        provisioning["tariff"]["prices_fen_per_m3"],
        json!([261, 283, 423])
    );

    let master = fs::read(data_dir.join("master.key")).unwrap();
    let master: [u8; 16] = master.try_into().unwrap();
    let key = MasterKey::from_bytes(master).meter_key(METER.parse().unwrap(), 1);
    let key = hex::encode(key.expose());
    assert_eq!(provisioning["meter_key_hex"], key);
    let shown = format!("{:?}", output);
    assert!(!shown.contains(&key), "the key stands in the file only");
    for secret in [
        hex::encode(master),
        hex::encode(fs::read(data_dir.join("statement.key")).unwrap()),
    ] {
        assert!(!text.contains(&secret) && !shown.contains(&secret));
    }

    // Again: the same file. With other settings: refused, and the books stay.
    fs::remove_file(&out).unwrap();
    facts(&add(&[]));
    assert_eq!(fs::read_to_string(&out).unwrap(), text);
    for settings in [["--unit", "m3"], ["--limit", "10"], ["--sale-limit", "10"]] {
        let output = add(&settings);
        assert!(!output.status.success(), "{settings:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("stays as it was"), "{told}");
    }
    let refused = add(&["--limit", "0"]);
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("above zero")
    );
}

struct Running(Child);

impl Running {
    /// Starts the server and waits for the line that says where it listens.
    fn start(data_dir: &Path) -> (Self, String) {
        let mut child = program(&["serve"], data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        (Self(child), line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn it_says_where_it_listens_and_starts_again_after_being_killed() {
    let dir = ready();
    let data_dir = dir.path().join("company");
    for _ in 0..2 {
        let (mut running, line) = Running::start(&data_dir);
        assert!(line.starts_with("READY http=127.0.0.1:"), "{line}");
        // SIGKILL.
        running.0.kill().unwrap();
        running.0.wait().unwrap();
    }
    let (mut running, line) = Running::start(&data_dir);
    assert!(line.starts_with("READY http="), "{line}");
    let stop = Command::new("kill")
        .arg(running.0.id().to_string())
        .status();
    assert!(stop.unwrap().success());
    assert!(
        running.0.wait().unwrap().success(),
        "SIGTERM ends it cleanly"
    );
}

#[test]
fn books_are_restored_with_the_payment_servers_word_only() {
    let dir = ready();
    let data_dir = dir.path().join("company");
    let restore = || {
        let mut restore = program(&["restore", "--epoch", "1"], &data_dir);
        restore.output().unwrap()
    };
    // No meter, nothing to ask.
    assert_eq!(facts(&restore()), json!({"epoch": 1, "meters": 0}));
    let mut add = program(&["meter", "add"], &data_dir);
    facts(&add.args(["--meter", METER]).output().unwrap());
    let unreachable = restore();
    assert!(!unreachable.status.success());
    let told = String::from_utf8(unreachable.stderr).unwrap();
    assert!(told.contains("payment server cannot be reached"), "{told}");

    let config = data_dir.join("config.json");
    let mut without: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    without.as_object_mut().unwrap().remove("pay");
    fs::write(&config, without.to_string()).unwrap();
    let told = String::from_utf8(restore().stderr).unwrap();
    assert!(told.contains("`pay` is missing"), "{told}");
}
