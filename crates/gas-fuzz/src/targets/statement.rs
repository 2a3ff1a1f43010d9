use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use gas_statement::{Issue, Payment, Quote, Settlement, Signed, SigningKey, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Target;
use crate::input::Input;

pub(super) const TARGET: Target = Target {
    name: "statement",
    about: "signed statements: only ours are believed, in one spelling, and quotes compute or are refused",
    run,
    seeds,
    smoke_runs: 1_500,
};

const KEY: [u8; 32] = [3; 32];

const QUOTE: &str = r#"{"vend_id":"019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01","meter":"26110000012345","explanation":{"tariff":{"version":3,"bounds_centi_m3":[35000,50000],"prices_fen_per_m3":[261,283,423]},"basis":{"unit":"fen","register_centi_m3":964200,"year_start_register_centi_m3":931200,"purchased_this_year_centi_m3":0,"undelivered":0,"balance":-950},"want":{"amount_fen":5000},"position_centi_m3":33000,"lines":[],"payable_fen":5000,"credit":5000},"last_seq":7,"meter_time":1795393815,"status_sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","created_at_ms":1,"valid_until_ms":2}"#;

fn seeds() -> Vec<Vec<u8>> {
    let key = SigningKey::from_bytes(&KEY);
    let signed = serde_json::from_str::<Quote>(QUOTE)
        .ok()
        .and_then(|quote| Signed::sign(&key, quote).ok());
    let compact = signed
        .map(Signed::into_parts)
        .map_or_else(String::new, |parts| parts.0);
    let kinds = (0..4).map(|kind| [&[kind], QUOTE.as_bytes()].concat());
    kinds
        .chain([
            [&[4], compact.as_bytes()].concat(),
            b"\x05e30.e30.e30".to_vec(),
        ])
        .collect()
}

fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.u8() % 6 {
        0 => {
            if let Some(quote) = signed_here::<Quote>(input.rest()) {
                // Refused or not, but computed.
                let _sound = quote.check();
                let lines = &quote.explanation.lines;
                assert!(lines.iter().all(|line| !line.to_string().is_empty()));
                let _gas = quote.explanation.new_gas();
            }
        }
        1 => drop(signed_here::<Payment>(input.rest())),
        2 => drop(signed_here::<Issue>(input.rest())),
        3 => drop(signed_here::<Settlement>(input.rest())),
        _ => foreign(input.rest()),
    }
}

/// A payload of ours that says anything: what is believed reads back.
fn signed_here<T>(payload: &[u8]) -> Option<T>
where
    T: Statement + Serialize + DeserializeOwned + PartialEq + core::fmt::Debug + Clone,
{
    let key = SigningKey::from_bytes(&KEY);
    let key_id = key.verifying_key().key_id();
    let header = format!(r#"{{"alg":"EdDSA","kid":"{key_id}","typ":"{}"}}"#, T::TYP);
    let signed = [header.as_bytes(), payload].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = signed.join(".");
    let signature = ed25519_dalek::SigningKey::from_bytes(&KEY).sign(signed.as_bytes());
    let compact = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
    let believed = Signed::<T>::verify(&compact, &key.verifying_key()).ok()?;
    super::json_reads_back(believed.statement());
    assert_eq!(believed.compact(), compact);
    if let Ok(again) = Signed::sign(&key, believed.statement().clone()) {
        let verified = Signed::<T>::verify(again.compact(), &key.verifying_key());
        assert_eq!(verified.as_ref(), Ok(&again));
    }
    Some(believed.into_parts().1)
}

/// A text of anybody's: believed is only what the key's holder signed, letter for letter.
fn foreign(text: &[u8]) {
    let key = SigningKey::from_bytes(&KEY);
    let Ok(text) = core::str::from_utf8(text) else {
        return;
    };
    if let Ok(believed) = Signed::<Quote>::verify(text, &key.verifying_key()) {
        let again = Signed::sign(&key, believed.statement().clone());
        assert_eq!(again.as_ref().map(Signed::compact), Ok(text));
    }
    assert!(Signed::<Payment>::verify(text, &key.verifying_key()).is_err());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_reach_a_quote_that_is_believed() {
        assert!(signed_here::<Quote>(QUOTE.as_bytes()).is_some());
        assert!(signed_here::<Quote>(b"{}").is_none());
        assert!(seeds().iter().any(|seed| seed.len() > 500 && seed[0] == 4));
    }
}
