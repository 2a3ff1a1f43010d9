use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ed25519_dalek::SigningKey;
use gas_http::{Callers, webhook};
use gas_units::UnixMillis;

use crate::Target;
use crate::input::Input;

pub(super) const TARGET: Target = Target {
    name: "webhook",
    about: "webhook headers and access keys: believed is only what was signed",
    run,
    seeds,
    smoke_runs: 1_500,
};

const NOW: UnixMillis = UnixMillis::from_millis(1_750_000_000_500);
const NAMES: [&str; 3] = [webhook::ID, webhook::TIMESTAMP, webhook::SIGNATURE];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn seeds() -> Vec<Vec<u8>> {
    let counted = |bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap_or(0);
        [&[length], bytes].concat()
    };
    let signed = webhook::sign("msg_1", b"{}", NOW, &key()).map(|(_, value)| value);
    let whole = signed.iter().flat_map(|value| counted(value.as_bytes()));
    let twice = format!("v1a,AAAA {}", signed[2]);
    let rotated = [signed[0].as_str(), &signed[1], &twice].map(|value| counted(value.as_bytes()));
    vec![
        whole.chain(*b"{}").collect(),
        [&rotated.concat()[..], b"{}"].concat(),
        [counted(b"a"), counted(b"1"), counted(b"v1a,")].concat(),
    ]
}

fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut headers = HeaderMap::new();
    for name in NAMES {
        if let Ok(value) = HeaderValue::from_bytes(input.counted()) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let body = input.rest();
    if let Ok(id) = webhook::verify(&headers, body, NOW, &key().verifying_key()) {
        // Whoever has no key can only repeat what was signed: the seeds.
        assert_eq!(
            (id, body),
            ("msg_1", &b"{}"[..]),
            "believed, and never signed"
        );
    }
    signed_here(bytes);
    let callers: Callers = serde_json::from_slice(bytes).unwrap_or_default();
    assert!(!callers.prove("cloud", bytes), "no text is its own hash");
}

/// Any id and body, signed: believed where the id can stand in a header, and with a bit changed not.
fn signed_here(bytes: &[u8]) {
    let mut input = Input(bytes);
    let id = String::from_utf8_lossy(input.counted()).into_owned();
    let flipped = usize::from(input.u16());
    let mut body = input.rest().to_vec();
    let mut headers = HeaderMap::new();
    for (name, value) in webhook::sign(&id, &body, NOW, &key()) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let plain =
        id.bytes().all(|byte| byte.is_ascii_graphic()) && !id.contains('.') && !id.is_empty();
    let verified = webhook::verify(&headers, &body, NOW, &key().verifying_key());
    if plain {
        assert_eq!(verified, Ok(id.as_str()));
    }
    if !body.is_empty() {
        let place = flipped / 8 % body.len();
        body[place] ^= 1 << (flipped % 8);
        assert!(webhook::verify(&headers, &body, NOW, &key().verifying_key()).is_err());
    }
}
