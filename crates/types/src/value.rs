//! Free-form values: what JSON and `google.protobuf.Struct` have in common.
//!
//! One type is read and written by both transports, so metadata and filters are never converted
//!. The protobuf form is wire-compatible with `google.protobuf.Struct`, `Value`
//! and `ListValue`; it is also the form in which metadata is stored (docs/format/shard.md).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A map of text to values, in key order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Struct {
    /// The entries.
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// One value. `kind` is absent only in a malformed protobuf message; it then reads as null.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    /// Which kind it is.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

/// The kinds of value.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// JSON's null; the number is always 0.
    #[prost(int32, tag = "1")]
    Null(i32),
    /// Any JSON number, as a double.
    #[prost(double, tag = "2")]
    Number(f64),
    /// Text.
    #[prost(string, tag = "3")]
    String(String),
    /// True or false.
    #[prost(bool, tag = "4")]
    Bool(bool),
    /// A nested map.
    #[prost(message, tag = "5")]
    Struct(Struct),
    /// A list.
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// A list of values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListValue {
    /// The elements, in order.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

impl Value {
    /// A value of this kind.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.kind, None | Some(Kind::Null(_)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::of(Kind::String(text.to_owned()))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::of(Kind::Number(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::of(Kind::Bool(flag))
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        let values = list.into_iter().map(|text| Self::of(Kind::String(text))).collect();
        Self::of(Kind::List(ListValue { values }))
    }
}

impl Serialize for Struct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, value) in &self.fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            None | Some(Kind::Null(_)) => serializer.serialize_unit(),
            Some(Kind::Number(number)) => serialize_number(*number, serializer),
            Some(Kind::String(text)) => serializer.serialize_str(text),
            Some(Kind::Bool(flag)) => serializer.serialize_bool(*flag),
            Some(Kind::Struct(map)) => map.serialize(serializer),
            Some(Kind::List(list)) => {
                let mut seq = serializer.serialize_seq(Some(list.values.len()))?;
                for value in &list.values {
                    seq.serialize_element(value)?;
                }
                seq.end()
            }
        }
    }
}

/// Whole numbers print without a fraction, as JSON writers do: `2020`, not `2020.0`.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53, so exact")]
fn serialize_number<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT_MAX {
        serializer.serialize_i64(number as i64)
    } else {
        serializer.serialize_f64(number)
    }
}

impl<'de> Deserialize<'de> for Struct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StructVisitor)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct StructVisitor;

impl<'de> Visitor<'de> for StructVisitor {
    type Value = Struct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Struct, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            fields.insert(key, value);
        }
        Ok(Struct { fields })
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::of(Kind::Null(0)))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::of(Kind::Bool(flag)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::of(Kind::Number(number)))
    }

    #[expect(clippy::cast_precision_loss, reason = "metadata numbers are doubles, as documented")]
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::of(Kind::Number(number as f64)))
    }

    #[expect(clippy::cast_precision_loss, reason = "metadata numbers are doubles, as documented")]
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::of(Kind::Number(number as f64)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::of(Kind::String(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::of(Kind::String(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::of(Kind::List(ListValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        StructVisitor.visit_map(map).map(|map| Value::of(Kind::Struct(map)))
    }
}

#[cfg(test)]
mod tests;
