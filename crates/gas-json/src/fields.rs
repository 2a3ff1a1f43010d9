//! What `derive(FromJson)` writes its readers with. Nothing here is written anew for every type.

use alloc::string::String;

use crate::{Fill, JsonError, Node};

/// Reads an object over the fields of a value, given in the order of their names. A bit of `optional`, the lowest
/// for the first, is set for each that may be missing; where `strict`, there is no other.
///
/// # Errors
/// It is no object, or a field is missing, there twice, unknown, or something else.
#[inline(never)]
pub fn fill_fields(
    node: &Node,
    names: &[&str],
    fields: &mut [&mut dyn Fill],
    optional: u32,
    strict: bool,
) -> Result<(), JsonError> {
    let Node::Object(entries) = node else {
        return Err(JsonError::is_not(node, "an object"));
    };
    let mut found = 0_u32;
    for (key, value) in entries {
        let place = names.iter().position(|name| name == key);
        let Some((place, field)) = place.and_then(|at| Some((at, fields.get_mut(at)?))) else {
            if strict {
                return Err(wrong("unknown field", key));
            }
            continue;
        };
        let bit = 1_u32.unbounded_shl(u32::try_from(place).unwrap_or(u32::MAX));
        if found & bit != 0 {
            return Err(wrong("duplicate field", key));
        }
        found |= bit;
        field.fill(value)?;
    }
    let mut there = found | optional;
    for name in names {
        if there & 1 == 0 {
            return Err(wrong("missing field", name));
        }
        there >>= 1;
    }
    Ok(())
}

/// Which variant of an enum: its name, or an object of its name and what it holds.
pub struct Variant<'a> {
    nth: usize,
    content: Option<&'a Node>,
}

impl<'a> Variant<'a> {
    /// Finds the variant among these names.
    ///
    /// # Errors
    /// It is none of them.
    #[inline(never)]
    pub fn of(node: &'a Node, names: &[&str]) -> Result<Self, JsonError> {
        let (name, content): (&String, _) = if let Node::Text(name) = node {
            (name, None)
        } else if let Node::Object(entries) = node
            && let [(name, content)] = &**entries
        {
            (name, Some(content))
        } else {
            return Err(JsonError::is_not(node, "one of several names"));
        };
        let Some(nth) = names.iter().position(|known| known == name) else {
            return Err(wrong("unknown variant", name));
        };
        Ok(Self { nth, content })
    }

    /// Its place among the names.
    #[must_use]
    pub const fn nth(&self) -> usize {
        self.nth
    }

    /// That it holds nothing.
    ///
    /// # Errors
    /// It holds something.
    #[inline(never)]
    pub fn nothing(&self) -> Result<(), JsonError> {
        match self.content {
            None | Some(Node::Null) => Ok(()),
            Some(node) => Err(JsonError::is_not(node, "nothing")),
        }
    }

    /// What it holds.
    ///
    /// # Errors
    /// It is a name only.
    #[inline(never)]
    pub fn content(&self) -> Result<&'a Node, JsonError> {
        let why = "a name stands alone that needs a value";
        self.content.ok_or_else(|| JsonError::new(&why))
    }
}

#[cold]
#[inline(never)]
fn wrong(why: &str, name: &str) -> JsonError {
    JsonError::new(&format_args!("{why} `{name}`"))
}
