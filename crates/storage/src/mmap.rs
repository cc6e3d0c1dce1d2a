//! Files as memory. The only `unsafe` of this crate.
//!
//! INVARIANT: only files that nobody changes are mapped. A blob is filled under another name and
//! renamed into place when it is whole; afterwards it is only read, or removed, which leaves a map
//! of it intact. The folder is locked, so no other process of ours writes there. What remains is a
//! disk that fails to read a page: the operating system then ends the process, which starts again
//! and reads the records; a file that somebody else cuts short ends it too.
#![allow(unsafe_code, reason = "mapping is unsafe; see the invariant above")]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};

/// How a part of a blob is going to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Soon, and all of it: it is fetched ahead.
    WillNeed,
    /// Here and there: nothing is fetched ahead.
    Random,
}

/// A whole file, mapped read-only. Starts at a page, so at a multiple of 64 too.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps a file that will not change.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len())
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // SAFETY: the file is whole and is never written again (invariant of this module), and
        // the length is the file's own.
        let map = unsafe { MmapOptions::new().len(length).map(file)? };
        Ok(Self(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Passes advice on. The range is cut to the file.
    pub(crate) fn advise(&self, range: Range<usize>, advice: Advice) -> io::Result<()> {
        let end = range.end.min(self.0.len());
        if range.start >= end {
            return Ok(());
        }
        let advice = match advice {
            Advice::WillNeed => memmap2::Advice::WillNeed,
            Advice::Random => memmap2::Advice::Random,
        };
        self.0.advise_range(advice, range.start, end - range.start)
    }
}
