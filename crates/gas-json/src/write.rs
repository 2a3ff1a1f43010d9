//! What serde derives for writing, written into one text in one way.

use alloc::string::{String, ToString as _};
use core::fmt;

use serde::ser::{
    Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, Serializer,
};

/// It holds what is not written: a floating-point number, bytes, a tuple with a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotWritten;

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it holds what is not written as JSON here")
    }
}

impl core::error::Error for NotWritten {}

impl serde::ser::Error for NotWritten {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Written = Result<(), NotWritten>;

/// Writes as `serde_json::to_string` does.
///
/// # Errors
/// It holds a floating-point number, bytes or a tuple with a name.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, NotWritten> {
    let mut writer = Writer(String::new());
    value.serialize(&mut writer)?;
    Ok(writer.0)
}

struct Writer(String);

impl Writer {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "serde's methods give what it gives"
    )]
    #[inline(never)]
    fn push(&mut self, text: &str) -> Written {
        self.0.push_str(text);
        Ok(())
    }

    /// A comma where something stands before it in the same list or object.
    #[inline(never)]
    fn next(&mut self) {
        if !self.0.ends_with(['[', '{']) {
            self.0.push(',');
        }
    }

    #[inline(never)]
    fn key(&mut self, key: &str) {
        self.next();
        self.text(key);
        self.0.push(':');
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.0.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                '\u{8}' => self.0.push_str("\\b"),
                '\t' => self.0.push_str("\\t"),
                '\n' => self.0.push_str("\\n"),
                '\u{c}' => self.0.push_str("\\f"),
                '\r' => self.0.push_str("\\r"),
                '\0'..='\u{1f}' => {
                    let digit =
                        |shift: u32| char::from_digit((u32::from(letter) >> shift) & 0xf, 16);
                    self.0.push_str("\\u00");
                    self.0.extend([digit(4), digit(0)].into_iter().flatten());
                }
                _ => self.0.push(letter),
            }
        }
        self.0.push('"');
    }

    #[inline(never)]
    fn unsigned(&mut self, value: u64) -> Written {
        self.push(&value.to_string())
    }

    #[inline(never)]
    fn signed(&mut self, value: i64) -> Written {
        self.push(&value.to_string())
    }
}

/// Methods that take a number and write it.
macro_rules! numbers {
    ($($method:ident($number:ty) => $write:ident,)+) => {$(
        fn $method(self, value: $number) -> Written {
            self.$write(value.into())
        }
    )+};
}

/// Methods that take what is not written.
macro_rules! refused {
    ($($method:ident($refused:ty),)+) => {$(
        fn $method(self, _: $refused) -> Written {
            Err(NotWritten)
        }
    )+};
}

impl Serializer for &mut Writer {
    type Ok = ();
    type Error = NotWritten;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), NotWritten>;
    type SerializeTupleVariant = Impossible<(), NotWritten>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_i8(i8) => signed,
        serialize_i16(i16) => signed,
        serialize_i32(i32) => signed,
        serialize_i64(i64) => signed,
        serialize_u8(u8) => unsigned,
        serialize_u16(u16) => unsigned,
        serialize_u32(u32) => unsigned,
        serialize_u64(u64) => unsigned,
    }

    refused! { serialize_f32(f32), serialize_f64(f64), serialize_bytes(&[u8]), }

    fn serialize_bool(self, value: bool) -> Written {
        self.push(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        self.text(value);
        Ok(())
    }

    fn serialize_none(self) -> Written {
        self.push("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.push("null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written {
        self.push("null")
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _nth: u32,
        variant: &'static str,
    ) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _nth: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.0.push('{');
        SerializeStruct::serialize_field(&mut &mut *self, variant, value)?;
        self.push("}")
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self, NotWritten> {
        self.push("[").map(|()| self)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self, NotWritten> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, NotWritten> {
        Err(NotWritten)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _nth: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, NotWritten> {
        Err(NotWritten)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self, NotWritten> {
        self.push("{").map(|()| self)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, NotWritten> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _nth: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self, NotWritten> {
        self.0.push('{');
        self.key(variant);
        self.serialize_map(None)
    }
}

impl SerializeSeq for &mut Writer {
    type Ok = ();
    type Error = NotWritten;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.next();
        value.serialize(&mut **self)
    }

    fn end(self) -> Written {
        self.push("]")
    }
}

impl SerializeTuple for &mut Writer {
    type Ok = ();
    type Error = NotWritten;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        self.push("]")
    }
}

impl SerializeMap for &mut Writer {
    type Ok = ();
    type Error = NotWritten;

    /// A key is text, also where a map has numbers for keys.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        let mut text = Writer(String::new());
        key.serialize(&mut text)?;
        match text.0.as_bytes().first() {
            Some(b'"') => {
                self.next();
                self.push(&text.0)
            }
            Some(b'-' | b'0'..=b'9') => {
                self.next();
                self.serialize_str(&text.0)
            }
            _ => Err(NotWritten),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.0.push(':');
        value.serialize(&mut **self)
    }

    fn end(self) -> Written {
        self.push("}")
    }
}

impl SerializeStruct for &mut Writer {
    type Ok = ();
    type Error = NotWritten;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        self.key(key);
        value.serialize(&mut **self)
    }

    fn end(self) -> Written {
        self.push("}")
    }
}

impl SerializeStructVariant for &mut Writer {
    type Ok = ();
    type Error = NotWritten;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        SerializeStruct::serialize_field(self, key, value)
    }

    fn end(self) -> Written {
        self.push("}}")
    }
}
