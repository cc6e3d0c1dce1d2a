//! The data folder: whose it is, and on what kind of file system.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lodgepole_types::Timestamp;

use super::report::Check;

/// What is told about a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    user: u32,
    mode: u32,
}

/// Whose a folder is.
///
/// # Errors
/// When it is not there, or cannot be looked at.
pub(super) fn owner(data_dir: &Path) -> io::Result<Owner> {
    let found = std::fs::metadata(data_dir)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(Owner { user: found.uid(), mode: found.mode() & 0o7777 })
}

impl Owner {
    /// Whether files that this process makes would belong to somebody else than the folder.
    pub(super) fn is_other(self, user: u32) -> bool {
        self.user != user
    }
}

/// The user that this process runs as.
pub(super) fn own_user() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

/// Judges who may do what in a data folder. `user` is who runs the doctor; a server that runs has
/// shown that it can use the folder.
pub(super) fn judge(
    data_dir: &Path,
    found: io::Result<Owner>,
    user: u32,
    is_served: bool,
) -> Check {
    const NAME: &str = "folder";
    let shown = data_dir.display();
    let Owner { user: owner, mode } = match found {
        Ok(owner) => owner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Check::warn(
                NAME,
                format!("{shown} does not exist"),
                "a server makes it on its first start; if there should be data, name its folder with \
                 --data-dir",
            );
        }
        Err(error) => {
            let advice = "name another folder with --data-dir, or see to its rights";
            return Check::fail(NAME, format!("{shown} cannot be used: {error}"), advice);
        }
    };
    let found = format!("{shown}, of user {owner}, mode {mode:03o}");
    if mode & 0o077 != 0 {
        let advice = format!("others than its owner may look into it: chmod 700 {shown}");
        return Check::warn(NAME, found, advice);
    }
    if owner != user && !is_served {
        let advice = format!(
            "you are user {user}: what you open as another user the server could not write to any \
             more, so the data was not opened. Run the doctor as user {owner} (sudo -u '#{owner}')"
        );
        return Check::warn(NAME, found, advice);
    }
    Check::ok(NAME, found)
}

/// Looks up what a folder is mounted from.
pub(super) fn file_system(data_dir: &Path) -> Check {
    let folder = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    // `/proc` is Linux's; elsewhere nothing is known.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    judge_mount(mount_of(&mounts, &folder).as_ref())
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    kind: String,
    options: String,
}

/// The mount that a folder is on: the longest point above it, and of those the last.
fn mount_of(mounts: &str, folder: &Path) -> Option<Mount> {
    mounts
        .lines()
        .filter_map(mount)
        .filter(|mount| folder.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.as_os_str().len())
}

fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(4);
    let point = before.next()?;
    // The kernel writes a space as \040; other letters of that kind are in no path of ours.
    let point = PathBuf::from(point.replace("\\040", " "));
    let mut after = after.split(' ');
    let (kind, _source) = (after.next()?, after.next()?);
    let options = format!("{},{}", before.next()?, after.next().unwrap_or_default());
    Some(Mount { point, kind: kind.to_owned(), options })
}

fn judge_mount(mount: Option<&Mount>) -> Check {
    const NAME: &str = "file system";
    let Some(Mount { point, kind, options }) = mount else {
        return Check::ok(NAME, "the system does not tell what kind it is");
    };
    let found = format!("{kind}, mounted on {}", point.display());
    let why = match kind.as_str() {
        "tmpfs" | "ramfs" => {
            "it is memory: everything is gone after a restart of the machine. Put the data folder on a \
             disk"
        }
        "overlay" | "aufs" => {
            "it is the layer of a container, and goes with the container. Mount a volume and put the \
             data folder there"
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "9p" | "ceph" | "glusterfs" | "afs" => {
            "it is over the network: whether a sync keeps anything, and a lock keeps a second server \
             out, is up to the other side. Put the data folder on a local disk"
        }
        kind if kind.starts_with("fuse") || kind == "virtiofs" || kind == "vboxsf" => {
            "a program or another system stands between: whether a sync keeps anything is up to it. \
             Put the data folder on a local disk"
        }
        _ if has(options, "nobarrier") || has(options, "barrier=0") => {
            "it is mounted without barriers: after a power cut, writes that were acknowledged may be \
             gone. Mount it without that option"
        }
        _ => return Check::ok(NAME, found),
    };
    Check::warn(NAME, found, why)
}

fn has(options: &str, option: &str) -> bool {
    options.split(',').any(|one| one == option)
}

/// What the files of a data folder tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Files of segments, each of which a server maps into memory.
    pub(super) segments: u64,
    /// Their bytes.
    pub(super) segment_bytes: u64,
    /// When the newest file was written.
    pub(super) newest: Option<Timestamp>,
}

impl Files {
    /// Looks at every file below a folder; what goes or cannot be read meanwhile is left out.
    pub(super) fn below(folder: &Path) -> Self {
        let mut files = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let is_segments = folder.file_name().is_some_and(|name| name == "seg");
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(found) = entry.metadata() else { continue };
                if found.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                if is_segments {
                    files.segments += 1;
                    files.segment_bytes += found.len();
                }
                let written = found
                    .mtime()
                    .saturating_mul(1_000)
                    .saturating_add(found.mtime_nsec() / 1_000_000);
                files.newest = files.newest.max(Some(Timestamp(written)));
            }
        }
        files
    }
}

#[cfg(test)]
mod tests;
