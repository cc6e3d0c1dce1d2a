//! Reads JSON bodies of the data plane: a fast reader first, serde_json when it declines.
//!
//! An upsert is mostly decimal numbers, and reading them is most of the work of a bulk load over
//! REST. The fast reader is made for that: it takes eight digits at a time and rounds to 32 bits
//! with one floating-point operation. It is a serde deserializer, so messages need no code of their
//! own.
//!
//! INVARIANT: serde_json decides. What the fast reader accepts, serde_json accepts with the same
//! value, bit for bit; `json/tests.rs` generates and mutates bodies to check it. What it does not
//! like, it declines without a reason, and serde_json reads the body again and accepts or explains.
//! So it needs no error messages, and may leave rare forms (escapes are an exception, being common)
//! to the other reader. A refused body costs at most twice what it cost before.

mod number;
mod reader;
mod text;

use serde::Deserialize;

use reader::Reader;

/// Reads one JSON value with nothing but white space around it.
///
/// # Errors
/// Those of serde_json, with line and column.
pub(crate) fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, serde_json::Error> {
    match Reader::read(body) {
        Ok(message) => Ok(message),
        Err(Declined) => serde_json::from_slice(body),
    }
}

/// The fast reader leaves this body to serde_json.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("declined")]
struct Declined;

impl serde::de::Error for Declined {
    fn custom<T: std::fmt::Display>(_reason: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
