//! The root of a store: made for good, and rid of what a crash left.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::options::SyncMode;

/// Nobody but the owner may read a data directory.
const ROOT_MODE: u32 = 0o700;

/// Makes the root and everything above it, for good.
pub(super) fn create(root: &Path, sync: SyncMode) -> io::Result<()> {
    let root = std::path::absolute(root)?;
    let missing: BTreeSet<&Path> = root.ancestors().filter(|step| !step.exists()).collect();
    DirBuilder::new().recursive(true).mode(ROOT_MODE).create(&root)?;
    if sync != SyncMode::SkipFolder {
        for parent in missing.iter().filter_map(|step| step.parent()) {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

/// Empties the staging folder: nothing in it was ever acknowledged.
pub(super) fn sweep(staging: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(ROOT_MODE).create(staging)?;
    let mut count = 0_u64;
    for entry in std::fs::read_dir(staging)? {
        std::fs::remove_file(entry?.path())?;
        count += 1;
    }
    if count > 0 {
        tracing::info!(count, "swept files of writes that a crash cut short");
    }
    Ok(())
}
