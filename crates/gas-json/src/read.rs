use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{JsonError, Node};

/// What can be read over, whatever it is.
///
/// Every value is there, blank, before it is read, and is read in place. So no reader carries code to take
/// back what a half of it has made, which is most of what serde derives.
pub trait Fill {
    /// Reads over this value. After an error it is neither the one before nor the one in the text, and is not
    /// to be used.
    ///
    /// # Errors
    /// It is something else.
    fn fill(&mut self, node: &Node) -> Result<(), JsonError>;
}

/// What can be read from JSON.
pub trait FromJson: Fill + Sized {
    /// Some value; what is missing and may be, stays as it is here.
    fn blank() -> Self;

    /// Reads one.
    ///
    /// # Errors
    /// It is something else.
    fn from_json(node: &Node) -> Result<Self, JsonError> {
        let mut value = Self::blank();
        value.fill(node)?;
        Ok(value)
    }
}

macro_rules! blanks {
    ($($type:ty = $blank:expr,)*) => {$(
        impl FromJson for $type {
            fn blank() -> Self {
                $blank
            }
        }
    )*};
}

blanks! { u8 = 0, u16 = 0, u32 = 0, u64 = 0, i32 = 0, i64 = 0, bool = false, String = Self::new(), Arc<str> = Self::default(), }

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl Fill for $integer {
            fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
                let read = match node {
                    Node::Negative(value) => Self::try_from(*value).ok(),
                    Node::Number(value) => Self::try_from(*value).ok(),
                    _ => None,
                };
                *self = read.ok_or_else(|| JsonError::is_not(node, stringify!($integer)))?;
                Ok(())
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i32 i64 }

impl Fill for bool {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        let Node::Bool(value) = node else {
            return Err(JsonError::is_not(node, "true or false"));
        };
        *self = *value;
        Ok(())
    }
}

impl Fill for String {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        self.clear();
        self.push_str(text(node)?);
        Ok(())
    }
}

impl Fill for Arc<str> {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        *self = text(node)?.into();
        Ok(())
    }
}

impl<T: FromJson> Fill for Option<T> {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        if matches!(node, Node::Null) {
            *self = None;
            return Ok(());
        }
        self.insert(T::blank()).fill(node)
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn blank() -> Self {
        None
    }
}

impl<T: FromJson> Fill for Vec<T> {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        self.clear();
        for node in list(node)? {
            self.push(T::from_json(node)?);
        }
        Ok(())
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn blank() -> Self {
        Self::new()
    }
}

impl<T: FromJson, const N: usize> Fill for [T; N] {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        let nodes = list(node)?;
        if nodes.len() != N {
            return Err(JsonError::new(&"a list of another length was expected"));
        }
        self.iter_mut()
            .zip(nodes)
            .try_for_each(|(value, node)| value.fill(node))
    }
}

impl<T: FromJson, const N: usize> FromJson for [T; N] {
    fn blank() -> Self {
        core::array::from_fn(|_| T::blank())
    }
}

/// What an object holds whose keys are numbers, each in its one spelling, in the order in which it stands there.
///
/// # Errors
/// It is something else.
pub fn numbered<T: FromJson>(node: &Node) -> Result<Vec<(u32, T)>, JsonError> {
    let Node::Object(entries) = node else {
        return Err(JsonError::is_not(node, "an object"));
    };
    let mut read = Vec::new();
    for (key, value) in entries {
        read.push((number(key)?, T::from_json(value)?));
    }
    Ok(read)
}

fn text(node: &Node) -> Result<&str, JsonError> {
    let Node::Text(text) = node else {
        return Err(JsonError::is_not(node, "text"));
    };
    Ok(text)
}

fn list(node: &Node) -> Result<&[Node], JsonError> {
    let Node::List(nodes) = node else {
        return Err(JsonError::is_not(node, "a list"));
    };
    Ok(nodes)
}

fn number(key: &str) -> Result<u32, JsonError> {
    let one_spelling = key == "0" || key.starts_with(|first| matches!(first, '1'..='9'));
    let number = key.parse().ok().filter(|_| one_spelling);
    number.ok_or_else(|| JsonError::new(&format_args!("`{key}` is no number")))
}
