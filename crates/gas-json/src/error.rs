use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use core::fmt;

use crate::Node;

/// Why it is not the JSON that was wanted, in words. One pointer: it is handed up through everything.
#[derive(Clone, Eq, PartialEq)]
pub struct JsonError(Box<Words>);

#[derive(Clone, Eq, PartialEq)]
struct Words(String);

impl JsonError {
    /// Says why.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub fn new(why: &dyn fmt::Display) -> Self {
        Self(Box::new(Words(why.to_string())))
    }

    /// Something else stands there than was wanted.
    #[cold]
    #[inline(never)]
    pub(crate) fn is_not(node: &Node, wanted: &str) -> Self {
        let found: &dyn fmt::Display = match node {
            Node::Null => &"null",
            Node::Bool(true) => &"true",
            Node::Bool(false) => &"false",
            Node::Negative(value) => value,
            Node::Number(value) => value,
            Node::Text(_) => &"text",
            Node::List(_) => &"a list",
            Node::Object(_) => &"an object",
        };
        Self::new(&format_args!("invalid type: {found}, expected {wanted}"))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl fmt::Debug for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonError({:?})", self.0.0)
    }
}

impl core::error::Error for JsonError {}
