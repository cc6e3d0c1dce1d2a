//! Writes a segment, front to back, holding no more than one chunk in memory.
//!
//! INVARIANT: nothing looks like a segment before [`SegmentWriter::finish`] has written its last
//! bytes, so a file that a crash cut short is never taken for a whole one.

use std::io::Write;

use bytemuck::NoUninit;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{CHECKSUM_BYTES, ENTRY_BYTES, Entry, TRAILER_BYTES, Trailer, padded};
use super::{ALIGNMENT, Section, SegmentHeader};
use crate::SegmentError;

/// Writes a segment. Sections come one after the other, each kind at most once; `out` gets whole
/// chunks, so it needs no buffer of its own.
pub struct SegmentWriter<'w> {
    out: &'w mut dyn Write,
    chunk_bytes: usize,
    /// Bytes handed to `out`.
    written: u64,
    /// The chunk being filled.
    pending: Vec<u8>,
    open: Option<Open>,
    entries: Vec<Entry>,
    checksums: Vec<u64>,
}

/// The section being written.
#[derive(Debug, Clone, Copy)]
struct Open {
    section: Section,
    offset: u64,
    length: u64,
    first_checksum: u64,
}

impl std::fmt::Debug for SegmentWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentWriter")
            .field("written", &self.written)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl<'w> SegmentWriter<'w> {
    /// Begins a segment.
    ///
    /// # Errors
    /// [`SegmentError::Io`] when `out` fails; [`SegmentError::TooLarge`] for a chunk length that is
    /// no power of two or below [`ALIGNMENT`].
    pub fn new(out: &'w mut dyn Write, header: SegmentHeader) -> Result<Self, SegmentError> {
        if !header.is_valid() {
            return Err(SegmentError::TooLarge { what: "chunk length" });
        }
        let bytes = header.encode();
        out.write_all(&bytes)?;
        let chunk_bytes = header.chunk_bytes as usize;
        Ok(Self {
            out,
            chunk_bytes,
            written: bytes.len() as u64,
            pending: Vec::with_capacity(chunk_bytes),
            open: None,
            entries: Vec::new(),
            checksums: Vec::new(),
        })
    }

    /// Begins a section.
    ///
    /// # Errors
    /// [`SegmentError::Order`] while another section is open, or when this one was written before.
    pub fn begin(&mut self, section: Section) -> Result<(), SegmentError> {
        let written_before = self.entries.iter().any(|entry| entry.kind == section.kind());
        if self.open.is_some() || written_before || section == Section::Container {
            return Err(SegmentError::Order { section });
        }
        let first_checksum = self.checksums.len() as u64;
        self.open = Some(Open { section, offset: self.written, length: 0, first_checksum });
        Ok(())
    }

    /// Adds bytes to the open section.
    ///
    /// # Errors
    /// [`SegmentError::Io`] when `out` fails; [`SegmentError::Order`] outside a section.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), SegmentError> {
        let Some(open) = &mut self.open else {
            return Err(SegmentError::Order { section: Section::Container });
        };
        open.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.pending.is_empty() && bytes.len() >= self.chunk_bytes {
                let (chunk, rest) = bytes.split_at(self.chunk_bytes);
                self.put_chunk(chunk)?;
                bytes = rest;
                continue;
            }
            let room = self.chunk_bytes - self.pending.len();
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = rest;
            if self.pending.len() == self.chunk_bytes {
                self.put_pending()?;
            }
        }
        Ok(())
    }

    /// Adds numbers to the open section.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_f32s(&mut self, values: &[f32]) -> Result<(), SegmentError> {
        self.write_numbers(values)
    }

    /// Adds numbers to the open section.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_u32s(&mut self, values: &[u32]) -> Result<(), SegmentError> {
        self.write_numbers(values)
    }

    /// Adds numbers to the open section.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_u64s(&mut self, values: &[u64]) -> Result<(), SegmentError> {
        self.write_numbers(values)
    }

    /// Adds numbers, or structs of numbers without gaps, to the open section.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_numbers<T: NoUninit>(&mut self, values: &[T]) -> Result<(), SegmentError> {
        self.write(bytemuck::cast_slice(values))
    }

    /// Ends the open section.
    ///
    /// # Errors
    /// [`SegmentError::Io`] when `out` fails; [`SegmentError::Order`] when none is open.
    pub fn end(&mut self) -> Result<(), SegmentError> {
        let Some(open) = self.open.take() else {
            return Err(SegmentError::Order { section: Section::Container });
        };
        // The padding is inside the last chunk, and so under its checksum: chunks are multiples of
        // the alignment.
        self.pending.resize(self.pending.len().next_multiple_of(ALIGNMENT), 0);
        if !self.pending.is_empty() {
            self.put_pending()?;
        }
        self.entries.push(Entry {
            kind: open.section.kind(),
            offset: open.offset,
            length: open.length,
            first_checksum: open.first_checksum,
        });
        Ok(())
    }

    /// Writes a section in one go.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Self::write`].
    pub fn section<T: NoUninit>(
        &mut self,
        section: Section,
        values: &[T],
    ) -> Result<(), SegmentError> {
        self.begin(section)?;
        self.write_numbers(values)?;
        self.end()
    }

    /// Writes checksums, directory and trailer, and flushes `out`. Returns the bytes of the whole
    /// segment.
    ///
    /// # Errors
    /// [`SegmentError::Io`] when `out` fails; [`SegmentError::Order`] while a section is open.
    pub fn finish(self) -> Result<u64, SegmentError> {
        if let Some(open) = self.open {
            return Err(SegmentError::Order { section: open.section });
        }
        let sections = u32::try_from(self.entries.len())
            .map_err(|_| SegmentError::TooLarge { what: "sections" })?;
        let checksums: Vec<u8> = self.checksums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let directory: Vec<u8> = self.entries.iter().flat_map(|entry| entry.encode()).collect();
        let directory_offset = self.written + (self.checksums.len() * CHECKSUM_BYTES) as u64;
        let footer_bytes = self.entries.len() * ENTRY_BYTES + TRAILER_BYTES;
        let file_bytes = directory_offset + footer_bytes as u64;
        debug_assert_eq!(padded(self.written), Some(self.written));
        let trailer =
            Trailer { checksums_offset: self.written, directory_offset, file_bytes, sections };
        self.out.write_all(&checksums)?;
        self.out.write_all(&directory)?;
        self.out.write_all(&trailer.encode(&directory))?;
        self.out.flush()?;
        Ok(file_bytes)
    }

    fn put_pending(&mut self) -> Result<(), SegmentError> {
        let pending = std::mem::take(&mut self.pending);
        let put = self.put_chunk(&pending);
        self.pending = pending;
        self.pending.clear();
        put
    }

    fn put_chunk(&mut self, chunk: &[u8]) -> Result<(), SegmentError> {
        self.checksums.push(xxh3_64(chunk));
        self.out.write_all(chunk)?;
        self.written += chunk.len() as u64;
        Ok(())
    }
}
