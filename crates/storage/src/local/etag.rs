//! The tag by which a caller says which version of an object it has read.
//!
//! Only small objects are ever replaced in place (SlateDB's collection boundaries, a few digits
//! each), so the tag of an object of up to [`UPDATE_BYTES_MAX`] is a hash of its content, and larger
//! objects, which are written once, keep the file's identity as their tag and cannot be updated.
//! WHY not the file's identity for all: inode numbers are reused at once and file times move in
//! steps of milliseconds, so two versions of equal length can share inode, time and length. WHY not
//! a hash for all: it would read tens of megabytes to answer a request for one block.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_128;

/// Largest object that can be replaced with `PutMode::Update`: one page, which costs next to nothing
/// to read whole and hash.
pub(super) const UPDATE_BYTES_MAX: u64 = 4096;

/// The tag of a small object.
pub(super) fn of_content(content: &[u8]) -> String {
    format!("\"{:032x}\"", xxh3_128(content))
}

/// The tag of the object in an open file.
pub(super) fn of(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    if is_small(metadata.len()) {
        return Ok(of_content(&read_small(file)?));
    }
    Ok(of_file(&metadata))
}

/// The tag of a large object, spelt as `LocalFileSystem` spells it.
pub(super) fn of_file(metadata: &Metadata) -> String {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .unwrap_or(Duration::ZERO);
    format!("\"{:x}-{:x}-{:x}\"", metadata.ino(), modified.as_micros(), metadata.len())
}

/// Whether an object of this length has its content's hash as its tag.
pub(super) fn is_small(length: u64) -> bool {
    length <= UPDATE_BYTES_MAX
}

/// Reads a small object whole.
pub(super) fn read_small(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(UPDATE_BYTES_MAX);
    let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}
