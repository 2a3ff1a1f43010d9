use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gas_tender_wechat::{
    Answer, Credentials, Merchant, News, OrderNumber, ProviderError, SignatureHeaders, TradeState,
};
use gas_units::{Money, UnixMillis};
use serde_json::{Value, json};

use crate::Target;
use crate::input::Input;

pub(super) const TARGET: Target = Target {
    name: "wechat",
    about: "the provider's answers and notifications: unsigned ones prove nothing, signed ones are ours or refused",
    run,
    seeds,
    smoke_runs: 400,
};

const NOW: UnixMillis = UnixMillis::from_millis(1_764_000_000_000);
const KEY_ID: &str = "PUB_KEY_ID_0000000000000000000000000001";

/// The merchant of the vectors, for whom the provider signs with the merchant's own key, so that this
/// target can play the provider.
struct World {
    provider: RsaKeyPair,
    apiv3_key: String,
    merchant: Merchant,
    number: OrderNumber,
    vectors: Value,
}

static WORLD: LazyLock<Option<World>> = LazyLock::new(|| {
    let vectors = include_str!("../../../gas-tender-wechat/vectors/wechat.json");
    let vectors: Value = serde_json::from_str(vectors).ok()?;
    let pem = vectors["credentials"]["merchant_private_key"].as_str()?;
    let der: String = pem
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let provider = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).ok()?).ok()?;
    let public: PublicKeyX509Der<'_> = provider.public_key().as_der().ok()?;
    let public = STANDARD.encode(public.as_ref());
    let mut credentials = vectors["credentials"].clone();
    credentials["public_key_id"] = KEY_ID.into();
    credentials["public_key"] =
        format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n").into();
    let apiv3_key = credentials["apiv3_key"].as_str()?.to_owned();
    let credentials: Credentials = serde_json::from_value(credentials).ok()?;
    Some(World {
        provider,
        apiv3_key,
        merchant: Merchant::new(&credentials).ok()?,
        number: vectors["order_number"].as_str()?.parse().ok()?,
        vectors,
    })
});

fn seeds() -> Vec<Vec<u8>> {
    let Some(world) = WORLD.as_ref() else {
        return Vec::new();
    };
    let lists = ["answers", "notifications"].map(|list| world.vectors[list].as_array());
    let bodies = lists
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry["body"].as_str());
    let paid = transaction(world).to_string();
    let signed = bodies.chain([paid.as_str()]).flat_map(|body| {
        let kinds = 0..7;
        kinds.map(|kind| [&[kind, 0, 200], body.as_bytes()].concat())
    });
    signed.collect()
}

fn transaction(world: &World) -> Value {
    json!({
        "appid": world.merchant.appid(), "mchid": world.merchant.mchid(),
        "out_trade_no": world.number.to_string(), "trade_state": "SUCCESS",
        "transaction_id": "42000012342025", "success_time": "2025-11-25T00:00:00+08:00",
        "amount": {"total": 20000, "currency": "CNY"},
    })
}

impl World {
    fn sign(&self, body: &[u8]) -> String {
        let message = [b"1764000000\nnonce\n", body, b"\n"].concat();
        let mut signature = vec![0; self.provider.public_modulus_len()];
        let signed = self.provider.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            &message,
            &mut signature,
        );
        assert!(signed.is_ok());
        STANDARD.encode(signature)
    }

    fn seal(&self, contents: &[u8]) -> String {
        let nonce = [b'n'; 12];
        let mut bytes = contents.to_vec();
        let sealed = UnboundKey::new(&AES_256_GCM, self.apiv3_key.as_bytes())
            .map(LessSafeKey::new)
            .and_then(|key| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_in_place_append_tag(nonce, Aad::from(b""), &mut bytes)
            });
        assert!(sealed.is_ok());
        STANDARD.encode(bytes)
    }
}

fn run(bytes: &[u8]) {
    let Some(world) = WORLD.as_ref() else {
        unreachable!("the vectors hold a merchant");
    };
    let mut input = Input(bytes);
    let kind = input.u8() % 7;
    let status = input.u16();
    let body = input.rest();
    match kind {
        0 => unsigned(world, status, body),
        1 => answers(world, 200, body),
        2 => answers(world, status, body),
        3 => notification(world, body),
        4 => sealed_notification(world, "TRANSACTION.SUCCESS", body),
        5 => sealed_notification(world, "REFUND.SUCCESS", body),
        _ => certificates(world, body),
    }
}

fn headers(signature: &str) -> SignatureHeaders<'_> {
    SignatureHeaders {
        timestamp: Some("1764000000"),
        nonce: Some("nonce"),
        signature: Some(signature),
        serial: Some(KEY_ID),
        signature_type: None,
    }
}

