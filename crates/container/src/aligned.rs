//! Where the bytes of a segment come from.
//!
//! Sections are used in place as arrays of numbers, so the memory must be aligned. A map is; for
//! everything else there is [`AlignedBytes`]. Few bytes are an allocation in which it finds the aligned
//! start, so that no `unsafe` is needed. Many are pages of their own, large ones where the system has
//! them: a search touches lists all over a segment, and with small pages it waits for the page tables
//! of each (a tenth of a query's time at 1,000,000 x 384).

use std::fmt;

use memmap2::MmapMut;

use super::layout::ALIGNMENT;

/// From so many bytes on they are worth pages of their own: a large page has 2 MiB on x86-64 and most
/// of ARM, and what the last of them leaves unused should be little.
const OWN_PAGES_BYTES_MIN: usize = 16 << 20;

/// The bytes of a segment: a map or memory, starting at a multiple of 64.
pub trait SegmentBytes: Send + Sync + fmt::Debug {
    /// All bytes. Every call gives the same slice.
    fn bytes(&self) -> &[u8];
}

/// Bytes in memory, starting at a multiple of 64.
pub struct AlignedBytes {
    memory: Memory,
    length: usize,
}

enum Memory {
    /// Never moves its content: nothing grows it. The bytes start at `start`.
    Allocated {
        memory: Box<[u8]>,
        start: usize,
    },
    Pages(MmapMut),
}

impl Memory {
    fn zeroed(length: usize) -> Self {
        if length >= OWN_PAGES_BYTES_MIN
            && let Ok(pages) = MmapMut::map_anon(length)
        {
            // Where there are no large pages, small ones do.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            debug_assert_eq!(pages.as_ptr().align_offset(ALIGNMENT), 0, "pages are aligned");
            return Self::Pages(pages);
        }
        let memory = vec![0_u8; length + ALIGNMENT].into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self::Allocated { memory, start }
    }
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
        Self { memory: Memory::zeroed(length), length }
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Allocated { memory, start } => &mut memory[*start..*start + self.length],
            Memory::Pages(pages) => pages,
        }
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
        match &self.memory {
            Memory::Allocated { memory, start } => &memory[*start..*start + self.length],
            Memory::Pages(pages) => pages,
        }
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBytes").field("length", &self.length).finish_non_exhaustive()
    }
}
