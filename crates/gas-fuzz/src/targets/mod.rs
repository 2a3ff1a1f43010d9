//! The targets, by crate.

mod api;
mod bridge;
mod cjt188;
mod journal;
mod json;
mod link;
mod meter;
mod statement;
mod text;
mod token;
mod webhook;
mod wechat;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Target;

/// All targets.
pub const TARGETS: &[Target] = &[
    token::TARGET,
    cjt188::TARGET,
    link::MESSAGES,
    link::SESSION,
    journal::TARGET,
    meter::MEMORY,
    meter::LINE,
    statement::TARGET,
    text::TARGET,
    api::TARGET,
    json::TARGET,
    bridge::TARGET,
    webhook::TARGET,
    wechat::TARGET,
];

/// What was read from JSON is written so that it reads back equal, and is written alike again.
fn json_reads_back<T: DeserializeOwned + Serialize + PartialEq + core::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap_or_default();
    let again = serde_json::from_str::<T>(&text);
    assert!(
        again.as_ref().is_ok_and(|again| again == value),
        "{value:?} is written as {text}, which reads as {again:?}"
    );
    let rewritten = again
        .ok()
        .and_then(|again| serde_json::to_string(&again).ok());
    assert_eq!(rewritten.as_ref(), Some(&text), "written in two ways");
}

/// The hexadecimal texts under `field` anywhere in a file of vectors, as bytes.
fn vector_bytes(json: &str, field: &str) -> Vec<Vec<u8>> {
    fn walk(value: &serde_json::Value, field: &str, found: &mut Vec<Vec<u8>>) {
        match value {
            serde_json::Value::Array(list) => list.iter().for_each(|one| walk(one, field, found)),
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    let bytes = value.as_str().filter(|_| name == field);
                    found.extend(bytes.and_then(|text| hex::decode(text).ok()));
                    walk(value, field, found);
                }
            }
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    walk(
        &serde_json::from_str(json).unwrap_or_default(),
        field,
        &mut found,
    );
    found
}
