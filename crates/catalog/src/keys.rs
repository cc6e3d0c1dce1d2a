//! API keys: who may call, and what they may do.
//!
//! A key is shown once, when it is made; here only its SHA-256 is kept. WHY a plain hash and not a
//! slow one: a key is 256 random bits, so there is nothing to guess, and it is checked with every
//! request. The key carries the id of its row, so finding the row compares nothing secret; the
//! hashes are then compared in constant time.
//!
//! INVARIANT: revoking never opens a door. The row of a revoked key stays, so that a server whose
//! last key was revoked refuses everybody, in place of letting anybody in as it did before its first
//! key.

use std::fmt;
use std::sync::Arc;

use lodgepole_types::{Rng, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::rows::{Row, RowKey};
use crate::{Catalog, CatalogError, Contents};

/// What every key starts with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "pckey_";
const ID_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 52;
/// Letters of ids and keys: 32, so that five random bits make one, and none looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 80;
/// Keys in use at one time.
const KEYS_MAX: usize = 10_000;
/// Revoked keys that are remembered; the ones revoked first are forgotten first.
const REVOKED_KEYS_MAX: usize = 1_000;

/// Identifies a key. Not secret: lists and logs show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// Reads an id; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == ID_LENGTH && text.bytes().all(|byte| LETTERS.contains(&byte));
        fits.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key may do. The names are Pinecone's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everything.
    ProjectEditor,
    /// Read everything.
    ProjectViewer,
    /// Read and change indexes, backups and what else the control plane has; no records.
    ControlPlaneEditor,
    /// Read what the control plane has; no records.
    ControlPlaneViewer,
    /// Read and change records; nothing of the control plane.
    DataPlaneEditor,
    /// Read records; nothing of the control plane.
    DataPlaneViewer,
}

impl Role {
    /// Every role, for lists and tests.
    pub const ALL: [Self; 6] = [
        Self::ProjectEditor,
        Self::ProjectViewer,
        Self::ControlPlaneEditor,
        Self::ControlPlaneViewer,
        Self::DataPlaneEditor,
        Self::DataPlaneViewer,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProjectEditor => "ProjectEditor",
            Self::ProjectViewer => "ProjectViewer",
            Self::ControlPlaneEditor => "ControlPlaneEditor",
            Self::ControlPlaneViewer => "ControlPlaneViewer",
            Self::DataPlaneEditor => "DataPlaneEditor",
            Self::DataPlaneViewer => "DataPlaneViewer",
        }
    }

    /// Reads a name, in any case of letters; `None` when there is no such role.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text))
    }
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its identity, and part of its text.
    pub id: KeyId,
    /// What the operator calls it; no two keys in use share one.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The SHA-256 of its text.
    hash: Hash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked; absent while it is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// A key that was just made: its row, and the only moment its text exists.
#[derive(Clone)]
pub struct NewKey {
    /// What is kept.
    pub key: Arc<ApiKey>,
    /// What clients send.
    pub text: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// How far keys decide who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// There never was one.
    Never,
    /// All are revoked: nobody has one.
    Revoked,
    /// A key is needed.
    InUse,
}

impl Contents {
    /// How far keys decide who is let in.
    #[must_use]
    pub fn key_state(&self) -> KeyState {
        if self.keys().is_empty() {
            KeyState::Never
        } else if self.keys_in_use().next().is_none() {
            KeyState::Revoked
        } else {
            KeyState::InUse
        }
    }

    /// Every key, also the revoked ones, oldest first.
    #[must_use]
    pub fn api_keys(&self) -> Vec<Arc<ApiKey>> {
        let mut keys: Vec<_> = self.keys().values().cloned().collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        keys
    }

    /// The key in use with this text.
    #[must_use]
    pub fn authenticate(&self, text: &[u8]) -> Option<Arc<ApiKey>> {
        let hash = Hash::of(text);
        let key = id_in(text).and_then(|id| self.keys().get(&id))?;
        let is_same = bool::from(key.hash.0.ct_eq(&hash.0));
        (is_same && key.revoked_at.is_none()).then(|| Arc::clone(key))
    }

    fn keys_in_use(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys().values().filter(|key| key.revoked_at.is_none())
    }
}

impl Catalog {
    /// Makes a key. Without a name it is called by its id. It works from the moment this returns.
    ///
    /// # Errors
    /// `AlreadyExists` for a name in use, `InvalidArgument` for one that cannot be one,
    /// `FailedPrecondition` when there are too many keys, `Unavailable` when the store fails.
    pub async fn create_key(
        &self,
        name: Option<&str>,
        role: Role,
        (now, rng): (Timestamp, &dyn Rng),
    ) -> Result<NewKey, CatalogError> {
        let random = random_letters::<{ ID_LENGTH + SECRET_LENGTH }>(rng);
        let (id, secret) = random.split_at(ID_LENGTH);
        let text = format!("{PREFIX}{id}_{secret}");
        let name = name.unwrap_or(id);
        let is_name =
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
        if !is_name {
            return Err(CatalogError::BadKeyName);
        }
        let key = Arc::new(ApiKey {
            id: KeyId(id.to_owned()),
            name: name.to_owned(),
            role,
            hash: Hash::of(text.as_bytes()),
            created_at: now,
            revoked_at: None,
        });
        self.commit(|contents, transaction| {
            if contents.keys_in_use().any(|other| other.name == key.name || other.id == key.id) {
                return Err(CatalogError::KeyNameTaken(key.name.clone()));
            }
            if contents.keys_in_use().count() >= KEYS_MAX {
                return Err(CatalogError::TooManyKeys(KEYS_MAX));
            }
            transaction.put(Row::Key(Arc::clone(&key)));
            Ok(NewKey { key, text })
        })
        .await
    }

    /// Revokes the key in use with this id or name; it works no more from the moment this returns.
    ///
    /// # Errors
    /// `NotFound` when no key in use is called so, `Unavailable` when the store fails.
    pub async fn revoke_key(
        &self,
        id_or_name: &str,
        now: Timestamp,
    ) -> Result<Arc<ApiKey>, CatalogError> {
        self.commit(|contents, transaction| {
            let found = contents
                .keys_in_use()
                .find(|key| key.id.as_str() == id_or_name)
                .or_else(|| contents.keys_in_use().find(|key| key.name == id_or_name));
            let key = found.ok_or_else(|| CatalogError::KeyNotFound(id_or_name.to_owned()))?;
            let key = Arc::new(ApiKey { revoked_at: Some(now), ..(**key).clone() });
            let mut revoked: Vec<_> = contents
                .keys()
                .values()
                .filter_map(|other| Some((other.revoked_at?, other.id.clone())))
                .collect();
            revoked.sort_unstable();
            let excess = (revoked.len() + 1).saturating_sub(REVOKED_KEYS_MAX);
            for (_, oldest) in revoked.into_iter().take(excess) {
                transaction.remove(RowKey::Key(oldest));
            }
            transaction.put(Row::Key(Arc::clone(&key)));
            Ok(key)
        })
        .await
    }
}

/// A SHA-256, in JSON as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hash([u8; 32]);

impl Hash {
    fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a hash has 64 hexadecimal digits";
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(WRONG);
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        Ok(Self(hash))
    }
}

/// The id inside the text of a key.
fn id_in(text: &[u8]) -> Option<KeyId> {
    let rest = std::str::from_utf8(text).ok()?.strip_prefix(PREFIX)?;
    KeyId::parse(rest.split_once('_')?.0)
}

fn random_letters<const COUNT: usize>(rng: &dyn Rng) -> String {
    let mut bytes = [0; COUNT];
    rng.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests;
