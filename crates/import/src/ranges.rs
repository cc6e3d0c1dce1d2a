//! Bytes of a file, range by range, with read-ahead.
//!
//! The Parquet reader asks for pages of a few kilobytes from several columns in turn. A bucket
//! answers each request in tens of milliseconds whatever its size, so requests are served from
//! blocks, of which the ones used last are kept: one for each column that is being read, and some.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// What one request to the source fetches.
const BLOCK_BYTES: u64 = 4 << 20;
/// Blocks kept: five columns, the footer, and room for pages that lie across two.
const BLOCKS_MAX: usize = 8;

/// A file whose bytes can be read in any order.
pub trait Ranges: fmt::Debug + Send + Sync {
    /// Length of the file.
    fn bytes(&self) -> u64;

    /// Reads exactly `length` bytes from `start`; the range lies inside the file.
    ///
    /// # Errors
    /// When the source fails, or no longer holds the file as it was when the import began.
    fn read(&self, start: u64, length: usize) -> io::Result<Bytes>;
}

/// [`Ranges`] as the Parquet reader wants them. Cloning shares blocks.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Box<dyn Ranges>,
    bytes: u64,
    /// Number and content of the blocks at hand, the one used last at the back.
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
    /// The failure of the source, which the Parquet reader would turn into text.
    failure: Mutex<Option<io::Error>>,
}

impl Blocks {
    pub(crate) fn new(source: Box<dyn Ranges>) -> Self {
        let bytes = source.bytes();
        let (blocks, failure) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { source, bytes, blocks, failure }) }
    }

    /// Takes the failure of the source out, if there was one.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.shared.failure.lock().take()
    }

    fn block(&self, number: u64) -> io::Result<Bytes> {
        let mut blocks = self.shared.blocks.lock();
        if let Some(place) = blocks.iter().position(|(other, _)| *other == number) {
            let found = blocks.remove(place);
            let block = found.map(|(_, block)| block).unwrap_or_default();
            blocks.push_back((number, block.clone()));
            return Ok(block);
        }
        let start = number.saturating_mul(BLOCK_BYTES);
        let length = BLOCK_BYTES.min(self.shared.bytes.saturating_sub(start));
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let read = self.shared.source.read(start, length);
        let block = match read {
            Ok(block) if block.len() == length => block,
            Ok(_) => return Err(self.note(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Err(self.note(error)),
        };
        if blocks.len() >= BLOCKS_MAX {
            blocks.pop_front();
        }
        blocks.push_back((number, block.clone()));
        Ok(block)
    }

    /// Keeps the failure and gives a copy of it away.
    fn note(&self, error: io::Error) -> io::Error {
        let copy = io::Error::new(error.kind(), error.to_string());
        *self.shared.failure.lock() = Some(error);
        copy
    }

    /// From `start` to the end of its block; empty at the end of the file.
    fn rest_of_block(&self, start: u64) -> io::Result<Bytes> {
        if start >= self.shared.bytes {
            return Ok(Bytes::new());
        }
        let mut block = self.block(start / BLOCK_BYTES)?;
        let inside = usize::try_from(start % BLOCK_BYTES).map_err(io::Error::other)?;
        block.advance(inside.min(block.len()));
        Ok(block)
    }
}

impl Length for Blocks {
    fn len(&self) -> u64 {
        self.shared.bytes
    }
}

impl ChunkReader for Blocks {
    type T = Sequence;

    fn get_read(&self, start: u64) -> Result<Sequence> {
        Ok(Sequence { blocks: self.clone(), place: start, at_hand: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let inside = u64::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length))
            .is_some_and(|end| end <= self.shared.bytes);
        if !inside {
            return Err(ParquetError::EOF("a range behind the end of the file".to_owned()));
        }
        let first = self.rest_of_block(start)?;
        if first.len() >= length {
            return Ok(first.slice(..length));
        }
        let mut whole = BytesMut::with_capacity(length);
        whole.extend_from_slice(&first);
        let mut place = start;
        while whole.len() < length {
            place = (place / BLOCK_BYTES + 1).saturating_mul(BLOCK_BYTES);
            let block = self.rest_of_block(place)?;
            let take = block.len().min(length - whole.len());
            whole.extend_from_slice(&block[..take]);
        }
        Ok(whole.freeze())
    }
}

/// Reads on from a place.
#[derive(Debug)]
pub(crate) struct Sequence {
    blocks: Blocks,
    place: u64,
    at_hand: Bytes,
}

impl Read for Sequence {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at_hand.is_empty() {
            self.at_hand = self.blocks.rest_of_block(self.place)?;
            self.place += u64::try_from(self.at_hand.len()).unwrap_or(u64::MAX);
        }
        let take = buffer.len().min(self.at_hand.len());
        self.at_hand.copy_to_slice(&mut buffer[..take]);
        Ok(take)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every range reads the file's bytes; failures are told apart. Method: a file of three
    //! blocks against slices of it, and a source that fails.
    use super::*;

    #[derive(Debug)]
    struct Whole(Bytes);

    impl Ranges for Whole {
        fn bytes(&self) -> u64 {
            self.0.len().try_into().unwrap()
        }
        fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
            let start = usize::try_from(start).unwrap();
            Ok(self.0.slice(start..start + length))
        }
    }

    #[derive(Debug)]
    struct Broken;

    impl Ranges for Broken {
        fn bytes(&self) -> u64 {
            100
        }
        fn read(&self, _: u64, _: usize) -> io::Result<Bytes> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    #[test]
    fn ranges_across_blocks_read_what_is_there() {
        let block = usize::try_from(BLOCK_BYTES).unwrap();
        let file: Bytes =
            (0..2 * block + 777).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect();
        let blocks = Blocks::new(Box::new(Whole(file.clone())));
        for (start, length) in
            [(0, 10), (block - 3, 10), (5, 2 * block), (0, file.len()), (file.len(), 0)]
        {
            let read = blocks.get_bytes(start.try_into().unwrap(), length).unwrap();
            assert_eq!(read, file.slice(start..start + length));
        }
        assert!(blocks.get_bytes(1, file.len()).is_err());
        assert!(blocks.get_bytes(u64::MAX, 2).is_err());
        let mut rest = Vec::new();
        blocks.get_read(block as u64 - 1).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, file.slice(block - 1..));
        assert!(blocks.take_failure().is_none());
    }

    #[test]
    fn a_failure_of_the_source_is_kept() {
        let blocks = Blocks::new(Box::new(Broken));
        assert!(blocks.get_bytes(0, 8).is_err());
        assert_eq!(blocks.take_failure().unwrap().kind(), io::ErrorKind::TimedOut);
    }
}
