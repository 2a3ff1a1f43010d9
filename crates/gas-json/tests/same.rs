//! What `gas_json` reads is what `serde_json` reads: a foreign judge for every shape that our types use.

use std::collections::BTreeMap;

use gas_json::{Fill, FromJson, JsonError, Node, from_slice, numbered};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, FromJson, PartialEq, Serialize)]
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

#[derive(Debug, Deserialize, FromJson, PartialEq)]
struct Lax {
    number: u8,
}

#[derive(Clone, Debug, Deserialize, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Holds(u8),
    Named {
        number: u16,
    },
    H5AndMore,
    #[serde(rename = "other-one")]
    Renamed,
}

/// What is missing in it is as in its default.
#[derive(Debug, Deserialize, FromJson, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Filled {
    number: u8,
    other: u8,
    #[serde(rename = "type")]
    kind: Option<Kind>,
}

impl Default for Filled {
    fn default() -> Self {
        Self {
            number: 7,
            other: 8,
            kind: Some(Kind::Plain),
        }
    }
}

#[derive(Debug, Deserialize, FromJson, PartialEq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StrictKind {
    Named { number: u16, more: Option<u8> },
    Wrapped(Wrapper),
}

#[derive(Debug, Deserialize, FromJson, PartialEq)]
#[serde(transparent)]
struct Wrapper(Option<Pasted>);

#[derive(Debug, Deserialize, FromJson, PartialEq)]
#[serde(from = "String")]
struct Pasted(String);

