use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{JsonError, Node};

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Reads one.
    ///
    /// # Errors
    /// It is something else.
    fn from_json(node: &Node) -> Result<Self, JsonError>;
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl FromJson for $integer {
            fn from_json(node: &Node) -> Result<Self, JsonError> {
                let read = match node {
                    Node::Negative(value) => Self::try_from(*value).ok(),
                    Node::Number(value) => Self::try_from(*value).ok(),
                    _ => None,
                };
                read.ok_or_else(|| JsonError::is_not(node, stringify!($integer)))
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i32 i64 }

impl FromJson for bool {
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        match node {
            Node::Bool(value) => Ok(*value),
            _ => Err(JsonError::is_not(node, "true or false")),
        }
    }
}

impl FromJson for String {
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        match node {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(JsonError::is_not(node, "text")),
        }
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        match node {
            Node::Null => Ok(None),
            _ => T::from_json(node).map(Some),
        }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        list(node)?.iter().map(T::from_json).collect()
    }
}

impl<T: FromJson, const N: usize> FromJson for [T; N] {
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        let read = Vec::from_json(node)?.try_into();
        read.map_err(|_| JsonError::new(&"a list of another length was expected"))
    }
}

/// By number, each in its one spelling. Of a number that is there twice, the last counts.
impl<T: FromJson> FromJson for BTreeMap<u32, T> {
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        let Node::Object(entries) = node else {
            return Err(JsonError::is_not(node, "an object"));
        };
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(number(key)?, T::from_json(value)?);
        }
        Ok(map)
    }
}

fn list(node: &Node) -> Result<&[Node], JsonError> {
    match node {
        Node::List(nodes) => Ok(nodes),
        _ => Err(JsonError::is_not(node, "a list")),
    }
}

fn number(key: &str) -> Result<u32, JsonError> {
    let one_spelling = key == "0" || key.starts_with(|first| matches!(first, '1'..='9'));
    let number = key.parse().ok().filter(|_| one_spelling);
    number.ok_or_else(|| JsonError::new(&format_args!("`{key}` is no number")))
}
