//! What a disk holds after the power went: all that was synced, and of the rest what the seed draws.
//!
//! INVARIANT: an image holds nothing that was never written, but for zeros where sectors of a file were lost.

use std::io;
use std::path::Path;

use lodgepole_types::{Rng as _, SeededRng};

use super::platter::{Entry, Platter, State};

/// A disk writes so many bytes at once, or none of them.
const SECTOR_BYTES: usize = 512;

/// Counts of one image.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    /// Changes of names that were not synced.
    pub(super) unsynced: u64,
    /// How many of those were kept.
    pub(super) kept: u64,
    /// Files of which a part was not synced.
    pub(super) torn_files: u64,
}

/// How much of what was not synced is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    None,
    All,
    Half,
}

struct Draw<'a> {
    platter: &'a Platter,
    rng: &'a SeededRng,
    luck: Luck,
    counts: Kept,
}

impl Platter {
    /// Makes an image in an empty folder.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub(super) fn image(&self, to: &Path, rng: &SeededRng) -> io::Result<Kept> {
        let luck = [Luck::None, Luck::All, Luck::Half, Luck::Half]
            .get(usize::try_from(rng.next_u64() % 4).unwrap_or(0))
            .copied()
            .unwrap_or(Luck::Half);
        let mut draw = Draw { platter: self, rng, luck, counts: Kept::default() };
        let state = self.state.lock();
        draw.folder(&state, self.root(), to)?;
        Ok(draw.counts)
    }
}

impl Draw<'_> {
    fn keeps(&self) -> bool {
        match self.luck {
            Luck::None => false,
            Luck::All => true,
            Luck::Half => self.rng.next_u64().is_multiple_of(2),
        }
    }

    fn folder(&mut self, state: &State, from: &Path, to: &Path) -> io::Result<()> {
        let Some(folder) = state.folders.get(from) else { return Ok(()) };
        let mut names = folder.synced.clone();
        for change in &folder.later {
            self.counts.unsynced += 1;
            if self.keeps() {
                self.counts.kept += 1;
                change.apply(&mut names);
            }
        }
        for (name, entry) in names {
            let (from, to) = (from.join(&name), to.join(&name));
            match entry {
                Entry::Folder => {
                    std::fs::create_dir(&to)?;
                    self.folder(state, &from, &to)?;
                }
                Entry::File(number) => self.file(state, number, &to)?,
            }
        }
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a disk after a cut; nobody syncs what it makes up"
    )]
    fn file(&mut self, state: &State, number: u64, to: &Path) -> io::Result<()> {
        let kept = self.platter.kept.join(number.to_string());
        let found = std::fs::metadata(&kept)?;
        let synced = state.files.get(&number).copied().unwrap_or(0);
        if synced >= found.len() {
            // Files are never changed once they have a name.
            return std::fs::hard_link(&kept, to);
        }
        self.counts.torn_files += 1;
        let mut bytes = std::fs::read(&kept)?;
        let synced = usize::try_from(synced).unwrap_or(usize::MAX).min(bytes.len());
        for sector in bytes[synced..].chunks_mut(SECTOR_BYTES) {
            if !self.keeps() {
                sector.fill(0);
            }
        }
        // The length of a file is on the disk by itself, before its bytes or after them.
        if self.luck == Luck::None || self.rng.next_u64().is_multiple_of(4) {
            let lost = u64::try_from(bytes.len() - synced).unwrap_or(0);
            let kept = usize::try_from(self.rng.next_u64() % (lost + 1)).unwrap_or(0);
            bytes.truncate(synced + kept);
        }
        std::fs::write(to, &bytes)?;
        std::fs::File::open(to)?.set_modified(found.modified()?)
    }
}
