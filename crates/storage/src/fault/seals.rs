//! Seals written and removed by hand: for suites that damage what lies under one.

use bytes::Bytes;
use object_store::path::Path;

use crate::sealed::{SEAL_BYTES, Sealer};

/// An object of this content, sealed as if it had been written at `path`.
#[must_use]
pub fn reseal(path: &str, content: &[u8]) -> Bytes {
    let mut sealer = Sealer::new(&Path::from(path));
    sealer.add_bytes(content);
    Bytes::from([content, &sealer.seal()].concat())
}

/// The content of an object, without a look at its seal.
#[must_use]
pub fn unseal(object: &[u8]) -> &[u8] {
    let seal = usize::try_from(SEAL_BYTES).unwrap_or(usize::MAX);
    &object[..object.len().saturating_sub(seal)]
}
