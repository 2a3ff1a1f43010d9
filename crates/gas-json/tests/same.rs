//! What `gas_json` reads is what `serde_json` reads: a foreign judge for every shape that our types use.

use std::collections::BTreeMap;

use gas_json::from_slice;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Strict {
    number: u32,
    signed: i64,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    yes: bool,
    list: Vec<Kind>,
    pair: [u8; 2],
    name: Name,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Lax {
    number: u8,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Holds(u8),
    Named { number: u16 },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            Err("a name is not empty")
        } else {
            Ok(Self(text))
        }
    }
}

/// Both read the same, or both refuse; whether they read it.
fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(json: &str) -> bool {
    let ours = from_slice::<T>(json.as_bytes());
    let theirs = serde_json::from_slice::<T>(json.as_bytes());
    assert_eq!(
        ours.is_ok(),
        theirs.is_ok(),
        "{json}: {ours:?}, but {theirs:?}"
    );
    if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
        assert_eq!(ours, theirs, "{json}");
    }
    ours.is_ok()
}

const GOOD: &str = r#"{"number":7,"signed":-3,"text":"x","yes":true,"list":["plain",{"holds":3},{"named":{"number":65535}}],"pair":[1,2],"name":"n"}"#;

#[test]
fn every_shape_is_read_alike() {
    assert!(same::<Strict>(GOOD));
    assert!(same::<Lax>(r#"{"other":[15,{"a":null}],"number":3}"#));
    assert!(same::<Vec<Option<u8>>>("[1,null,255]"));
    assert!(same::<(u8, String)>(r#"[1,"x"]"#));
    assert!(same::<i64>("-9223372036854775808"));
    assert!(same::<u64>("18446744073709551615"));
    assert!(same::<String>(r#""\u00e9\n""#));
    assert!(same::<()>("null"));
    assert!(same::<BTreeMap<u32, u8>>(r#"{"1":2,"4294967295":3}"#));
    assert!(!same::<BTreeMap<u32, u8>>(r#"{"x":2}"#));
    assert!(!same::<BTreeMap<u32, u8>>(r#"{"01":2}"#));
    assert!(same::<BTreeMap<String, Kind>>(r#"{"x":"plain"}"#));
}

#[test]
fn what_is_not_wanted_is_refused_alike() {
    for (good, bad) in [
        (r#""number":7"#, r#""number":4294967296"#),
        (r#""number":7"#, r#""number":-1"#),
        (r#""number":7"#, r#""number":7,"number":7"#),
        (r#""number":7,"#, ""),
        (r#""number":7"#, r#""number":"7""#),
        (r#""yes":true"#, r#""yes":1"#),
        (r#""yes":true"#, r#""yes":true,"more":1"#),
        (r#""pair":[1,2]"#, r#""pair":[1,2,3]"#),
        (r#""pair":[1,2]"#, r#""pair":[1]"#),
        (r#""name":"n""#, r#""name":"""#),
        (r#""plain""#, r#""other""#),
        (r#""plain""#, "null"),
        (r#"{"holds":3}"#, r#"{"holds":3,"plain":null}"#),
        (r#"{"holds":3}"#, r#"{"holds":300}"#),
        (r#"{"holds":3}"#, r#"{"plain":1}"#),
        (r#"{"holds":3}"#, "{}"),
        (GOOD, "[]"),
        (GOOD, ""),
    ] {
        assert!(GOOD.contains(good), "{good}");
        assert!(!same::<Strict>(&GOOD.replacen(good, bad, 1)), "{bad}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert!(from_slice::<IgnoredAny>(deep.as_bytes()).is_err());
}

/// Where the two differ on purpose.
#[test]
fn floats_and_structs_written_as_lists_are_refused() {
    for json in ["1.0", "1e3", "-0.5", "18446744073709551616"] {
        assert!(from_slice::<f64>(json.as_bytes()).is_err(), "{json}");
    }
    // Also where nobody looks.
    assert!(from_slice::<Lax>(br#"{"number":3,"other":1.5}"#).is_err());
    assert!(from_slice::<Lax>(b"[3]").is_err());
}

#[test]
fn an_error_says_what_was_wanted() {
    let error = from_slice::<Lax>(br#"{"number":"x"}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"invalid type: string "x", expected u8"#
    );
    let error = from_slice::<Strict>(b"{").unwrap_err();
    assert_eq!(
        error.to_string(),
        "EOF while parsing an object at line 1 column 1"
    );
}

proptest! {
    /// One byte of good JSON replaced by another, or the rest cut off. No field is a float and none is
    /// ignored, so the two never differ.
    #[test]
    fn damaged_json_is_read_alike(place in 0..GOOD.len(), byte in 0x20_u8..0x7f, cut: bool) {
        let mut json = GOOD.as_bytes().to_vec();
        if cut {
            json.truncate(place);
        } else {
            json[place] = byte;
        }
        same::<Strict>(&String::from_utf8(json).unwrap());
    }
}
