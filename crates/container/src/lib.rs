//! The container of a segment: named sections of bytes, each checked before its first use.
//!
//! A segment is written once, front to back, and then only read, mostly through a memory map. Its
//! sections are arrays of numbers that are used in place, so every section starts at a multiple of
//! 64 ([`ALIGNMENT`]) and all numbers are little-endian. Checking a whole segment at open would read
//! gigabytes, so the checksums are per chunk: opening reads the header and the footer, and each
//! chunk is checked by the first read that touches it ([`Container`]).
//!
//! INVARIANT: no byte of a section is handed out before the checksum of its chunk has matched; and
//! every byte of the file is covered by a checksum or is one, so any flipped bit is found by
//! [`Container::open`], by the read that touches it, or by [`Container::verify_all`].
//!
//! WHY a footer and not a table in front: the writer streams, and does not know lengths before it
//! has written them. WHY a container of our own: what exists (Arrow, zip, SQLite) either has no
//! checksum per piece, or does not promise the alignment.
//!
//! The bytes are drawn in docs/format/segment.md.

#![forbid(unsafe_code)]

mod aligned;
mod error;
mod layout;
mod reader;
mod section;
mod writer;

pub use aligned::{AlignedBytes, SegmentBytes};
pub use error::SegmentError;
pub use layout::{ALIGNMENT, SegmentHeader};
pub use reader::{Container, Ranges};
pub use section::Section;
pub use writer::SegmentWriter;

#[cfg(test)]
mod tests;
