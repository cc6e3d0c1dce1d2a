//! Damage behind matching checksums: what a reader that does not check would be given.
//!
//! The suite is run over it to see that it finds wrong answers. What is forged is the layer that is
//! to be shown necessary, and nothing else.

use bytes::Bytes;
use lodgepole_storage::fault::{reseal, unseal};

/// Which checksums match in spite of the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blindness {
    /// The seals of objects.
    Seals,
    /// These, and the checksums inside segments.
    SealsAndChunks,
}

/// The content of an object, without its seal.
pub(super) fn opened(bytes: &Bytes) -> Vec<u8> {
    unseal(bytes).to_vec()
}

/// An object of this content whose checksums match.
pub(super) fn sealed(path: &str, mut content: Vec<u8>, blindness: Blindness) -> Bytes {
    if blindness == Blindness::SealsAndChunks && path.contains("/seg/") {
        // A segment whose frame is broken stays as it is: there is nothing to be believed.
        let _ = with_matching_chunks(&mut content);
    }
    reseal(path, &content)
}

/// Writes the checksums anew of all chunks. The frame is that of docs/format/segment.md.
fn with_matching_chunks(segment: &mut [u8]) -> Option<()> {
    const TRAILER: usize = 64;
    const ENTRY: usize = 32;
    let trailer = segment.len().checked_sub(TRAILER)?;
    let chunk_bytes = usize::try_from(u32_at(segment, 12)?).ok()?;
    let checksums = index(u64_at(segment, trailer)?)?;
    let directory = index(u64_at(segment, trailer + 8)?)?;
    for entry in (directory..trailer).step_by(ENTRY) {
        let start = index(u64_at(segment, entry + 8)?)?;
        let length = index(u64_at(segment, entry + 16)?)?.checked_next_multiple_of(64)?;
        let first = index(u64_at(segment, entry + 24)?)?;
        let section = segment.get(start..start.checked_add(length)?)?;
        let hashes: Vec<u64> =
            section.chunks(chunk_bytes.max(1)).map(xxhash_rust::xxh3::xxh3_64).collect();
        for (number, hash) in hashes.iter().enumerate() {
            let at = checksums.checked_add((first.checked_add(number)?).checked_mul(8)?)?;
            segment.get_mut(at..at.checked_add(8)?)?.copy_from_slice(&hash.to_le_bytes());
        }
    }
    Some(())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn index(offset: u64) -> Option<usize> {
    usize::try_from(offset).ok()
}
