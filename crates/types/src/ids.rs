//! Names and ids of the things that Lodgepole keeps.
//!
//! Invariant: a value of one of these types satisfies the documented rule of its kind, because the
//! only way in is a constructor that checks it. A bare `String` never crosses a function boundary
//! in its place. The rules are Pinecone's (docs: limits; API 2026-07).

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Rng;

/// Why a text is not a valid name or id. The message is meant for the caller of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(pub String);

/// The name of an index: 1 to 45 of `a-z`, `0-9` and `-`, with alphanumeric ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IndexName(String);

impl IndexName {
    /// Longest name, in bytes.
    pub const LENGTH_MAX: usize = 45;

    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`IdError`] with the message that Pinecone's clients look for.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > Self::LENGTH_MAX {
            return Err(IdError(format!(
                "Name must be 1 to {} characters long, got {}",
                Self::LENGTH_MAX,
                text.len()
            )));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends = plain(bytes[0]) && plain(bytes[bytes.len() - 1]);
        if !ends || !bytes.iter().all(|&b| plain(b) || b == b'-') {
            return Err(IdError(
                "Name must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character"
                    .to_owned(),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for IndexName {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<IndexName> for String {
    fn from(name: IndexName) -> Self {
        name.0
    }
}

/// The name of a namespace inside an index: ASCII without NUL, at most 512 bytes.
///
/// The default namespace has three spellings in requests (absent, `""`, `__default__`) and one
/// value here: the empty name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct NamespaceName(String);

impl NamespaceName {
    /// Longest name, in bytes.
    pub const LENGTH_MAX: usize = 512;
    /// The written form of the default namespace.
    pub const DEFAULT_SPELLING: &'static str = "__default__";

    /// Checks and takes a name; both spellings of the default namespace become the empty name.
    ///
    /// # Errors
    /// [`IdError`] when the name is too long, or holds a NUL or anything but ASCII.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text == Self::DEFAULT_SPELLING {
            return Ok(Self(String::new()));
        }
        if text.len() > Self::LENGTH_MAX {
            return Err(IdError(format!(
                "Namespace name is {} bytes long, the limit is {}",
                text.len(),
                Self::LENGTH_MAX
            )));
        }
        if !text.bytes().all(|b| b.is_ascii() && b != 0) {
            return Err(IdError(
                "Namespace name must be ASCII and must not contain a null character".to_owned(),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as stored: empty for the default namespace.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the default namespace, which always exists.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// The spelling in listings: `__default__` for the default namespace.
    #[must_use]
    pub fn listed(&self) -> &str {
        if self.is_default() { Self::DEFAULT_SPELLING } else { &self.0 }
    }
}

/// The id of a record: 1 to 512 bytes of ASCII without NUL, chosen by the user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(Box<str>);

impl RecordId {
    /// Longest id, in bytes.
    pub const LENGTH_MAX: usize = 512;

    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long, not ASCII, or holds a NUL.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError("Vector ID must not be empty".to_owned()));
        }
        if text.len() > Self::LENGTH_MAX {
            return Err(IdError(format!(
                "Vector ID is {} bytes long, the limit is {}",
                text.len(),
                Self::LENGTH_MAX
            )));
        }
        if !text.bytes().all(|b| b.is_ascii() && b != 0) {
            return Err(IdError(format!(
                "Vector ID must be ASCII and must not contain a null character, but is '{}'",
                text.escape_default()
            )));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A log sequence number: the position of a write in its shard's order. Never reused; 0 is before
/// the first write.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh random id (version 4), drawn from the injected generator.
            #[must_use]
            pub fn random(rng: &dyn Rng) -> Self {
                let mut bytes = [0_u8; 16];
                rng.fill(&mut bytes);
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// Reads the usual hyphenated form; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }

            /// The id as 16 bytes.
            #[must_use]
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// Takes an id that was stored.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// The identity of an index. A new index never gets the id of an old one, even under its name,
    /// so a stale writer cannot reach it. It is also the folder of the index's data.
    IndexId
);
uuid_id!(
    /// The identity of a backup.
    BackupId
);
uuid_id!(
    /// The identity of a restore job.
    RestoreJobId
);
uuid_id!(
    /// The identity of a bulk import. What it stages in its index goes by the same id.
    ImportId
);
uuid_id!(
    /// The identity of a schedule of backups.
    ScheduleId
);

#[cfg(test)]
mod tests;
