//! Metadata of a record.
//!
//! Invariant: a flat map whose values are text, finite numbers, booleans or lists of text; no key
//! starts with `$`; no value is null. The rules and messages are Pinecone's (docs: metadata).

use std::io;

use prost::Message;

use crate::value::{Kind, Value};
use crate::{Limits, Struct};

/// Checked metadata.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(Struct);

/// Why metadata was refused. The message is meant for the caller of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MetadataError(pub String);

impl Metadata {
    /// Checks and takes metadata. Top-level nulls are dropped: Pinecone's newer service does so,
    /// and its older one answered an error that every application had to work around.
    ///
    /// # Errors
    /// [`MetadataError`] for a value of another type, a key with `$`, or too many bytes.
    pub fn parse(mut fields: Struct, limits: &Limits) -> Result<Self, MetadataError> {
        fields.fields.retain(|_, value| !value.is_null());
        for (key, value) in &fields.fields {
            if key.starts_with('$') {
                return Err(MetadataError(format!("Metadata key '{key}' must not start with '$'")));
            }
            if !is_allowed(value) {
                return Err(MetadataError(format!(
                    "Metadata value must be a string, number, boolean or list of strings, got \
                     '{}' for field '{key}'",
                    excerpt(value)
                )));
            }
        }
        let metadata = Self(fields);
        let bytes = metadata.json_bytes(limits.metadata_bytes_max);
        if bytes > limits.metadata_bytes_max {
            return Err(MetadataError(format!(
                "metadata size is {bytes} bytes, which exceeds the limit of {} bytes per vector",
                limits.metadata_bytes_max
            )));
        }
        Ok(metadata)
    }

    /// The entries.
    #[must_use]
    pub fn as_struct(&self) -> &Struct {
        &self.0
    }

    /// The entries, given away.
    #[must_use]
    pub fn into_struct(self) -> Struct {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.fields.is_empty()
    }

    /// The stored form: a protobuf `Struct`.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// Reads the stored form back; it was checked before it was stored.
    ///
    /// # Errors
    /// When the bytes are not a protobuf `Struct`, that is, damaged.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Struct::decode(bytes).map(Self)
    }

    /// Length as compact JSON. Exact when it matters: a protobuf form of a sixth of `limit` cannot
    /// exceed the limit even if JSON escapes every byte, and is not measured again.
    fn json_bytes(&self, limit: usize) -> usize {
        let encoded = self.0.encoded_len();
        if encoded.saturating_mul(6) <= limit {
            return encoded;
        }
        let mut count = Counter(0);
        match serde_json::to_writer(&mut count, &self.0) {
            Ok(()) => count.0,
            Err(_) => usize::MAX,
        }
    }
}

fn is_allowed(value: &Value) -> bool {
    match &value.kind {
        Some(Kind::String(_) | Kind::Bool(_)) => true,
        Some(Kind::Number(number)) => number.is_finite(),
        Some(Kind::List(list)) => {
            list.values.iter().all(|value| matches!(value.kind, Some(Kind::String(_))))
        }
        None | Some(Kind::Null(_) | Kind::Struct(_)) => false,
    }
}

/// The value as compact JSON, cut to 16 bytes; whole numbers have a point, as in Pinecone's messages.
pub(crate) fn excerpt(value: &Value) -> String {
    const BYTES_MAX: usize = 16;
    let text = with_points(value).to_string();
    if text.len() <= BYTES_MAX {
        return text;
    }
    let end = (0..=BYTES_MAX).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}...", &text[..end])
}

fn with_points(value: &Value) -> serde_json::Value {
    match &value.kind {
        None | Some(Kind::Null(_)) => serde_json::Value::Null,
        Some(Kind::Number(number)) => (*number).into(),
        Some(Kind::String(text)) => text.as_str().into(),
        Some(Kind::Bool(flag)) => (*flag).into(),
        Some(Kind::List(list)) => list.values.iter().map(with_points).collect(),
        Some(Kind::Struct(map)) => {
            map.fields.iter().map(|(key, value)| (key.clone(), with_points(value))).collect()
        }
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Goal: metadata is refused with the documented messages. Method: one case a rule.
    use super::*;

    fn parse(text: &str) -> Result<Metadata, MetadataError> {
        Metadata::parse(serde_json::from_str(text).unwrap(), &Limits::default())
    }

    #[test]
    fn text_numbers_booleans_and_lists_of_text_pass() {
        let metadata = parse(r#"{"a":"x","b":1.5,"c":true,"d":["x","y"],"e":[],"":"ü","_x":1}"#);
        assert_eq!(metadata.unwrap().as_struct().fields.len(), 7);
    }

    #[test]
    fn other_values_are_refused_by_name() {
        for text in [r#"{"f":{"x":1}}"#, r#"{"f":[1]}"#, r#"{"f":["x",1]}"#, r#"{"f":[null]}"#] {
            let message = parse(text).unwrap_err().0;
            assert!(message.starts_with("Metadata value must be a string, number"), "{message}");
            assert!(message.ends_with("for field 'f'"), "{message}");
        }
        assert!(parse(r#"{"$f":1}"#).is_err());
    }

    #[test]
    fn what_was_got_is_cut_and_its_numbers_have_points() {
        for (text, got) in [
            (r#"{"f":[10]}"#, "'[10.0]'"),
            (r#"{"f":{"x":{"y":[0.5,null]}}}"#, "'{\"x\":{\"y\":[0.5,n...'"),
            (r#"{"f":["äöüäöüä",1]}"#, "'[\"äöüäöüä...'"),
        ] {
            let message = parse(text).unwrap_err().0;
            assert!(message.ends_with(&format!("got {got} for field 'f'")), "{message}");
        }
    }

    #[test]
    fn nulls_are_dropped() {
        assert!(parse(r#"{"f":null}"#).unwrap().is_empty());
    }

    #[test]
    fn the_size_limit_counts_json_bytes() {
        let fits = format!(r#"{{"f":"{}"}}"#, "x".repeat(40_960 - 8));
        assert!(parse(&fits).is_ok());
        let exceeds = format!(r#"{{"f":"{}"}}"#, "x".repeat(40_960 - 7));
        assert_eq!(
            parse(&exceeds).unwrap_err().0,
            "metadata size is 40961 bytes, which exceeds the limit of 40960 bytes per vector"
        );
    }

    #[test]
    fn the_stored_form_reads_back() {
        let metadata = parse(r#"{"a":"x","d":["x","y"]}"#).unwrap();
        assert_eq!(Metadata::from_stored(&metadata.to_stored()).unwrap(), metadata);
    }
}
