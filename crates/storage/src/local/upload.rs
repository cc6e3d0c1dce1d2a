//! An object that arrives in parts.
//!
//! The parts are written into one staging file at their offsets, in any order, and the file is
//! published as a whole. INVARIANT: an upload of which a part is missing cannot be completed.
#![expect(clippy::result_large_err, reason = "the error is object_store's, whose trait we serve")]

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::changes::{blocking, finish_replace};
use super::disk::{Disk, Staged};
use super::error::final_error;
use super::etag;

/// One upload.
#[derive(Debug)]
pub(super) struct LocalUpload {
    disk: Arc<Disk>,
    target: PathBuf,
    /// `None` once completed or given up.
    staged: Option<Arc<Staged>>,
    /// Where the next part goes: the bytes handed in so far.
    offset: u64,
    /// The bytes on the disk so far.
    written: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error("the upload was already completed or given up")]
    Ended,
    #[error("{missing} bytes of the upload are missing; a part failed or was not awaited")]
    Incomplete { missing: u64 },
}

impl LocalUpload {
    pub(super) fn new(disk: Arc<Disk>, target: PathBuf, staged: Staged) -> Self {
        let written = Arc::new(AtomicU64::new(0));
        Self { disk, target, staged: Some(Arc::new(staged)), offset: 0, written }
    }
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(staged) = self.staged.clone() else {
            return Box::pin(async { Err(final_error(UploadError::Ended)) });
        };
        let length = data.content_length() as u64;
        let start = self.offset;
        self.offset += length;
        let disk = Arc::clone(&self.disk);
        let written = Arc::clone(&self.written);
        Box::pin(blocking(move || {
            disk.healthy()?;
            disk.space.check_put(length)?;
            disk.write(&staged.path, || write_at(&staged, &data, start))?;
            written.fetch_add(length, Ordering::AcqRel);
            Ok(())
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.take().ok_or_else(|| final_error(UploadError::Ended))?;
        self.disk.healthy()?;
        let missing = self.offset.saturating_sub(self.written.load(Ordering::Acquire));
        if missing > 0 {
            return Err(final_error(UploadError::Incomplete { missing }));
        }
        let disk = Arc::clone(&self.disk);
        let target = self.target.clone();
        blocking(move || {
            disk.sync_file(&staged)?;
            finish_replace(&disk, &staged, &target)?;
            let e_tag = etag::of(&staged.file).ok();
            Ok(PutResult { e_tag, version: None, extensions: Default::default() })
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.take().ok_or_else(|| final_error(UploadError::Ended))?;
        blocking(move || {
            drop(staged);
            Ok(())
        })
        .await
    }
}

fn write_at(staged: &Staged, data: &PutPayload, start: u64) -> io::Result<()> {
    let mut offset = start;
    for piece in data {
        staged.file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
