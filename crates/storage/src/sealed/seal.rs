//! The 32 bytes at the end of an object. Drawn in docs/format/shard.md.

use bytes::Bytes;
use object_store::PutPayload;
use object_store::path::Path;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use super::SealError;

/// Length of a seal.
pub(crate) const SEAL_BYTES: u64 = SEAL_LENGTH as u64;
const SEAL_LENGTH: usize = 32;
const MAGIC: [u8; 7] = *b"LPSEAL\0";
/// Raise it when objects are written that earlier versions must not read. Whatever else changes, the
/// last 32 bytes keep their layout: it is how earlier versions find this number.
const FORMAT: u8 = 1;

/// Hashes an object while it is written.
pub(crate) struct Sealer {
    seed: u64,
    hash: Xxh3,
    length: u64,
}

/// What a seal says of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) length: u64,
    hash: u64,
}

impl Sealer {
    pub(crate) fn new(location: &Path) -> Self {
        let seed = seed_of(location);
        Self { seed, hash: Xxh3::with_seed(seed), length: 0 }
    }

    pub(super) fn add(&mut self, payload: &PutPayload) {
        for piece in payload {
            self.add_bytes(piece);
        }
    }

    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The last piece, with the seal after it.
    pub(super) fn close(&self, last: PutPayload) -> PutPayload {
        last.into_iter().chain([Bytes::from(self.seal())]).collect()
    }

    /// The seal of what was added.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut seal = Vec::with_capacity(SEAL_LENGTH);
        seal.extend_from_slice(&MAGIC);
        seal.push(FORMAT);
        seal.extend_from_slice(&self.length.to_le_bytes());
        seal.extend_from_slice(&self.hash.digest().to_le_bytes());
        let check = xxh3_64_with_seed(&seal, self.seed);
        seal.extend_from_slice(&check.to_le_bytes());
        seal
    }
}

/// Reads the seal at the end of `bytes`.
///
/// # Errors
/// [`SealError`] when there is none, or that of another object, or of a later version.
pub(super) fn read_seal(location: &Path, bytes: &[u8]) -> Result<Seal, SealError> {
    let damaged = |problem| SealError::of(location, problem);
    let Some((_, seal)) = bytes.split_last_chunk::<SEAL_LENGTH>() else {
        return Err(damaged("it is too short"));
    };
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&seal[at..at + 8]);
        u64::from_le_bytes(number)
    };
    if seal[..MAGIC.len()] != MAGIC {
        return Err(damaged("its end is not that of a file of a database"));
    }
    if number(24) != xxh3_64_with_seed(&seal[..24], seed_of(location)) {
        return Err(damaged("its end was changed, or is that of another file"));
    }
    let found = seal[MAGIC.len()];
    if found > FORMAT {
        return Err(SealError::TooNew { path: location.to_string(), found, known: FORMAT });
    }
    Ok(Seal { length: number(8), hash: number(16) })
}

/// The length of an object without its seal, when that is its own. Content is not compared.
///
/// # Errors
/// [`SealError`] when it is not the object that was written under this name, or has another length.
pub(crate) fn sealed_length(location: &Path, bytes: &[u8]) -> Result<usize, SealError> {
    let seal = read_seal(location, bytes)?;
    let length = bytes.len() - SEAL_LENGTH;
    if length as u64 != seal.length {
        return Err(SealError::of(location, "it has another length than it was given"));
    }
    Ok(length)
}

/// The content of a whole object.
///
/// # Errors
/// [`SealError`] when it is not what was written under this name.
pub(super) fn open(location: &Path, mut bytes: Bytes) -> Result<Bytes, SealError> {
    let seal = read_seal(location, &bytes)?;
    let content = bytes.split_to(sealed_length(location, &bytes)?);
    if xxh3_64_with_seed(&content, seed_of(location)) != seal.hash {
        return Err(SealError::of(location, "its checksum does not match"));
    }
    Ok(content)
}

/// Ties hashes to the path.
fn seed_of(location: &Path) -> u64 {
    xxh3_64(location.as_ref().as_bytes())
}
