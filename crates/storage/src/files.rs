//! Small files of the operator's that are not data: certificates, their keys, the operator's socket.
//!
//! They are here because files belong to this crate: a file is written whole or not at all, a secret
//! is never readable by others, not even for the moment it takes to make it so, and what was written
//! is on stable storage when the call returns. All calls wait for the disk; each takes as long as
//! a few kilobytes do.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// Longest path that a Unix-domain socket can have everywhere.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// Who may read a file besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Nobody: it is a secret.
    Owner,
    /// Everybody.
    Everybody,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

/// The state of a file. A link is followed, so that exchanging the link is seen.
///
/// # Errors
/// When there is no such file.
pub fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = std::fs::metadata(path)?;
    Ok(Stamp {
        inode: found.ino(),
        modified: (found.mtime(), found.mtime_nsec()),
        bytes: found.len(),
    })
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Makes a folder that only its owner may look into, and what is missing above it.
///
/// # Errors
/// When it cannot be made.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file in place of the one that may be there.
///
/// # Errors
/// When it cannot be written; the file there before is then still there.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    // A draft that a crash left behind is nobody's.
    remove(&draft)?;
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    #[expect(clippy::disallowed_methods, reason = "this is the crate that renames, and syncs")]
    let renamed = written.and_then(|()| std::fs::rename(&draft, path));
    if renamed.is_err() {
        remove(&draft)?;
    }
    renamed?;
    File::open(folder)?.sync_all()
}

/// Removes a file; fine when there is none.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the rights of everybody but the owner away.
///
/// # Errors
/// When the file is not ours.
pub fn restrict(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// A path to a socket that is short enough for the system, which knows only about 100 bytes.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    /// Keeps the short path alive.
    _folder: Option<File>,
}

impl SocketPath {
    /// A short way to `path`. A long one goes through the open folder, as Linux allows.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn to(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = File::open(folder_of(path))?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path: short, _folder: Some(folder) })
    }

    /// The path, to be used while this lives.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    //! Goal: secrets stay secret, files are whole. Method: a folder of its own, and its modes.
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_is_read_by_whom_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        for (readers, wanted) in [(Readers::Owner, 0o600), (Readers::Everybody, 0o644)] {
            let path = inner.join("file");
            replace(&path, b"one", readers).unwrap();
            let before = stamp(&path).unwrap();
            replace(&path, b"two", readers).unwrap();
            assert_eq!((read(&path).unwrap(), mode(&path)), (b"two".to_vec(), wanted));
            assert_ne!(stamp(&path).unwrap(), before, "the change shows");
        }
        assert_eq!(inner.read_dir().unwrap().count(), 1, "no drafts are left");
        assert!(replace(&inner.join("none/file"), b"x", Readers::Owner).is_err());
        remove(&inner.join("file")).unwrap();
        remove(&inner.join("file")).unwrap();
    }

    #[test]
    fn a_socket_is_reached_in_a_deep_folder() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120));
        create_folder(&deep).unwrap();
        let path = deep.join("socket");
        let short = SocketPath::to(&path).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(short.as_path()).unwrap();
        restrict(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        std::os::unix::net::UnixStream::connect(SocketPath::to(&path).unwrap().as_path()).unwrap();
        drop(listener);
    }
}
