//! Sources on the disk of this machine.
//!
//! What the operator allows is checked twice: by the text of the URI, so that a request is refused
//! at once, and by the real path of everything that is opened, so that a link cannot lead out.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::{SourceError, SourceFile, changed, is_wanted};

/// Folders inside folders, at most: links can make circles.
const DEPTH_MAX: usize = 16;

/// A folder that the operator allows, or one below it.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    allowed: Vec<PathBuf>,
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    listed: SourceFile,
}

impl Folder {
    /// Reads what follows `file://`.
    pub(super) fn find(rest: &str, allowed: &[PathBuf]) -> Result<Self, SourceError> {
        let refuse = |text: String| Err(SourceError::Refused(text));
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') {
            return refuse("A file:// URI has three slashes: file:///folder/of/imports".to_owned());
        }
        let Some(path) = decode(path) else {
            return refuse("The path of the file:// URI is not valid".to_owned());
        };
        let path = PathBuf::from(path);
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return refuse("The path of a file:// URI must not contain '..'".to_owned());
        }
        if allowed.is_empty() {
            return refuse(
                "Imports from file:// are not allowed on this server. Its operator can allow \
                 folders with the setting import_dirs"
                    .to_owned(),
            );
        }
        if !allowed.iter().any(|folder| path.starts_with(folder)) {
            return refuse(format!(
                "'{}' is in none of the folders that the operator of this server allows for \
                 imports (setting import_dirs)",
                path.display()
            ));
        }
        Ok(Self { path, allowed: allowed.to_vec() })
    }

    pub(super) fn list(&self, files_max: usize) -> Result<Vec<SourceFile>, SourceError> {
        let mut found = Found { files: Vec::new(), files_max, allowed: self.real_allowed() };
        found.folder(&self.path, "", 0)?;
        Ok(found.files)
    }

    pub(super) fn open(&self, listed: &SourceFile) -> io::Result<OpenFile> {
        let path = self.path.join(&listed.path);
        // WHY after listing checked it: a link may have been put there since.
        let real = fs::canonicalize(&path)?;
        if !self.real_allowed().iter().any(|folder| real.starts_with(folder)) {
            return Err(changed(&listed.path));
        }
        let file = File::open(&real)?;
        if version(&file.metadata()?) != listed.version {
            return Err(changed(&listed.path));
        }
        Ok(OpenFile { file, listed: listed.clone() })
    }

    fn real_allowed(&self) -> Vec<PathBuf> {
        self.allowed.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect()
    }
}

impl OpenFile {
    pub(super) fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let mut buffer = BytesMut::zeroed(length);
        self.file.read_exact_at(&mut buffer, start)?;
        // Whoever writes into the file moves its time.
        if version(&self.file.metadata()?) != self.listed.version {
            return Err(changed(&self.listed.path));
        }
        Ok(buffer.freeze())
    }
}

/// A walk through a folder.
struct Found {
    files: Vec<SourceFile>,
    files_max: usize,
    allowed: Vec<PathBuf>,
}

impl Found {
    fn folder(&mut self, folder: &Path, path: &str, depth: usize) -> Result<(), SourceError> {
        let failed = |error| unreadable(folder, error);
        self.check(folder)?;
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, place) = (entry.file_name(), entry.path());
            // Names that are no text cannot be namespaces.
            let Some(name) = name.to_str() else { continue };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            // Follows links; one that leads nowhere is passed over.
            let Ok(metadata) = fs::metadata(&place) else { continue };
            if metadata.is_dir() && depth < DEPTH_MAX {
                self.folder(&place, &path, depth + 1)?;
            } else if metadata.is_file() && is_wanted(name) {
                self.check(&place)?;
                if self.files.len() == self.files_max {
                    return Err(SourceError::TooManyFiles(self.files_max));
                }
                let (bytes, version) = (metadata.len(), version(&metadata));
                self.files.push(SourceFile { path, bytes, version });
            }
        }
        Ok(())
    }

    /// Refuses what is really elsewhere.
    fn check(&self, place: &Path) -> Result<(), SourceError> {
        let real = fs::canonicalize(place).map_err(|error| unreadable(place, error))?;
        if self.allowed.iter().any(|folder| real.starts_with(folder)) {
            return Ok(());
        }
        Err(SourceError::Refused(format!(
            "'{}' is a link out of the folders that the operator of this server allows for \
             imports (setting import_dirs)",
            place.display()
        )))
    }
}

fn unreadable(place: &Path, error: io::Error) -> SourceError {
    SourceError::unreachable(format!("'{}' cannot be read: {error}", place.display()), error)
}

/// Changes when the file is written to or replaced.
fn version(metadata: &Metadata) -> String {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    format!("{}-{}-{seconds}.{nanoseconds}", metadata.ino(), metadata.len())
}

/// Undoes percent-encoding; `None` when the result is no text, or holds a NUL.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let code = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(code).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}
