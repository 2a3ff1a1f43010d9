//! The OpenAPI document against the doors, the types and the file in the repository.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/openapi/document.rs"]
mod document;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gas_cloud::doors;
use serde_json::Value;

fn made() -> Value {
    serde_json::from_str(&document::document().unwrap()).unwrap()
}

#[test]
fn the_file_is_what_the_types_and_doors_make() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/cloud.json");
    let kept = fs::read(file).unwrap_or_default();
    // As JSON: in which order fields come depends on what else is built with us.
    let kept: Value = serde_json::from_slice(&kept).unwrap_or_default();
    assert!(
        kept == made(),
        "openapi/cloud.json is stale: run `cargo xtask openapi` and look at what has changed"
    );
}

#[test]
fn every_door_says_what_it_does_who_may_and_what_can_go_wrong() {
    let document = made();
    let protocol = include_str!("../../../docs/protocols/http.md");
    let mut ids = BTreeSet::new();
    for door in doors() {
        let path = door.path.replace("{*", "{");
        let method = door.method.as_str().to_lowercase();
        let operation = &document["paths"][path.as_str()][method.as_str()];
        let name = format!("{} {}", door.method, door.path);
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
        assert!(
            !operation["x-access-rule"].as_str().unwrap().is_empty(),
            "{name}"
        );
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name}"
        );
        let codes = operation["x-problem-codes"].as_array().unwrap();
        assert!(!codes.is_empty(), "{name}");
        for code in codes {
            let code = format!("`{}`", code.as_str().unwrap());
            assert!(
                protocol.contains(&code),
                "docs/protocols/http.md lacks {code}"
            );
        }
        let parameters = operation["parameters"].as_array().unwrap();
        let named = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path");
        let named: BTreeSet<&str> = named.map(|one| one["name"].as_str().unwrap()).collect();
        let in_path = path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next());
        assert_eq!(named, in_path.collect(), "{name}");
    }
}

#[test]
fn whatever_is_referred_to_is_there() {
    fn look(value: &Value, whole: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref") {
                    let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(whole.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|field| look(field, whole));
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, whole)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = made();
    look(&document, &document);
    assert!(document["components"]["schemas"]["Vend"]["properties"].is_object());
}
