//! What serde derives for writing, written into one text in one way.

use alloc::string::{String, ToString as _};
use core::fmt;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// It holds a floating-point number, or an object whose keys are neither texts nor integers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotWritten;

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it holds what is not written as JSON here")
    }
}

impl core::error::Error for NotWritten {}

/// What serde's code is told: nothing ever fails, so it carries no way out after each part. What cannot be
/// written is remembered instead.
#[derive(Debug)]
enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}

impl serde::ser::Error for Never {
    #[expect(clippy::panic, reason = "no type of ours refuses to be written")]
    fn custom<T: fmt::Display>(why: T) -> Self {
        panic!("{why}")
    }
}

type Written = Result<(), Never>;

/// Writes as `serde_json::to_string` does.
///
/// # Errors
/// It holds a floating-point number, or an object whose keys are neither texts nor integers.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, NotWritten> {
    let mut writer = Writer::default();
    let Ok(()) = value.serialize(&mut writer);
    if writer.has_failed {
        return Err(NotWritten);
    }
    Ok(writer.out)
}

#[derive(Default)]
struct Writer {
    out: String,
    has_failed: bool,
}

impl Writer {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "serde's methods give what it gives"
    )]
    #[inline(never)]
    fn push(&mut self, text: &str) -> Written {
        self.out.push_str(text);
        Ok(())
    }

    /// A comma where something stands before it in the same list or object.
    #[inline(never)]
    fn next(&mut self) {
        if !self.out.ends_with(['[', '{']) {
            self.out.push(',');
        }
    }

    #[inline(never)]
    fn key(&mut self, key: &str) {
        self.next();
        self.text(key);
        self.out.push(':');
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.out.extend(['\\', letter]),
                '\u{8}' => self.out.push_str("\\b"),
                '\t' => self.out.push_str("\\t"),
                '\n' => self.out.push_str("\\n"),
                '\u{c}' => self.out.push_str("\\f"),
                '\r' => self.out.push_str("\\r"),
                '\0'..='\u{1f}' => {
                    let digit =
                        |shift: u32| char::from_digit((u32::from(letter) >> shift) & 0xf, 16);
                    self.out.push_str("\\u00");
                    self.out.extend([digit(4), digit(0)].into_iter().flatten());
                }
                _ => self.out.push(letter),
            }
        }
        self.out.push('"');
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "serde's methods give what it gives"
    )]
    #[cold]
    fn fail(&mut self) -> Written {
        self.has_failed = true;
        Ok(())
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

impl Serializer for &mut Writer {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
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

    fn serialize_f32(self, _: f32) -> Written {
        self.fail()
    }

    fn serialize_f64(self, _: f64) -> Written {
        self.fail()
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        self.collect_seq(bytes)
    }

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
        self.out.push('{');
        SerializeStruct::serialize_field(&mut &mut *self, variant, value)?;
        self.push("}")
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Self, Never> {
        self.push("[").map(|()| self)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self, Never> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self, Never> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _nth: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self, Never> {
        self.out.push('{');
        self.key(variant);
        self.serialize_seq(None)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self, Never> {
        self.push("{").map(|()| self)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, Never> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _nth: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self, Never> {
        self.out.push('{');
        self.key(variant);
        self.serialize_map(None)
    }
}

impl SerializeSeq for &mut Writer {
    type Ok = ();
    type Error = Never;

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
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        self.push("]")
    }
}

impl SerializeTupleStruct for &mut Writer {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        self.push("]")
    }
}

impl SerializeTupleVariant for &mut Writer {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        self.push("]}")
    }
}

impl SerializeMap for &mut Writer {
    type Ok = ();
    type Error = Never;

    /// A key is text, also where a map has numbers for keys.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        let mut text = Writer::default();
        key.serialize(&mut text)?;
        self.has_failed |= text.has_failed;
        match text.out.as_bytes().first() {
            Some(b'"') => {
                self.next();
                self.push(&text.out)
            }
            Some(b'-' | b'0'..=b'9') => {
                self.next();
                self.serialize_str(&text.out)
            }
            _ => self.fail(),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.out.push(':');
        value.serialize(&mut **self)
    }

    fn end(self) -> Written {
        self.push("}")
    }
}

impl SerializeStruct for &mut Writer {
    type Ok = ();
    type Error = Never;

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
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        SerializeStruct::serialize_field(self, key, value)
    }

    fn end(self) -> Written {
        self.push("}}")
    }
}
