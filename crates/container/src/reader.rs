//! Reads a segment in place, checking each chunk before its first use.
//!
//! Which chunks have been checked is a bitmap of atomics. Two threads may check the same chunk at
//! the same time and come to the same answer, so no lock is needed; and because a set bit says
//! something about bytes that never change, no ordering between the bits and other memory is
//! needed either. A chunk that fails stays unchecked: every read of it fails again.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::AnyBitPattern;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    CHECKSUM_BYTES, ENTRY_BYTES, Entry, HEAD_MAGIC, HEADER_BYTES, HeaderFault, TRAILER_BYTES,
    Trailer, padded, u64_at,
};
use super::{ALIGNMENT, Section, SegmentBytes, SegmentHeader};
use crate::SegmentError;

/// A segment's bytes, by section.
#[derive(Debug)]
pub struct Container {
    bytes: Arc<dyn SegmentBytes>,
    chunk_bytes: usize,
    /// In the order of their kinds.
    sections: Box<[Part]>,
    checksums_start: usize,
    checksums: usize,
    /// One bit per checksum: its chunk has matched.
    verified: Box<[AtomicU64]>,
}

/// A section, as memory.
#[derive(Debug, Clone, Copy)]
struct Part {
    kind: u32,
    start: usize,
    length: usize,
    /// With its padding.
    end: usize,
    first_checksum: usize,
}

const DAMAGED: SegmentError = SegmentError::Damaged { section: Section::Container };

