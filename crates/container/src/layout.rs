//! The fixed parts of the container: header, directory entries, trailer.
//!
//! Offsets are named once, here; docs/format/segment.md draws them.

use xxhash_rust::xxh3::xxh3_64;

// Arrays of numbers are used as they lie in the file.
const _: () = assert!(cfg!(target_endian = "little"), "segments are read in place, little-endian");

/// Sections start at multiples of this: the length of a cache line and of the widest register.
pub const ALIGNMENT: usize = 64;
/// Bytes that one checksum covers: small enough that reading one row checks little more than the
/// row, large enough that checksums are a two-thousandth of the file.
pub(crate) const CHUNK_BYTES_DEFAULT: u32 = 16 << 10;
/// The format written. Readers refuse all others.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// First bytes of a segment.
pub(super) const HEAD_MAGIC: [u8; 8] = *b"LPSEGMT\x01";
/// Last bytes of a segment.
pub(super) const TAIL_MAGIC: [u8; 8] = *b"LPSEGEND";
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const TRAILER_BYTES: usize = 64;
pub(super) const ENTRY_BYTES: usize = 32;
pub(super) const CHECKSUM_BYTES: usize = 8;
/// Where the header's and the trailer's checksums stand in them.
const HEADER_CHECKSUM_AT: usize = 56;
const TRAILER_CHECKSUM_AT: usize = 48;

/// What a writer may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Bytes that one checksum covers: a power of two, at least [`ALIGNMENT`].
    pub chunk_bytes: u32,
}

impl Default for SegmentHeader {
    fn default() -> Self {
        Self { chunk_bytes: CHUNK_BYTES_DEFAULT }
    }
}

/// Why a header cannot be read.
pub(super) enum HeaderFault {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn is_valid(self) -> bool {
        self.chunk_bytes.is_power_of_two() && self.chunk_bytes as usize >= ALIGNMENT
    }

    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&HEAD_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.chunk_bytes.to_le_bytes());
        let checksum = xxh3_64(&bytes[..HEADER_CHECKSUM_AT]);
        bytes[HEADER_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The version is looked at before the checksum: another version may have another header.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderFault> {
        if bytes[..8] != HEAD_MAGIC {
            return Err(HeaderFault::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        let header = Self { chunk_bytes: u32_at(bytes, 12) };
        let checksum = xxh3_64(&bytes[..HEADER_CHECKSUM_AT]);
        if checksum != u64_at(bytes, HEADER_CHECKSUM_AT) || !header.is_valid() {
            return Err(HeaderFault::Damaged);
        }
        Ok(header)
    }
}

/// One section in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: u32,
    /// From the start of the file.
    pub(super) offset: u64,
    /// Without the padding after it.
    pub(super) length: u64,
    /// Number of the checksum of its first chunk.
    pub(super) first_checksum: u64,
}

impl Entry {
    pub(super) fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..].copy_from_slice(&self.first_checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        Self {
            kind: u32_at(bytes, 0),
            offset: u64_at(bytes, 8),
            length: u64_at(bytes, 16),
            first_checksum: u64_at(bytes, 24),
        }
    }
}

/// The last bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) checksums_offset: u64,
    pub(super) directory_offset: u64,
    pub(super) file_bytes: u64,
    pub(super) sections: u32,
}

impl Trailer {
    /// `directory` is what its checksum covers besides itself.
    pub(super) fn encode(self, directory: &[u8]) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[..8].copy_from_slice(&self.checksums_offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.directory_offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.sections.to_le_bytes());
        bytes[28..32].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let checksum = Self::checksum(directory, &bytes);
        bytes[TRAILER_CHECKSUM_AT..56].copy_from_slice(&checksum.to_le_bytes());
        bytes[56..].copy_from_slice(&TAIL_MAGIC);
        bytes
    }

    /// `None` when the file does not end as a segment does.
    pub(super) fn decode(bytes: &[u8; TRAILER_BYTES]) -> Option<Self> {
        (bytes[56..] == TAIL_MAGIC).then(|| Self {
            checksums_offset: u64_at(bytes, 0),
            directory_offset: u64_at(bytes, 8),
            file_bytes: u64_at(bytes, 16),
            sections: u32_at(bytes, 24),
        })
    }

    /// Whether directory and trailer are as they were written.
    pub(super) fn is_intact(directory: &[u8], trailer: &[u8; TRAILER_BYTES]) -> bool {
        Self::checksum(directory, trailer) == u64_at(trailer, TRAILER_CHECKSUM_AT)
    }

    fn checksum(directory: &[u8], trailer: &[u8; TRAILER_BYTES]) -> u64 {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(directory);
        hash.update(&trailer[..TRAILER_CHECKSUM_AT]);
        hash.digest()
    }
}

/// The length of a section with its padding.
pub(super) fn padded(length: u64) -> Option<u64> {
    length.checked_next_multiple_of(ALIGNMENT as u64)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
