//! What was answered: the indexes, their contents and their backups, as a catalog would know them.

use std::collections::{BTreeMap, BTreeSet};

use lodgepole_engine::Estate;
use lodgepole_types::{IndexId, Rng, SeededRng};
use uuid::Uuid;

use super::Violation;
use super::contents::{Contents, shape};

/// Where an index stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It exists.
    Live,
    /// It was deleted; its data may still be needed.
    Hidden,
    /// Its data has been removed.
    Gone,
}

/// What is known of one index.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// Its id.
    pub id: IndexId,
    /// Where it stands.
    pub life: Life,
    /// What it holds.
    pub contents: Contents,
}

/// What is known of one backup.
#[derive(Debug, Clone)]
pub struct BackupEntry {
    /// The index it was taken of.
    pub source: IndexId,
    /// Its pin.
    pub pin: Uuid,
    /// What it holds.
    pub contents: Contents,
    /// The segments that its row names.
    pub segments: BTreeSet<String>,
}

/// The model of everything that was answered.
#[derive(Debug, Clone)]
pub struct Books {
    /// Indexes by letter.
    pub indexes: BTreeMap<char, IndexEntry>,
    /// Backups by name.
    pub backups: BTreeMap<&'static str, BackupEntry>,
    /// Indexes that were given up half-made; nothing of them may stay.
    pub discarded: Vec<IndexId>,
    /// Whether segments were built, so that their files have to be looked at.
    pub is_indexed: bool,
    ids_drawn: u64,
}

impl Books {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            indexes: BTreeMap::new(),
            backups: BTreeMap::new(),
            discarded: Vec::new(),
            is_indexed: false,
            ids_drawn: 0,
        }
    }

    /// An id that no index has yet; the same one in every run.
    pub fn fresh_id(&mut self) -> IndexId {
        self.ids_drawn += 1;
        self.last_drawn()
    }

    /// The id drawn last: that of an index in the making.
    #[must_use]
    pub fn last_drawn(&self) -> IndexId {
        let rng: &dyn Rng = &SeededRng::new(self.ids_drawn << 32);
        IndexId::random(rng)
    }

    /// What an index holds.
    ///
    /// # Errors
    /// [`Violation::Unexpected`] when the script names an index that it never made.
    pub fn contents(&self, index: char) -> Result<&Contents, Violation> {
        Ok(&self.index(index)?.contents)
    }

    pub(super) fn index(&self, index: char) -> Result<&IndexEntry, Violation> {
        self.indexes.get(&index).ok_or_else(|| unknown(&index.to_string()))
    }

    pub(super) fn index_mut(&mut self, index: char) -> Result<&mut IndexEntry, Violation> {
        self.indexes.get_mut(&index).ok_or_else(|| unknown(&index.to_string()))
    }

    pub(super) fn backup(&self, name: &str) -> Result<&BackupEntry, Violation> {
        self.backups.get(name).ok_or_else(|| unknown(name))
    }

    pub(super) fn in_life(&self, life: Life) -> impl Iterator<Item = (char, &IndexEntry)> {
        self.indexes
            .iter()
            .filter(move |(_, entry)| entry.life == life)
            .map(|(letter, entry)| (*letter, entry))
    }

    /// What a catalog would tell the reaper.
    #[must_use]
    pub fn estate(&self) -> Estate {
        let mut backups: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (name, backup) in &self.backups {
            backups.entry(backup.source).or_default().insert((*name).to_owned());
        }
        Estate {
            live: self.in_life(Life::Live).map(|(_, entry)| shape(entry.id)).collect(),
            hidden: self.in_life(Life::Hidden).map(|(_, entry)| entry.id).collect(),
            backups,
            segments: self.segments_of_backups(),
            ..Estate::default()
        }
    }

    /// The segments that the rows of all backups name.
    #[must_use]
    pub fn segments_of_backups(&self) -> BTreeSet<String> {
        self.backups.values().flat_map(|backup| backup.segments.iter().cloned()).collect()
    }

    /// Takes note of what the reaper removed.
    pub fn note_removed(&mut self, removed: &[IndexId]) {
        for entry in self.indexes.values_mut() {
            if removed.contains(&entry.id) {
                entry.life = Life::Gone;
            }
        }
    }
}

impl Default for Books {
    fn default() -> Self {
        Self::new()
    }
}

fn unknown(name: &str) -> Violation {
    Violation::Unexpected(format!("the script never made '{name}'"))
}
