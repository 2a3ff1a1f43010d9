//! H5 payment (`vectors/h5.json`, written by `vectors/make_h5.py` beside it).

use gas_tender_wechat::{Answer, Doubt, H5Url, Merchant, ProviderError, SignatureHeaders};
use serde_json::Value;

use crate::{Vectors, order};

fn h5() -> Value {
    serde_json::from_str(include_str!("../../vectors/h5.json")).unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

#[test]
fn the_payer_goes_with_the_order_byte_for_byte() {
    let (vectors, h5) = (Vectors::load(), h5());
    let payer = "192.0.2.7".parse().unwrap();
    let request = vectors
        .merchant()
        .h5_prepay(&order(&vectors), payer, vectors.nonce(), vectors.now())
        .unwrap();
    let expected = &h5["request"];
    assert_eq!(request.method.name(), "POST");
    assert_eq!(request.path, text(expected, "path"));
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        text(expected, "body")
    );
    let authorization = ("Authorization", text(expected, "authorization").to_owned());
    assert!(
        request.headers.contains(&authorization),
        "{:?}",
        request.headers
    );
}

/// The merchant who knows the key that these answers are signed with.
fn merchant(h5: &Value) -> Merchant {
    let mut credentials = Vectors::load().credentials();
    credentials.public_key_id = Some(text(h5, "public_key_id").to_owned());
    credentials.public_key = Some(text(h5, "public_key").to_owned());
    Merchant::new(&credentials).unwrap()
}

fn read(answer: &Value, body: &str) -> Result<H5Url, ProviderError> {
    let (vectors, h5) = (Vectors::load(), h5());
    let timestamp = vectors.0["now"].to_string();
    let answer = Answer {
        status: 200,
        headers: SignatureHeaders {
            timestamp: Some(&timestamp),
            nonce: Some(text(&h5, "answer_nonce")),
            signature: Some(text(answer, "signature")),
            serial: Some(text(&h5, "public_key_id")),
            signature_type: Some("WECHATPAY2-SHA256-RSA2048"),
        },
        body: body.as_bytes(),
    };
    merchant(&h5).read_h5_answer(&answer, vectors.now())
}

/// A browser is sent where the answer says.
#[test]
fn only_a_signed_web_address_is_a_link() {
    let h5 = h5();
    for answer in h5["answers"].as_array().unwrap() {
        let (name, body) = (text(answer, "name"), text(answer, "body"));
        let read_now = read(answer, body);
        if name.starts_with("link") {
            let url: Value = serde_json::from_str(body).unwrap();
            assert_eq!(read_now.unwrap().as_str(), text(&url, "h5_url"), "{name}");
        } else {
            let doubted = matches!(read_now, Err(ProviderError::Unknown(Doubt::Body(_))));
            assert!(doubted, "{name}");
        }
        let changed = body.replace("h5_url\": \"", "h5_url\": \"https://evil.example/?");
        let forged = read(answer, &changed);
        assert!(
            matches!(forged, Err(ProviderError::Unknown(_))),
            "{name}: {forged:?}"
        );
    }
}
