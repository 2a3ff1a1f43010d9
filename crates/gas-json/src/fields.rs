//! What `derive(FromJson)` writes its readers with. Nothing here is written anew for every type.

use alloc::string::String;

use crate::{FromJson, JsonError, Node};

/// Most fields of one type; so the derive refuses more.
const FIELDS_MAX: usize = 32;

/// The fields of an object, in the order of their declaration.
pub struct Fields<'a> {
    found: [Option<&'a Node>; FIELDS_MAX],
    next: usize,
}

impl<'a> Fields<'a> {
    /// Finds the fields of these names. A bit of `optional`, the lowest for the first, is set for each that may
    /// be missing; where `strict`, there is no other.
    ///
    /// # Errors
    /// It is no object, or a field is missing, there twice, or unknown.
    #[inline(never)]
    pub fn of(
        node: &'a Node,
        names: &[&str],
        optional: u32,
        strict: bool,
    ) -> Result<Self, JsonError> {
        let Node::Object(entries) = node else {
            return Err(JsonError::is_not(node, "an object"));
        };
        let mut found = [None; FIELDS_MAX];
        for (key, value) in entries {
            let place = names.iter().position(|name| name == key);
            match place.and_then(|place| found.get_mut(place)) {
                Some(Some(_)) => return Err(wrong("duplicate field", key)),
                Some(place) => *place = Some(value),
                None if strict => return Err(wrong("unknown field", key)),
                None => {}
            }
        }
        let mut optional = optional;
        for (name, value) in names.iter().zip(&found) {
            if value.is_none() && optional & 1 == 0 {
                return Err(wrong("missing field", name));
            }
            optional >>= 1;
        }
        Ok(Self { found, next: 0 })
    }

    #[inline(never)]
    fn next(&mut self) -> Option<&'a Node> {
        let found = self.found.get(self.next).copied().flatten();
        self.next = self.next.saturating_add(1);
        found
    }

    /// The next one, which is there.
    ///
    /// # Errors
    /// It is no `T`.
    #[inline]
    pub fn required<T: FromJson>(&mut self) -> Result<T, JsonError> {
        T::from_json(self.next().unwrap_or(&Node::Null))
    }

    /// The next one, where it is there.
    ///
    /// # Errors
    /// It is no `T`.
    #[inline]
    pub fn optional<T: FromJson + Default>(&mut self) -> Result<T, JsonError> {
        self.or(T::default())
    }

    /// The next one, or this where it is missing.
    ///
    /// # Errors
    /// It is no `T`.
    pub fn or<T: FromJson>(&mut self, default: T) -> Result<T, JsonError> {
        self.next().map_or(Ok(default), T::from_json)
    }
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
        let (name, content): (&String, _) = match node {
            Node::Text(name) => (name, None),
            Node::Object(entries) if let [(name, content)] = &**entries => (name, Some(content)),
            _ => return Err(JsonError::is_not(node, "one of several names")),
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