impl Container {
    /// Opens a segment: reads header and footer, nothing between.
    ///
    /// # Errors
    /// [`SegmentError::Truncated`], [`SegmentError::Version`] or [`SegmentError::Damaged`] when
    /// these are not what a writer wrote; [`SegmentError::Misaligned`] when the bytes do not start
    /// at a multiple of [`ALIGNMENT`].
    pub fn open(bytes: Arc<dyn SegmentBytes>) -> Result<Self, SegmentError> {
        let all = bytes.bytes();
        if all.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Err(SegmentError::Misaligned);
        }
        let header = open_header(all)?;
        let (trailer, directory) = open_footer(all)?;
        let chunk_bytes = header.chunk_bytes as usize;
        let checksums_start = index(trailer.checksums_offset)?;
        let checksums = (index(trailer.directory_offset)? - checksums_start) / CHECKSUM_BYTES;
        let sections = open_directory(directory, chunk_bytes, checksums_start, checksums)?;
        let verified = (0..checksums.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { bytes, chunk_bytes, sections, checksums_start, checksums, verified })
    }

    /// Bytes in a section; 0 when there is none.
    #[must_use]
    pub fn len(&self, section: Section) -> usize {
        self.part(section).map_or(0, |part| part.length)
    }

    /// Numbers of type `T` in a section.
    #[must_use]
    pub fn count<T>(&self, section: Section) -> usize {
        self.len(section).checked_div(size_of::<T>()).unwrap_or(0)
    }

    /// Bytes of the whole segment.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        self.bytes.bytes().len()
    }

    /// Bytes that this takes in memory besides the segment itself.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        size_of_val(&*self.sections) + size_of_val(&*self.verified)
    }

    /// A range of a section's bytes, checked.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when a checksum does not match, or the section does not have the
    /// range. An absent section has the range `0..0`.
    pub fn bytes(&self, section: Section, range: Range<usize>) -> Result<&[u8], SegmentError> {
        let Some(part) = self.part(section) else {
            return if range == (0..0) { Ok(&[]) } else { Err(SegmentError::damaged(section)) };
        };
        if range.start > range.end || range.end > part.length {
            return Err(SegmentError::damaged(section));
        }
        let all = self.bytes.bytes();
        if range.is_empty() {
            return Ok(&[]);
        }
        let shift = self.chunk_shift();
        for chunk in range.start >> shift..=(range.end - 1) >> shift {
            if !self.check(all, part, chunk) {
                return Err(SegmentError::damaged(section));
            }
        }
        all.get(part.start + range.start..part.start + range.end)
            .ok_or(SegmentError::damaged(section))
    }

    /// A whole section of rows of `row_bytes` bytes each, of which only the rows `of` are checked:
    /// the caller must look at no others. For reads of many rows spread over a section.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when a checksum does not match, or a row is not in the section.
    pub fn rows_at(
        &self,
        section: Section,
        row_bytes: usize,
        of: &[u32],
    ) -> Result<&[u8], SegmentError> {
        let part = self.part(section).ok_or(SegmentError::damaged(section))?;
        let all = self.bytes.bytes();
        let shift = self.chunk_shift();
        for &row in of {
            let start = row as usize * row_bytes;
            let end = start + row_bytes;
            let chunks = start >> shift..=end.saturating_sub(1) >> shift;
            for chunk in chunks {
                if end > part.length || !self.check(all, part, chunk) {
                    return Err(SegmentError::damaged(section));
                }
            }
        }
        all.get(part.start..part.start + part.length).ok_or(SegmentError::damaged(section))
    }

    /// A range of a section's numbers, counted in numbers, checked. Also takes structs of numbers
    /// without gaps.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn numbers<T: AnyBitPattern>(
        &self,
        section: Section,
        range: Range<usize>,
    ) -> Result<&[T], SegmentError> {
        let damaged = || SegmentError::damaged(section);
        let start = range.start.checked_mul(size_of::<T>()).ok_or_else(damaged)?;
        let end = range.end.checked_mul(size_of::<T>()).ok_or_else(damaged)?;
        let bytes = self.bytes(section, start..end)?;
        if bytes.is_empty() {
            return Ok(&[]);
        }
        // Cannot fail: sections are aligned, and the range is a multiple of the number's length.
        bytemuck::try_cast_slice(bytes).map_err(|_| damaged())
    }

    /// All numbers of a section, checked; none when there is no such section.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] also when the section does not hold whole numbers.
    pub fn all_numbers<T: AnyBitPattern>(&self, section: Section) -> Result<&[T], SegmentError> {
        let count = self.count::<T>(section);
        if count * size_of::<T>() != self.len(section) {
            return Err(SegmentError::damaged(section));
        }
        self.numbers(section, 0..count)
    }

    /// A range of f32, counted in numbers, checked.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn f32s(&self, section: Section, range: Range<usize>) -> Result<&[f32], SegmentError> {
        self.numbers(section, range)
    }

    /// A range of u32, counted in numbers, checked.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn u32s(&self, section: Section, range: Range<usize>) -> Result<&[u32], SegmentError> {
        self.numbers(section, range)
    }

    /// A range of u64, counted in numbers, checked.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn u64s(&self, section: Section, range: Range<usize>) -> Result<&[u64], SegmentError> {
        self.numbers(section, range)
    }

    /// Where a section lies in the file; empty when there is none.
    #[must_use]
    pub fn place_of(&self, section: Section) -> Range<usize> {
        self.part(section).map_or(0..0, |part| part.start..part.end)
    }

    /// A section looked up once, for reads of many ranges of it.
    pub fn ranges(&self, section: Section) -> Ranges<'_> {
        let absent = Part { kind: section.kind(), start: 0, length: 0, end: 0, first_checksum: 0 };
        let part = self.part(section).copied().unwrap_or(absent);
        Ranges { container: self, section, part, all: self.bytes.bytes() }
    }

    /// Reads everything and checks every chunk, also those that matched before: memory that is
    /// mapped may have changed since.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] for the first chunk that does not match.
    pub fn verify_all(&self) -> Result<(), SegmentError> {
        let all = self.bytes.bytes();
        open_header(all)?;
        open_footer(all)?;
        for part in &self.sections {
            for chunk in 0..(part.end - part.start).div_ceil(self.chunk_bytes) {
                if !self.matches(all, part, chunk) {
                    return Err(SegmentError::damaged(Section::from_kind(part.kind)));
                }
                self.mark(part.first_checksum + chunk);
            }
        }
        Ok(())
    }

    /// Chunks are powers of two: a shift is a tenth of a division.
    fn chunk_shift(&self) -> u32 {
        self.chunk_bytes.trailing_zeros()
    }

    fn part(&self, section: Section) -> Option<&Part> {
        let at = self.sections.binary_search_by_key(&section.kind(), |part| part.kind).ok()?;
        self.sections.get(at)
    }

    /// Whether a chunk of a section is intact; hashes it if nobody has.
    fn check(&self, all: &[u8], part: &Part, chunk: usize) -> bool {
        let number = part.first_checksum + chunk;
        let known = self
            .verified
            .get(number / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 == 1);
        if known {
            return true;
        }
        let matches = self.matches(all, part, chunk);
        if matches {
            self.mark(number);
        }
        matches
    }

    fn mark(&self, number: usize) {
        if let Some(word) = self.verified.get(number / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }

    #[cold]
    fn matches(&self, all: &[u8], part: &Part, chunk: usize) -> bool {
        let number = part.first_checksum + chunk;
        let start = part.start + chunk * self.chunk_bytes;
        let end = (start + self.chunk_bytes).min(part.end);
        let at = self.checksums_start + number * CHECKSUM_BYTES;
        let wanted = all.get(at..at + CHECKSUM_BYTES).map(|bytes| u64_at(bytes, 0));
        number < self.checksums && all.get(start..end).map(xxh3_64) == wanted && wanted.is_some()
    }
}