impl From<String> for Pasted {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[derive(Clone, Debug, Deserialize, FromJson, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
struct Name(String);

impl From<Name> for String {
    fn from(Name(text): Name) -> Self {
        text
    }
}

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

/// Of two values with one number, serde keeps the later one.
#[derive(Debug, Deserialize, PartialEq)]
struct Numbered<T>(BTreeMap<u32, T>);

impl<T: FromJson> Fill for Numbered<T> {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        self.0 = numbered(node)?.into_iter().collect();
        Ok(())
    }
}

impl<T: FromJson> FromJson for Numbered<T> {
    fn blank() -> Self {
        Self(BTreeMap::new())
    }
}

/// Both read the same, or both refuse; whether they read it.
fn same<T: DeserializeOwned + FromJson + PartialEq + std::fmt::Debug>(json: &str) -> bool {
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
    assert!(same::<i64>("-9223372036854775808"));
    assert!(same::<u64>("18446744073709551615"));
    assert!(same::<String>(r#""\u00e9\n""#));
    assert!(same::<Numbered<u8>>(r#"{"1":2,"4294967295":3}"#));
    assert!(same::<Numbered<u8>>(r#"{"0":2,"1":3,"0":4}"#));
    for key in ["x", "", "01", "00", "+1", "-1", " 1", "1.0", "4294967296"] {
        assert!(!same::<Numbered<u8>>(&format!(r#"{{"{key}":2}}"#)), "{key}");
    }
}

#[test]
fn attributes_are_read_alike() {
    for json in [
        "{}",
        r#"{"number":1}"#,
        r#"{"other":1,"type":null}"#,
        r#"{"type":"h5_and_more"}"#,
        r#"{"type":{"plain":null}}"#,
        r#"{"type":"other-one"}"#,
    ] {
        assert!(same::<Filled>(json), "{json}");
    }
    for json in [
        r#"{"number":null}"#,
        r#"{"other":null}"#,
        r#"{"kind":"plain"}"#,
        r#"{"type":"renamed"}"#,
        r#"{"type":"h5andmore"}"#,
        r#"{"type":{"plain":1}}"#,
        r#"{"type":"holds"}"#,
        r#"{"type":"named"}"#,
        r#"{"type":[]}"#,
        r#"{"type":{"named":{}}}"#,
    ] {
        assert!(!same::<Filled>(json), "{json}");
    }
    for (json, is_read) in [
        (r#"{"named":{"number":1}}"#, true),
        (r#"{"named":{"more":2,"number":1}}"#, true),
        (r#"{"named":{"number":1,"other":2}}"#, false),
        (r#"{"wrapped":null}"#, true),
        (r#"{"wrapped":""}"#, true),
        (r#"{"wrapped":1}"#, false),
        (r#""wrapped""#, false),
    ] {
        assert_eq!(same::<StrictKind>(json), is_read, "{json}");
    }
    assert!(same::<Kind>(r#"{"named":{"number":1,"unknown":2}}"#));
}

/// Every spelling of the grammar, and what is just beside it.
#[test]
fn strings_are_read_alike() {
    for json in [
        r#""\\ \/ \" \b\f\n\r\t""#,
        r#""\ud83d\ude00\uFFFF\u0000\uabcd""#,
        "\"\u{7f}\u{80}\u{e9}\u{1f600}\"",
        "\t\r\n \"\" \t\r\n",
    ] {
        assert!(same::<String>(json), "{json}");
    }
    for json in [
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83d\n""#,
        r#""\ud83d\ud83d""#,
        r#""\ud83dxude00""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\x""#,
        r#""\"#,
        r#"""#,
        "\"\u{1f}\"",
        "\"\n\"",
        "\u{feff}\"\"",
        "\u{a0}\"\"",
        "\"\" x",
        "''",
        "nul",
    ] {
        assert!(!same::<String>(json), "{json}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc3\"", b"\"\xed\xa0\x80\"", b"\xff"] {
        assert!(from_slice::<String>(bytes).is_err(), "{bytes:?}");
        assert!(
            serde_json::from_slice::<String>(bytes).is_err(),
            "{bytes:?}"
        );
    }
}

#[test]
fn numbers_are_read_alike() {
    for json in ["0", "7", " 10 ", "18446744073709551615"] {
        assert!(same::<u64>(json), "{json}");
    }
    for json in [
        "",
        "-",
        "-1",
        "-0",
        "00",
        "01",
        "+1",
        "1 2",
        "0x1",
        "1_0",
        "18446744073709551616",
    ] {
        assert!(!same::<u64>(json), "{json}");
    }
    for json in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
        assert!(same::<i64>(json), "{json}");
    }
    for json in [
        "-01",
        "- 1",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "-18446744073709551616",
    ] {
        assert!(!same::<i64>(json), "{json}");
    }
}

#[test]
fn lists_and_objects_are_read_alike() {
    for json in ["[]", "[ ]", "[1]", " [ 1 , 2 ] "] {
        assert!(same::<Vec<u8>>(json), "{json}");
    }
    for json in [
        "[", "]", "[,]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}", "[1]]", "{}",
    ] {
        assert!(!same::<Vec<u8>>(json), "{json}");
    }
    for json in [
        "{",
        "{,}",
        "{\"1\":2,}",
        "{,\"1\":2}",
        "{\"1\" 2}",
        "{\"1\":}",
        "{1:2}",
        "{\"1\":2]",
        "{\"1\"}",
    ] {
        assert!(!same::<Numbered<u8>>(json), "{json}");
    }
}

/// A list in a list in a list.
#[derive(Debug, Deserialize, FromJson, PartialEq)]
#[serde(transparent)]
struct Deep(Vec<Self>);

#[test]
fn depth_ends_alike() {
    for depth in 1..140 {
        let json = "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(same::<Deep>(&json), depth < 128, "{depth}");
    }
    let endless = "[".repeat(1_000_000);
    assert!(!same::<Deep>(&endless));
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
}

/// Where the two differ on purpose.
#[test]
fn floats_and_structs_written_as_lists_are_refused() {
    // Also where nobody looks.
    for float in ["1.5", "1e3", "-0.5", "-0", "18446744073709551616"] {
        let json = format!(r#"{{"number":3,"other":{float}}}"#);
        assert!(from_slice::<Lax>(json.as_bytes()).is_err(), "{float}");
        assert!(serde_json::from_str::<Lax>(&json).is_ok(), "{float}");
    }
    assert!(from_slice::<Lax>(b"[3]").is_err());
}

#[test]
fn an_error_says_what_was_wanted() {
    let why = |json: &str| {
        from_slice::<Strict>(json.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        why(&GOOD.replacen('7', r#""x""#, 1)),
        "invalid type: text, expected u32"
    );
    assert_eq!(
        why(&GOOD.replacen('7', "-7", 1)),
        "invalid type: -7, expected u32"
    );
    assert_eq!(
        why(&GOOD.replacen(r#""name""#, r#""nome""#, 1)),
        "unknown field `nome`"
    );
    assert_eq!(
        why(&GOOD.replacen(r#""pair":[1,2]"#, r#""name":"m""#, 1)),
        "duplicate field `name`"
    );
    assert_eq!(
        why(&GOOD.replacen(r#","name":"n""#, "", 1)),
        "missing field `name`"
    );
    assert_eq!(
        why(&GOOD.replacen(r#""n""#, r#""""#, 1)),
        "a name is not empty"
    );
    assert_eq!(why("{"), "it is not JSON of integers at byte 2");
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Plain),
        Just(Kind::H5AndMore),
        Just(Kind::Renamed),
        any::<u8>().prop_map(Kind::Holds),
        any::<u16>().prop_map(|number| Kind::Named { number }),
    ]
}

fn any_strict() -> impl Strategy<Value = Strict> {
    let numbers = (any::<u32>(), any::<i64>(), any::<[u8; 2]>());
    let texts = (option::of(any::<String>()), ".+");
    (numbers, texts, any::<bool>(), vec(any_kind(), 0..5)).prop_map(
        |((number, signed, pair), (text, name), yes, list)| Strict {
            number,
            signed,
            text,
            yes,
            list,
            pair,
            name: Name(name),
        },
    )
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

    /// What serde writes is read as it was, from either spelling.
    #[test]
    fn what_was_written_is_read(value in any_strict()) {
        written_alike(&value);
        for json in [serde_json::to_string(&value), serde_json::to_string_pretty(&value)] {
            prop_assert_eq!(&from_slice::<Strict>(json.unwrap().as_bytes()).unwrap(), &value);
        }
    }

    #[test]
    fn maps_are_read_alike(map in btree_map(any::<u32>(), any_kind(), 0..8)) {
        let json = serde_json::to_string(&map).unwrap();
        prop_assert!(same::<Numbered< Kind>>(&json));
    }

    /// Text of the grammar's own characters, in any order.
    #[test]
    fn any_text_is_read_alike(json in r#"[\[\]{}:,"\\u0-9a-f \-nulltrue]{0,24}"#) {
        same::<String>(&json);
        same::<Vec<Option<u8>>>(&json);
        same::<Numbered< bool>>(&json);
        same::<i64>(&json);
    }

    #[test]
    fn any_string_is_read_alike(inside in r#"(\\[u"\\/bfnrtx]|[0-9a-fD8]{1,4}|\PC|\s){0,8}"#) {
        same::<String>(&format!("\"{inside}\""));
    }
}

#[derive(Serialize)]
struct Pair(u8, Option<u8>);

#[derive(Serialize)]
enum Both {
    None,
    Two(u8, &'static str),
}

/// What is not read as integers is not written either.
#[test]
fn what_is_written_is_written_alike() {
    let text: String = ('\0'..='\u{100}')
        .chain("\u{2028}\u{1f600}".chars())
        .collect();
    let value = Strict {
        number: u32::MAX,
        signed: i64::MIN,
        text: Some(text),
        yes: true,
        list: vec![
            Kind::Plain,
            Kind::Holds(255),
            Kind::Named { number: 0 },
            Kind::Renamed,
        ],
        pair: [0, 255],
        name: Name("[{".to_owned()),
    };
    written_alike(&value);
    written_alike(&(Some(()), Vec::<u8>::new(), [[1, 2], [3, 4]], 'x', i8::MIN));
    written_alike(&BTreeMap::from([(7_u32, "x"), (8, "[")]));
    written_alike(&BTreeMap::from([("a\"", BTreeMap::<String, u8>::new())]));
    written_alike(&BTreeMap::from([(-7_i64, u64::MAX)]));
    written_alike(&(Pair(1, None), Both::Two(2, "x"), Both::None));
    assert!(gas_json::to_string(&1.5).is_err());
    assert!(gas_json::to_string(&[Some(1.5_f32)]).is_err());
    assert!(gas_json::to_string(&BTreeMap::from([([1], 2)])).is_err());
}

fn written_alike(value: &impl Serialize) {
    let ours = gas_json::to_string(value).ok();
    assert!(ours.is_some());
    assert_eq!(ours, serde_json::to_string(value).ok());
}