/// Headers and body out of nowhere: nothing is paid, no code is shown, nothing is told.
fn unsigned(world: &World, status: u16, bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut text = || core::str::from_utf8(input.counted()).ok();
    let headers = SignatureHeaders {
        timestamp: text(),
        nonce: text(),
        signature: text(),
        serial: text(),
        signature_type: text(),
    };
    let body = input.rest();
    let answer = Answer {
        status,
        headers,
        body,
    };
    let queried = world.merchant.read_query_answer(world.number, &answer, NOW);
    assert!(!matches!(queried, Ok(Some(_))));
    assert!(world.merchant.read_prepay_answer(&answer, NOW).is_err());
    assert!(world.merchant.read_h5_answer(&answer, NOW).is_err());
    let notified = world.merchant.read_notification(&headers, body, NOW);
    assert!(notified.is_err());
}

/// A signed answer is about the order that was asked for, and a payment is of at least 1 fen.
fn answers(world: &World, status: u16, body: &[u8]) {
    let signature = world.sign(body);
    let answer = Answer {
        status,
        headers: headers(&signature),
        body,
    };
    match world.merchant.read_query_answer(world.number, &answer, NOW) {
        Ok(Some(transaction)) => {
            assert_eq!(transaction.number, world.number);
            paid_something(&transaction.state);
        }
        Ok(None) => assert!((400..500).contains(&status)),
        Err(fault) => known(&fault),
    }
    match world.merchant.read_prepay_answer(&answer, NOW) {
        Ok(code) => assert!(code.as_str().starts_with("weixin://")),
        Err(fault) => known(&fault),
    }
    match world.merchant.read_h5_answer(&answer, NOW) {
        // A browser is sent there, with one more parameter.
        Ok(page) => assert!(page.as_str().starts_with("http") && page.as_str().contains('?')),
        Err(fault) => known(&fault),
    }
    if let Err(fault) = world.merchant.read_close_answer(&answer, NOW) {
        known(&fault);
    }
}

fn known(fault: &ProviderError) {
    assert!(!fault.to_string().is_empty());
}

fn paid_something(state: &TradeState) {
    match state {
        TradeState::Paid(payment) | TradeState::Refunding(payment) => {
            assert!(payment.amount >= Money::from_fen(1));
        }
        TradeState::NotPaid | TradeState::Closed => {}
    }
}

fn notification(world: &World, body: &[u8]) {
    let signature = world.sign(body);
    let read = world
        .merchant
        .read_notification(&headers(&signature), body, NOW);
    match read.map(|notification| notification.news) {
        Ok(News::Order(transaction)) => paid_something(&transaction.state),
        // Only its numbers are told, and they are ours to ask about.
        Ok(News::Refund(_)) | Err(_) => {}
    }
}

/// What the provider sealed and signed, whatever stands in it.
fn sealed_notification(world: &World, event_type: &str, contents: &[u8]) {
    let resource = json!({"algorithm": "AEAD_AES_256_GCM", "nonce": "nnnnnnnnnnnn",
        "associated_data": "", "ciphertext": world.seal(contents)});
    let whole = json!({"id": "1", "event_type": event_type, "resource": resource});
    notification(world, whole.to_string().as_bytes());
}

/// A certificate that the provider sealed and signed, whatever stands in it.
fn certificates(world: &World, pem: &[u8]) {
    let resource = json!({"algorithm": "AEAD_AES_256_GCM", "nonce": "nnnnnnnnnnnn",
        "ciphertext": world.seal(pem)});
    let body = json!({"data": [{"encrypt_certificate": resource}]}).to_string();
    let signature = world.sign(body.as_bytes());
    let answer = Answer {
        status: 200,
        headers: headers(&signature),
        body: body.as_bytes(),
    };
    let credentials = world.vectors["credentials"].clone();
    let merchant = serde_json::from_value::<Credentials>(credentials)
        .ok()
        .and_then(|known| Merchant::new(&known).ok());
    if let Some(mut merchant) = merchant {
        // Signed by a key this merchant was not told of: refused after all was read.
        assert!(merchant.read_certificates_answer(&answer, NOW).is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_seeds_sign_and_seal_is_believed() {
        let world = WORLD.as_ref().unwrap();
        let paid = transaction(world).to_string();
        let signature = world.sign(paid.as_bytes());
        let answer = Answer {
            status: 200,
            headers: headers(&signature),
            body: paid.as_bytes(),
        };
        let read = world.merchant.read_query_answer(world.number, &answer, NOW);
        assert!(matches!(read, Ok(Some(transaction)) if transaction.number == world.number));
        let resource = json!({"algorithm": "AEAD_AES_256_GCM", "nonce": "nnnnnnnnnnnn",
            "associated_data": "", "ciphertext": world.seal(paid.as_bytes())});
        let told = json!({"id": "1", "event_type": "TRANSACTION.SUCCESS", "resource": resource});
        let told = told.to_string();
        let signature = world.sign(told.as_bytes());
        let headers = headers(&signature);
        let read = world
            .merchant
            .read_notification(&headers, told.as_bytes(), NOW);
        assert!(read.is_ok(), "{read:?}");
    }
}