/// One section of a container, for reads of many ranges.
#[derive(Debug, Clone, Copy)]
pub struct Ranges<'a> {
    container: &'a Container,
    section: Section,
    part: Part,
    all: &'a [u8],
}

impl<'a> Ranges<'a> {
    /// Checks some bytes of the section.
    ///
    /// # Errors
    /// As [`Container::bytes`].
    #[inline]
    pub fn check(&self, bytes: Range<usize>) -> Result<(), SegmentError> {
        let damaged = SegmentError::Damaged { section: self.section };
        if bytes.start >= bytes.end || bytes.end > self.part.length {
            return if bytes.start == bytes.end { Ok(()) } else { Err(damaged) };
        }
        let shift = self.container.chunk_shift();
        for chunk in bytes.start >> shift..=(bytes.end - 1) >> shift {
            if !self.container.check(self.all, &self.part, chunk) {
                return Err(damaged);
            }
        }
        Ok(())
    }

    /// All bytes of the section, of which only those count that were checked.
    pub fn unchecked(&self) -> &'a [u8] {
        let bytes = self.part.start..self.part.start + self.part.length;
        self.all.get(bytes).unwrap_or_default()
    }
}

fn open_header(all: &[u8]) -> Result<SegmentHeader, SegmentError> {
    let Some(header) = all.first_chunk::<HEADER_BYTES>() else {
        let magic = &all[..all.len().min(HEAD_MAGIC.len())];
        return Err(if HEAD_MAGIC.starts_with(magic) { SegmentError::Truncated } else { DAMAGED });
    };
    SegmentHeader::decode(header).map_err(|fault| match fault {
        HeaderFault::Damaged => DAMAGED,
        HeaderFault::Version(found) => SegmentError::Version { found },
    })
}

/// The trailer, and the bytes of the directory. Afterwards the offsets in the trailer are in order
/// and inside the file.
fn open_footer(all: &[u8]) -> Result<(Trailer, &[u8]), SegmentError> {
    let (before, bytes) = all.split_last_chunk::<TRAILER_BYTES>().ok_or(SegmentError::Truncated)?;
    let trailer = Trailer::decode(bytes).ok_or(SegmentError::Truncated)?;
    if trailer.file_bytes != all.len() as u64 {
        return Err(SegmentError::Truncated);
    }
    let directory_start = index(trailer.directory_offset)?;
    let directory = before.get(directory_start..).ok_or(DAMAGED)?;
    let checksums_start = index(trailer.checksums_offset)?;
    let in_order = HEADER_BYTES <= checksums_start
        && checksums_start <= directory_start
        && (directory_start - checksums_start).is_multiple_of(CHECKSUM_BYTES)
        && directory.len() as u64 == u64::from(trailer.sections) * ENTRY_BYTES as u64;
    if !Trailer::is_intact(directory, bytes) || !in_order {
        return Err(DAMAGED);
    }
    Ok((trailer, directory))
}

/// The sections by kind. They must fill the file from the header to the checksums without a gap,
/// and use the checksums without a gap, so that nothing is uncovered.
fn open_directory(
    directory: &[u8],
    chunk_bytes: usize,
    checksums_start: usize,
    checksums: usize,
) -> Result<Box<[Part]>, SegmentError> {
    let (mut offset, mut checksum) = (HEADER_BYTES, 0_usize);
    let (entries, _) = directory.as_chunks::<ENTRY_BYTES>();
    let mut parts = Vec::with_capacity(entries.len());
    for entry in entries.iter().map(Entry::decode) {
        let in_place = index(entry.offset)? == offset && index(entry.first_checksum)? == checksum;
        let padded = index(padded(entry.length).ok_or(DAMAGED)?)?;
        let end = offset.checked_add(padded).ok_or(DAMAGED)?;
        if !in_place || end > checksums_start {
            return Err(DAMAGED);
        }
        parts.push(Part {
            kind: entry.kind,
            start: offset,
            length: index(entry.length)?,
            end,
            first_checksum: checksum,
        });
        checksum += padded.div_ceil(chunk_bytes);
        offset = end;
    }
    parts.sort_by_key(|part| part.kind);
    let unique = parts.windows(2).all(|pair| pair[0].kind < pair[1].kind);
    if offset != checksums_start || checksum != checksums || !unique {
        return Err(DAMAGED);
    }
    Ok(parts.into_boxed_slice())
}

fn index(offset: u64) -> Result<usize, SegmentError> {
    usize::try_from(offset).map_err(|_| DAMAGED)
}
