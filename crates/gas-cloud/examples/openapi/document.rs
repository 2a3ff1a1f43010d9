//! The OpenAPI document (3.1), made from the table of doors, what [`operations`](operations()) says of each
//! door, and the schemas of gas-api's types.

#[path = "operations.rs"]
mod operations;

use std::collections::BTreeMap;

use gas_api::Problem;
use gas_cloud::doors;
use gas_http::{AccessRule, Door};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use operations::{Content, Operation, Proof, operations};

/// Every server can answer these wherever something is asked for.
const ALWAYS: [(u16, &[&str]); 2] = [
    (429, &[gas_api::codes::TOO_MANY_REQUESTS]),
    (500, &[gas_api::codes::INTERNAL]),
];

/// The document as it stands in `openapi/cloud.json`.
///
/// # Errors
/// What does not fit: a door without an operation, or an operation without a door.
pub(crate) fn document() -> Result<String, String> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let mut operations: BTreeMap<&str, Operation> = operations(&mut schemas)
        .into_iter()
        .map(|operation| (operation.door, operation))
        .collect();
    let mut paths = Map::new();
    for door in doors() {
        let name = format!("{} {}", door.method, door.path);
        let operation = operations
            .remove(name.as_str())
            .ok_or_else(|| format!("`{name}` is a door that operations.rs says nothing of"))?;
        let path = door.path.replace("{*", "{");
        let of_path = paths.entry(path).or_insert_with(|| json!({}));
        of_path[door.method.as_str().to_lowercase()] = written(&door, &operation);
    }
    if let Some(stray) = operations.keys().next() {
        return Err(format!("`{stray}` is no door of the cloud"));
    }
    let problem = reference::<Problem>(&mut schemas);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pilotlight cloud",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What phones ask of the cloud data server. docs/protocols/http.md says what \
                happens when something is sent twice, and how requests are proven.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": { "Problem": {
                "description": "What went wrong; programs look at `code` only (RFC 9457).",
                "content": { "application/problem+json": { "schema": problem } },
            } },
            "securitySchemes": operations::proofs(),
        },
    });
    without_links(&mut document);
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

/// A reference to the schema of `T`, which goes into the document with all it is made of.
pub(crate) fn reference<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().into()
}

fn written(door: &Door, operation: &Operation) -> Value {
    let mut responses = Map::new();
    for (status, description, content) in &operation.answers {
        let mut answer = json!({ "description": description });
        if let Some(Content { kind, schema }) = content {
            answer["content"][kind]["schema"] = schema.clone();
        }
        responses.insert(status.to_string(), answer);
    }
    for (status, codes) in problems(operation) {
        let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        // OpenAPI 3.1 lets a reference say more than what it refers to.
        let answer = json!({
            "$ref": "#/components/responses/Problem",
            "description": format!("A problem: {}.", codes.join(", ")),
        });
        responses.entry(status.to_string()).or_insert(answer);
    }
    let mut written = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "x-access-rule": rule(door.rule),
        "security": match operation.proof {
            None => json!([]),
            Some(proof) => json!([{ proof.name(): [] }]),
        },
        "parameters": operation.parameters,
        "responses": responses,
        "x-problem-codes": problems(operation).into_values().flatten().collect::<Vec<_>>(),
    });
    if let Some(schema) = &operation.body {
        written["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
    }
    written
}

/// The codes of all problems that it can answer, by status.
fn problems(operation: &Operation) -> BTreeMap<u16, Vec<&'static str>> {
    let with_body: &[(u16, &[&str])] = match operation.body {
        Some(_) => &[
            (400, &[gas_api::codes::BODY_MALFORMED]),
            (413, &[gas_api::codes::BODY_TOO_LARGE]),
        ],
        None => &[],
    };
    let always: &[(u16, &[&str])] = match operation.counted {
        true => &ALWAYS,
        false => &ALWAYS[1..],
    };
    let mut all: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (status, codes) in operation.problems.iter().chain(with_body).chain(always) {
        let known = all.entry(*status).or_default();
        for code in *codes {
            if !known.contains(code) {
                known.push(code);
            }
        }
    }
    all
}

fn rule(rule: AccessRule) -> String {
    match rule {
        AccessRule::Public => "public".to_owned(),
        AccessRule::Phone => "phone".to_owned(),
        AccessRule::PaymentServer => "payment_server".to_owned(),
        AccessRule::Provider => "provider".to_owned(),
        AccessRule::Page => "page".to_owned(),
        AccessRule::Caller(name) => format!("caller:{name}"),
    }
}

/// Descriptions are the types' own documentation, whose links lead nowhere here.
fn without_links(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "description" => {
                        *text = text
                            .replace("[`crate::", "`")
                            .replace("[`", "`")
                            .replace("`]", "`");
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => without_links(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_links),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Proof {
    const fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone_signature",
            Self::Webhook => "webhook_signature",
        }
    }
}
