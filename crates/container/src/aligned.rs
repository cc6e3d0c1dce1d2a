//! Where the bytes of a segment come from.
//!
//! Sections are used in place as arrays of numbers, so the memory must be aligned. A map is; for
//! everything else there is [`AlignedBytes`], which finds the aligned start inside a larger
//! allocation and so needs no `unsafe`.

use std::fmt;

use super::layout::ALIGNMENT;

/// The bytes of a segment: a map or memory, starting at a multiple of 64.
pub trait SegmentBytes: Send + Sync + fmt::Debug {
    /// All bytes. Every call gives the same slice.
    fn bytes(&self) -> &[u8];
}

/// Bytes in memory, starting at a multiple of 64.
pub struct AlignedBytes {
    /// Never moves its content: nothing grows it.
    memory: Box<[u8]>,
    start: usize,
    length: usize,
}

impl AlignedBytes {
    /// Copies `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.bytes_mut().copy_from_slice(bytes);
        aligned
    }

    /// `length` zero bytes, to be filled through [`Self::bytes_mut`].
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        let memory = vec![0_u8; length + ALIGNMENT].into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start, length }
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

impl Clone for AlignedBytes {
    /// Not derived: a copy of the allocation would be aligned differently.
    fn clone(&self) -> Self {
        Self::copy_of(self.bytes())
    }
}

impl SegmentBytes for AlignedBytes {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBytes").field("length", &self.length).finish_non_exhaustive()
    }
}
