//! The fast reader as a serde deserializer.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::number::{Decimal, Number};
use super::{Declined, text};

/// Lists and objects inside one another; the bound of serde_json.
const DEPTH_MAX: u8 = 127;

/// Where reading has come to.
#[derive(Debug)]
pub(super) struct Reader<'de> {
    body: &'de str,
    at: usize,
    depth: u8,
}

impl<'de> Reader<'de> {
    /// Reads one value with nothing but white space around it.
    pub(super) fn read<T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Declined> {
        let body = str::from_utf8(body).map_err(|_| Declined)?;
        let mut reader = Self { body, at: 0, depth: 0 };
        let value = T::deserialize(&mut reader)?;
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(Declined),
        }
    }

    /// The byte after white space, which stays to be read.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.body.as_bytes().get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Declined> {
        if self.peek() != Some(byte) {
            return Err(Declined);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Declined> {
        let rest = self.body.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Declined);
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn text(&mut self) -> Result<Cow<'de, str>, Declined> {
        if self.peek() != Some(b'"') {
            return Err(Declined);
        }
        let (text, next) = text::read(self.body, self.at)?;
        self.at = next;
        Ok(text)
    }

    #[inline]
    fn decimal(&mut self) -> Result<Decimal<'de>, Declined> {
        self.peek();
        let decimal = Decimal::scan(self.body.as_bytes().get(self.at..).ok_or(Declined)?)?;
        self.at += decimal.len();
        Ok(decimal)
    }

    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Declined> {
        match self.decimal()?.to_any()? {
            Number::Unsigned(number) => visitor.visit_u64(number),
            Number::Signed(number) => visitor.visit_i64(number),
            Number::Float(number) => visitor.visit_f64(number),
        }
    }

    /// Reads a list or an object, from its opening to its closing bracket.
    fn nested<V>(
        &mut self,
        brackets: [u8; 2],
        read: impl FnOnce(&mut Members<'_, 'de>) -> Result<V, Declined>,
    ) -> Result<V, Declined> {
        let [open, close] = brackets;
        self.expect(open)?;
        if self.depth == DEPTH_MAX {
            return Err(Declined);
        }
        self.depth += 1;
        let mut members = Members { reader: self, close, state: State::Opened };
        let value = read(&mut members)?;
        // What the visitor has left unread must be the closing bracket and nothing else.
        if members.next()? {
            return Err(Declined);
        }
        self.depth -= 1;
        Ok(value)
    }
}

const LIST: [u8; 2] = *b"[]";
const OBJECT: [u8; 2] = *b"{}";

/// Types whose visitors take a number.
macro_rules! numbers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
            self.number(visitor)
        }
    )*};
}

/// Types that no message has.
macro_rules! declined {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Declined> {
            Err(Declined)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Declined;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        match self.peek().ok_or(Declined)? {
            b'"' => self.deserialize_str(visitor),
            b'{' => self.deserialize_map(visitor),
            b'[' => self.deserialize_seq(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'n' => self.deserialize_unit(visitor),
            _ => self.number(visitor),
        }
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        visitor.visit_f32(self.decimal()?.to_f32()?)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        if self.peek() == Some(b't') {
            self.word("true")?;
            return visitor.visit_bool(true);
        }
        self.word("false")?;
        visitor.visit_bool(false)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.peek();
        self.word("null")?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        match self.text()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.nested(LIST, |members| visitor.visit_seq(&mut *members))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.nested(OBJECT, |members| visitor.visit_map(&mut *members))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Declined> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Declined> {
        visitor.visit_newtype_struct(self)
    }

    /// An enum is written in several ways; none of them is common here.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Declined> {
        Err(Declined)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Declined> {
        self.deserialize_any(visitor)
    }

    // serde_json has ways of its own with these and those below.
    declined! { deserialize_i128 deserialize_u128 deserialize_char deserialize_bytes deserialize_byte_buf }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _visitor: V,
    ) -> Result<V::Value, Declined> {
        Err(Declined)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        _visitor: V,
    ) -> Result<V::Value, Declined> {
        Err(Declined)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        _visitor: V,
    ) -> Result<V::Value, Declined> {
        Err(Declined)
    }
}

/// The members of a list or of an object.
#[derive(Debug)]
struct Members<'r, 'de> {
    reader: &'r mut Reader<'de>,
    close: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Opened,
    Between,
    Closed,
}

impl Members<'_, '_> {
    /// Goes to the next member; false when there is none, and the closing bracket has been read.
    #[inline]
    fn next(&mut self) -> Result<bool, Declined> {
        if self.state == State::Closed {
            return Ok(false);
        }
        let byte = self.reader.peek().ok_or(Declined)?;
        if byte == self.close {
            self.reader.at += 1;
            self.state = State::Closed;
            return Ok(false);
        }
        if self.state == State::Opened {
            self.state = State::Between;
            return Ok(true);
        }
        if byte != b',' {
            return Err(Declined);
        }
        self.reader.at += 1;
        // A bracket after a comma is no member: reading it as one fails.
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for &mut Members<'_, 'de> {
    type Error = Declined;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Declined> {
        if !self.next()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for &mut Members<'_, 'de> {
    type Error = Declined;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Declined> {
        if !self.next()? {
            return Ok(None);
        }
        let key = match self.reader.text()? {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key))?,
            Cow::Owned(key) => seed.deserialize(key.into_deserializer())?,
        };
        self.reader.expect(b':')?;
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Declined> {
        seed.deserialize(&mut *self.reader)
    }
}
