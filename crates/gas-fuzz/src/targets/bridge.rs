use gas_bridge::is_request;
use serde_json::Value;

use crate::Target;

pub(super) const TARGET: Target = Target {
    name: "bridge",
    about: "what a page says to the bridge: a request is an object that names its deed, and nothing more",
    run,
    seeds,
    smoke_runs: 20_000,
};

const DEEDS: [(&str, &[&str]); 5] = [
    ("cards", &[]),
    ("connect", &["card"]),
    ("read_info", &[]),
    ("pair", &[]),
    ("write", &["value"]),
];

fn run(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    if !is_request(text) {
        return;
    }
    // A name that stands twice is refused, so nothing is lost by reading it again.
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let deed = DEEDS.iter().find(|(name, _)| value["op"] == *name);
    let fits = deed.is_some_and(|(_, members)| {
        value
            .as_object()
            .is_some_and(|object| object.len() == 1 + members.len())
            && members.iter().all(|member| value[*member].is_string())
    });
    assert!(fits, "{text} is no request");
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"op":"cards"}"#,
        r#"{"op":"connect","card":"C0:00:00:00:00:01/P"}"#,
        r#"{"op":"connect","card":"C0:00:00:00:00:01"}"#,
        r#"{"op":"read_info"}"#,
        r#"{"op":"pair"}"#,
        r#"{"op":"write","value":"0102ff"}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
