//! Reads the files of a plan on a thread of its own, one batch ahead of the writer.
//!
//! A channel with room for one batch keeps memory bounded and both sides at work. The thread ends
//! when its receiver is gone.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use lodgepole_import::{Batch, FileError, ParquetFile, Ranges, Shape};
use lodgepole_storage::{Source, SourceReader};
use lodgepole_types::Limits;
use tokio::sync::mpsc;

use super::note::Note;
use super::plan::Plan;

/// Batches that wait for the writer.
const BATCHES_AHEAD: usize = 1;

/// What to read.
#[derive(Debug)]
pub(super) struct Decode {
    pub(super) source: Source,
    pub(super) plan: Arc<Plan>,
    pub(super) from: Note,
    pub(super) shape: Shape,
    pub(super) limits: Limits,
}

/// Rows of a file.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The file, by its number in the plan.
    pub(super) file: usize,
    /// The rows; absent at the end of the file.
    pub(super) batch: Option<Batch>,
    /// Rows of the whole file.
    pub(super) file_rows: u64,
}

/// Why a file cannot be read on.
#[derive(Debug)]
pub(super) struct DecodeError {
    /// The file, by its number in the plan.
    pub(super) file: usize,
    pub(super) error: FileError,
}

pub(super) type Received = Result<Decoded, DecodeError>;

#[derive(Debug)]
struct SourceRanges(SourceReader);

impl Ranges for SourceRanges {
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        self.0.read(start, length)
    }
}

impl Decode {
    /// Begins to read. The channel closes after the last file, after an error, and when the thread
    /// panics; it ends in the middle of a file only in the last case.
    pub(super) fn start(self) -> mpsc::Receiver<Received> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        tokio::task::spawn_blocking(move || self.run(&sender));
        receiver
    }

    fn run(&self, sender: &mpsc::Sender<Received>) {
        for file in self.from.file..self.plan.files.len() {
            let row = if file == self.from.file { self.from.row } else { 0 };
            match self.file(file, row, sender) {
                Ok(Asked::More) => {}
                Ok(Asked::NoMore) => return,
                Err(error) => {
                    // Nobody to tell is as good as told.
                    let _told = sender.blocking_send(Err(DecodeError { file, error }));
                    return;
                }
            }
        }
    }

    fn file(
        &self,
        file: usize,
        row: u64,
        sender: &mpsc::Sender<Received>,
    ) -> Result<Asked, FileError> {
        let Some(planned) = self.plan.files.get(file) else { return Ok(Asked::More) };
        let reader = self.source.open(&planned.file).map_err(FileError::Unreadable)?;
        let ranges = Box::new(SourceRanges(reader));
        let mut parquet = ParquetFile::open(ranges, self.shape, &self.limits)?;
        parquet.skip_to(row)?;
        let file_rows = parquet.row_count();
        loop {
            let batch = parquet.next_batch()?;
            let is_end = batch.is_none();
            let decoded = Decoded { file, batch, file_rows };
            if sender.blocking_send(Ok(decoded)).is_err() {
                return Ok(Asked::NoMore);
            }
            if is_end {
                return Ok(Asked::More);
            }
        }
    }
}

/// Whether anybody wants more.
enum Asked {
    More,
    NoMore,
}
