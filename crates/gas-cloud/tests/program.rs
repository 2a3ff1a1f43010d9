//! The program: init, serve, killed and started again, stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gas_statement::SigningKey;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gas-cloud"))
}

fn init(data_dir: &Path) -> serde_json::Value {
    let done = program()
        .args(["init", "--data-dir"])
        .arg(data_dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Starts the server and waits until it says where it is.
fn serve(data_dir: &Path) -> (Child, String) {
    let mut child = program()
        .args(["serve", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .trim_end()
        .strip_prefix("READY http=")
        .unwrap()
        .to_owned();
    (child, address)
}

async fn healthy(address: &str) -> bool {
    reqwest::get(format!("http://{address}/health"))
        .await
        .unwrap()
        .status()
        .is_success()
}

#[tokio::test]
async fn it_starts_after_a_kill_and_stops_when_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let data_dir = folder.path().join("cloud");
    let told = init(&data_dir);
    assert_eq!(
        told["company_access_key_sha256"].as_str().unwrap().len(),
        64
    );
    assert_eq!(init(&data_dir), told, "a second init changes nothing");
    let server = |file: &str, key: u8| {
        serde_json::json!({
            "url": "http://127.0.0.1:9",
            "access_key_file": file,
            "public_key": SigningKey::from_bytes(&[key; 32]).verifying_key(),
        })
    };
    let config = serde_json::json!({
        "listen": "127.0.0.1:0",
        "company": server("company.access-key", 1),
        "pay": server("pay.access-key", 2),
    });
    fs::write(data_dir.join("config.json"), config.to_string()).unwrap();

    let (mut first, address) = serve(&data_dir);
    assert!(healthy(&address).await);
    first.kill().unwrap();
    first.wait().unwrap();
    let (mut second, address) = serve(&data_dir);
    assert!(healthy(&address).await);
    let stop = Command::new("kill")
        .args(["-TERM", &second.id().to_string()])
        .status()
        .unwrap();
    assert!(stop.success());
    assert!(second.wait().unwrap().success());
}

#[test]
fn without_a_configuration_it_says_what_is_missing() {
    let folder = tempfile::TempDir::new().unwrap();
    let done = program()
        .args(["serve", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!done.status.success());
    let error = String::from_utf8(done.stderr).unwrap();
    assert!(
        error.contains("config.json") && error.contains("gas-cloud init"),
        "{error}"
    );
}
