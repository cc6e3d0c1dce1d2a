//! Every change of an object, as steps of the [`Disk`].
//!
//! INVARIANT: whatever replaces or removes a name holds it (see [`Disk::hold`]) from the moment it
//! looks at the object there until its own is published; creating a name needs no hold, because the
//! system's link refuses to replace. All of it blocks.
#![expect(clippy::result_large_err, reason = "the error is object_store's, whose trait we serve")]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use object_store::{Error, PutPayload, Result};

use super::disk::{Disk, PublishError, Staged};
use super::error::{DiskError, STORE};
use super::etag;
use super::options::DiskStep;

/// Runs `work` on a blocking thread. It runs to its end even when the caller stops waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Writes the payload into a synced staging file.
pub(super) fn stage(disk: &Disk, payload: &PutPayload) -> Result<Staged> {
    disk.healthy()?;
    disk.space.check_put(payload.content_length() as u64)?;
    let staged = disk.stage()?;
    let write = || payload.iter().try_for_each(|piece| (&staged.file).write_all(piece));
    disk.write(&staged.path, write)?;
    disk.sync_file(&staged)?;
    Ok(staged)
}

/// Gives a filled and synced staging file the name `target`, unless something has it.
pub(super) fn finish_create(disk: &Disk, staged: &Staged, target: &Path) -> Result<()> {
    disk.publish(target, || std::fs::hard_link(&staged.path, target))
        .map_err(|error| object_error(error, target, &staged.path))
}

/// Puts a filled and synced staging file in the place of `target`.
pub(super) fn finish_replace(disk: &Disk, staged: &Staged, target: &Path) -> Result<()> {
    let _held = disk.hold(target, target);
    disk.publish(target, || rename(&staged.path, target))
        .map_err(|error| object_error(error, target, &staged.path))
}

/// Puts a filled and synced staging file in the place of `target`, if the tag of what is there is
/// `wanted`.
pub(super) fn finish_update(
    disk: &Disk,
    staged: &Staged,
    target: &Path,
    wanted: Option<&str>,
) -> Result<()> {
    let _held = disk.hold(target, target);
    let path = target.display().to_string();
    let changed = |why: &str| Error::Precondition { path: path.clone(), source: why.into() };
    let file = match File::open(target) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => {
            return Err(changed("the object is gone"));
        }
        Err(error) => return Err(read_error(target, error)),
    };
    let length = file.metadata().map_err(|error| read_error(target, error))?.len();
    let staged_length =
        staged.file.metadata().map_err(|error| read_error(&staged.path, error))?.len();
    if !etag::is_small(length.max(staged_length)) {
        let limit = etag::UPDATE_BYTES_MAX;
        let why = format!("only objects of up to {limit} bytes can be updated in place");
        return Err(Error::NotSupported { source: why.into() });
    }
    let content = etag::read_small(&file).map_err(|error| read_error(target, error))?;
    if wanted != Some(etag::of_content(&content).as_str()) {
        return Err(changed("the object has changed"));
    }
    disk.publish(target, || rename(&staged.path, target))
        .map_err(|error| object_error(error, target, &staged.path))
}

/// A copy is a second name of the same file: objects are never written in place.
pub(super) fn link(disk: &Disk, from: &Path, to: &Path) -> Result<()> {
    disk.publish(to, || std::fs::hard_link(from, to)).map_err(|error| object_error(error, to, from))
}

/// A copy in the place of whatever has the name.
pub(super) fn link_over(disk: &Disk, from: &Path, to: &Path) -> Result<()> {
    disk.healthy()?;
    let file = File::open(from).map_err(|error| {
        if is_missing(&error) { not_found(from, error) } else { read_error(from, error) }
    })?;
    let staged = Staged { file, path: disk.next_staging_path() };
    std::fs::hard_link(from, &staged.path)
        .map_err(|error| DiskError::step(DiskStep::Stage, &staged.path, error))?;
    // When both are the same file already, the rename changes nothing, and `staged` drops its name.
    finish_replace(disk, &staged, to)
}

/// Gives an object another name, in place of whatever has it.
pub(super) fn rename_over(disk: &Disk, from: &Path, to: &Path) -> Result<()> {
    let _held = disk.hold(from, to);
    disk.publish(to, || rename(from, to)).map_err(|error| object_error(error, to, from))?;
    // Between two names of one file (a copy and its source) the rename changes nothing.
    if from != to && from.exists() {
        remove(disk, from)?;
    }
    sync_folder_of(disk, from)
}

/// Gives an object another name, unless something has it.
pub(super) fn rename_new(disk: &Disk, from: &Path, to: &Path) -> Result<()> {
    link(disk, from, to)?;
    delete(disk, from)?;
    sync_folder_of(disk, from)
}

/// Makes a rename's old name stay gone.
fn sync_folder_of(disk: &Disk, path: &Path) -> Result<()> {
    Ok(disk.sync_folder(path.parent().unwrap_or(&disk.root))?)
}

/// Removes an object.
pub(super) fn delete(disk: &Disk, target: &Path) -> Result<()> {
    disk.healthy()?;
    let _held = disk.hold(target, target);
    remove(disk, target)
}

fn remove(disk: &Disk, target: &Path) -> Result<()> {
    disk.remove(target).map_err(|error| {
        if is_missing(&error) {
            return not_found(target, error);
        }
        DiskError::step(DiskStep::Remove, target, error).into()
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that renames; its callers sync")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

fn object_error(error: PublishError, target: &Path, from: &Path) -> Error {
    match error {
        PublishError::Exists(source) => {
            Error::AlreadyExists { path: target.display().to_string(), source: source.into() }
        }
        PublishError::NotFound(source) => not_found(from, source),
        PublishError::Disk(error) => error.into(),
    }
}

fn not_found(path: &Path, source: io::Error) -> Error {
    Error::NotFound { path: path.display().to_string(), source: source.into() }
}

pub(super) fn read_error(path: &Path, source: io::Error) -> Error {
    let failed = ReadFailed { path: path.to_path_buf(), source };
    Error::Generic { store: STORE, source: Box::new(failed) }
}

#[derive(Debug, thiserror::Error)]
#[error("could not read {}", path.display())]
struct ReadFailed {
    path: PathBuf,
    source: io::Error,
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
