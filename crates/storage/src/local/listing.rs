//! Lists the objects of a folder, folder by folder, a batch at a time.
//!
//! A database is listed several times before it opens, and a busy one has thousands of objects: what
//! counts is how often the system is asked about each. INVARIANT: once, and not at all for an object up
//! to the offset; whether something is a folder comes with its name. `LocalFileSystem`, which lists the
//! same, asks three times, and was a fifth of the time until the first answer of a large index.
//!
//! What goes while it is listed is left out, what comes may be: as with any object store.
#![expect(clippy::result_large_err, reason = "the error is object_store's, whose trait we serve")]

use std::fs::{DirEntry, FileType, Metadata, ReadDir};
use std::io;
use std::path::PathBuf;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, Result};

use super::changes::{blocking, read_error};
use super::etag;

/// Objects that one turn on a thread for blocking work looks at: thousands take some milliseconds.
const BATCH: usize = 1024;

/// A folder, and the name that everything in it begins with.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    name: String,
}

/// A walk through a folder and those below it.
#[derive(Debug)]
pub(super) struct Listing {
    /// Folders that are still to be read.
    waiting: Vec<Folder>,
    reading: Option<(ReadDir, Folder)>,
    /// Only what comes after it is listed.
    offset: Option<Path>,
    /// Names in the uppermost folder that are not for others.
    hidden: fn(&Path) -> bool,
}

impl Listing {
    /// Everything at and below a prefix of the store whose folder is `root`.
    pub(super) fn of(
        root: &std::path::Path,
        prefix: Option<&Path>,
        offset: Option<&Path>,
        hidden: fn(&Path) -> bool,
    ) -> Self {
        let name = prefix.map(|prefix| prefix.as_ref().to_owned()).unwrap_or_default();
        let path = if name.is_empty() { root.to_owned() } else { root.join(&name) };
        let waiting = vec![Folder { path, name }];
        Self { waiting, reading: None, offset: offset.cloned(), hidden }
    }

    /// The objects, in no order.
    pub(super) fn stream(self) -> BoxStream<'static, Result<ObjectMeta>> {
        let batches = futures::stream::try_unfold(self, |mut listing| async move {
            let (batch, listing) = blocking(move || Ok((listing.batch()?, listing))).await?;
            let found = (!batch.is_empty()).then_some((batch, listing));
            let found =
                found.map(|(batch, listing)| (futures::stream::iter(batch).map(Ok), listing));
            Ok::<_, Error>(found)
        });
        batches.try_flatten().boxed()
    }

    /// The next objects; none at the end.
    fn batch(&mut self) -> Result<Vec<ObjectMeta>> {
        let mut found = Vec::new();
        while found.len() < BATCH {
            let Some((entries, folder)) = &mut self.reading else {
                let Some(folder) = self.waiting.pop() else { break };
                match std::fs::read_dir(&folder.path) {
                    Ok(entries) => self.reading = Some((entries, folder)),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(read_error(&folder.path, error)),
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                self.reading = None;
                continue;
            };
            let entry = entry.map_err(|error| read_error(&folder.path, error))?;
            let Some(location) = named(&folder.name, &entry) else { continue };
            if (self.hidden)(&location) {
                continue;
            }
            let looked = look(&entry, &location, self.offset.as_ref());
            match looked.map_err(|error| read_error(&entry.path(), error))? {
                Some(Found::Folder) => {
                    let name = location.as_ref().to_owned();
                    self.waiting.push(Folder { path: entry.path(), name });
                }
                Some(Found::Object(metadata)) => found.push(object(location, &metadata)?),
                None => {}
            }
        }
        Ok(found)
    }
}

enum Found {
    Folder,
    Object(Metadata),
}

/// What an entry is; nothing when it is gone, no file, or not after the offset.
fn look(entry: &DirEntry, location: &Path, offset: Option<&Path>) -> io::Result<Option<Found>> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        return Ok(Some(Found::Folder));
    }
    let is_before = offset.is_some_and(|offset| location <= offset);
    if !kind.is_symlink() && (is_before || is_staged(location)) {
        return Ok(None);
    }
    let metadata = match metadata(entry, kind) {
        Ok(metadata) => metadata,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        return Ok(Some(Found::Folder));
    }
    let is_listed = metadata.is_file() && !is_before && !is_staged(location);
    Ok(is_listed.then_some(Found::Object(metadata)))
}

/// Whether a name has an end that `LocalFileSystem` keeps for what it has not finished.
fn is_staged(location: &Path) -> bool {
    let end = location.filename().and_then(|name| name.split_once('#'));
    end.is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|letter| letter.is_ascii_digit()))
}

fn metadata(entry: &DirEntry, kind: FileType) -> io::Result<Metadata> {
    if kind.is_symlink() { std::fs::metadata(entry.path()) } else { entry.metadata() }
}

/// The name of an entry in the store; none for what can be no object.
fn named(folder: &str, entry: &DirEntry) -> Option<Path> {
    let name = entry.file_name();
    let name = name.to_str()?;
    let location = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    Path::parse(location).ok()
}

fn object(location: Path, metadata: &Metadata) -> Result<ObjectMeta> {
    let modified = metadata.modified();
    let modified = modified.map_err(|error| read_error(location.as_ref().as_ref(), error))?;
    let size = metadata.len();
    // A listing does not read objects, so it has no tag for small ones. `head` has.
    let e_tag = (!etag::is_small(size)).then(|| etag::of_file(metadata));
    Ok(ObjectMeta { location, last_modified: modified.into(), size, e_tag, version: None })
}

/// Also when a folder was exchanged for a file.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
