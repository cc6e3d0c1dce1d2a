//! What is stored, and where a running operation stands.
//!
//! The part that a crash loses is marked; everything else is durable. Invariant: the state is
//! plain data, equal states are equal bytes, so the checker visits each once.

use super::{MAX_BACKUPS, MAX_DATABASES, Set};

/// Everything: storage, catalog, running operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// The databases, one per index that ever was.
    pub databases: [Database; MAX_DATABASES],
    /// The backups that ever were.
    pub backups: [Row; MAX_BACKUPS],
    /// Segment objects in storage, of all indexes.
    pub segments: Set,
    /// How far the segment collection is. Lost in a crash.
    pub collection: Collection,
    /// Whether the catalog's roots changed since it began to mark. Lost in a crash.
    pub roots_changed: bool,
    /// Writes that users may still make.
    pub writes_left: u8,
    /// Crashes that may still come.
    pub crashes_left: u8,
}

/// One record-store database, with the catalog's row of its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Database {
    /// Where it stands in its life.
    pub life: Life,
    /// Its own files in storage.
    pub files: Set,
    /// Its newest manifest, when it has one.
    pub manifest: Option<Manifest>,
    /// The number of the next object that it makes.
    pub next: u8,
    /// Whether a compaction runs. Lost in a crash.
    pub compacting: bool,
}

/// The life of a database, as the catalog tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// Not yet made.
    Absent,
    /// A running restore job makes it from this backup. A crash turns it into `Hidden`.
    Cloning(u8),
    /// An index that users see.
    Live,
    /// Nobody sees it; it stays as long as somebody needs its files.
    Hidden,
    /// The reaper has found that nobody needs it. A crash turns it back into `Hidden`.
    Doomed,
    /// Deleted, and forgotten by the catalog.
    Gone,
}

/// The newest manifest of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// What a reader of the newest state needs.
    pub view: View,
    /// The databases whose files this one may read, as bits; in each it has a pin.
    pub external: u8,
    /// Checkpoints of this database.
    pub pins: Pins,
}

/// Checkpoints of one database. None expires but the compactor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Pins {
    /// Held by backups; what such a checkpoint refers to.
    pub backups: [Option<View>; MAX_BACKUPS],
    /// Held by clones; the files such a checkpoint refers to.
    pub clones: [Option<Set>; MAX_DATABASES],
    /// Held by the compactor, until it expires.
    pub compactor: Option<Set>,
}

/// What the state of a database at one moment refers to, own or inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct View {
    /// Files of the record store.
    pub files: Set,
    /// Search segments.
    pub segments: Set,
}

/// The catalog's row of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    /// Not yet made.
    Free,
    /// The row is written, the checkpoint on this database is being taken.
    Initializing(u8),
    /// It can be used. The pin is on this database.
    Ready(u8),
    /// The row is gone, or says Failed; a pin may be left on this database.
    Void(u8),
    /// Row and pin are gone.
    Gone,
}

/// How far the collection of segments is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    /// Not running.
    Idle,
    /// It has listed the files and read the live indexes: these segments are not there yet or
    /// referred to.
    MarkedDatabases(Set),
    /// It has read the backups too: these segments are referred to.
    Marked(Set),
}

impl Database {
    /// One that is not yet made.
    pub const ABSENT: Self =
        Self { life: Life::Absent, files: Set::EMPTY, manifest: None, next: 0, compacting: false };
}

impl Pins {
    /// Files that any of them refers to.
    #[must_use]
    pub fn files(&self) -> Set {
        let backups = self.backups.iter().flatten().map(|view| view.files);
        let others = self.clones.iter().chain(std::iter::once(&self.compactor)).flatten().copied();
        backups.chain(others).fold(Set::EMPTY, Set::with)
    }
}

impl Manifest {
    /// Whether `ancestor` is one of the databases whose files it may read.
    #[must_use]
    pub fn reads_from(&self, ancestor: usize) -> bool {
        self.external & (1 << ancestor) != 0
    }

    /// Those databases, the oldest first.
    pub fn ancestors(&self) -> impl Iterator<Item = usize> + use<> {
        let external = self.external;
        (0..MAX_DATABASES).filter(move |ancestor| external & (1 << ancestor) != 0)
    }
}

impl State {
    /// The pin of a backup on `database`, with what it refers to.
    #[must_use]
    pub fn backup_pin(&self, database: usize, backup: usize) -> Option<View> {
        self.databases[database].manifest.and_then(|manifest| manifest.pins.backups[backup])
    }

    /// Restore jobs that run and name this backup.
    #[must_use]
    pub fn running_restores(&self, backup: usize) -> usize {
        let names = |database: &&Database| matches!(database.life, Life::Cloning(of) if usize::from(of) == backup);
        self.databases.iter().filter(names).count()
    }

    /// Whether a backup of this database is there, or is being made.
    #[must_use]
    pub fn has_backups(&self, database: usize) -> bool {
        self.backups.iter().any(|row| match row {
            Row::Initializing(source) | Row::Ready(source) => usize::from(*source) == database,
            Row::Free | Row::Void(_) | Row::Gone => false,
        })
    }

    /// Whether this database reads files of a deleted index that has no backups.
    #[must_use]
    pub fn borrows_from_unneeded(&self, database: usize) -> bool {
        let files = self.databases[database].manifest.map_or(Set::EMPTY, |of| of.view.files);
        (0..MAX_DATABASES).any(|owner| {
            let is_gone = self.databases[owner].life == Life::Hidden && !self.has_backups(owner);
            is_gone && !files.shared(Set::made_by(owner)).is_empty()
        })
    }

    /// Checkpoints and clones that have begun and are not yet committed in the catalog.
    #[must_use]
    pub fn operations_in_flight(&self) -> usize {
        let restores =
            self.databases.iter().filter(|database| matches!(database.life, Life::Cloning(_)));
        let backups = self.backups.iter().filter(|row| matches!(row, Row::Initializing(_)));
        restores.count() + backups.count()
    }

    /// Files in storage, of all databases.
    #[must_use]
    pub fn files(&self) -> Set {
        self.databases.iter().fold(Set::EMPTY, |all, database| all.with(database.files))
    }
}
