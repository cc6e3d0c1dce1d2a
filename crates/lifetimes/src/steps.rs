//! The steps of users, reaper, record store and collection, and the mutants.
//!
//! Invariant: a step is one atomic write of the product, and it looks only at what the product
//! can look at in that moment. What takes two writes there takes two steps here.

use stateright::{Model, Property};

use super::rules;
use super::{
    Collection, Database, GENERATIONS, Life, MAX_BACKUPS, MAX_DATABASES, Manifest, Pins, Row, Set,
    State, View, properties,
};

/// How much the model may do.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Databases, the first one included.
    pub databases: usize,
    /// Backups.
    pub backups: usize,
    /// Writes of users.
    pub writes: u8,
    /// Crashes.
    pub crashes: u8,
}

/// One rule that is broken, to show that the checker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The reaper deletes a database although a clone has a pin on it.
    DeleteDatabaseIgnoresForeignPins,
    /// The reaper deletes a database although a backup has a pin on it.
    DeleteDatabaseIgnoresBackups,
    /// The sweep trusts its marks although a root changed meanwhile.
    SweepDoesNotCheckAgain,
    /// The sweep runs while a checkpoint or a clone is on its way.
    SweepDoesNotHoldOff,
    /// The collection does not read the rows of backups.
    BackupsAreNotMarked,
    /// The collection reads the indexes first and lists the files later.
    FilesAreListedLast,
    /// Deleting an index deletes the segments that it built.
    IndexDeletionRemovesSegments,
    /// A clone gives up its pin although a backup of the clone refers to the ancestor's files.
    DetachIgnoresPins,
    /// A backup can be deleted while an index is being made from it.
    BackupDeletedUnderRestore,
    /// Deleting a backup removes its pin first and its row later.
    PinDroppedBeforeRow,
    /// Nobody compacts an idle clone.
    IdleClonesAreNotCompacted,
    /// The detach collector runs on live databases only.
    HiddenDatabasesAreNotDetached,
    /// What a crash left of a restore is not made a hidden database.
    BrokenRestoresAreForgotten,
}

/// The model: what lives how long.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// How much it may do.
    pub bounds: Bounds,
    /// The broken rule, if any.
    pub mutant: Option<Mutant>,
}

/// One step. Numbers name databases or backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A user writes; a segment is built that replaces the older ones.
    Write(usize),
    /// A user asks for a backup of this database: the row is written.
    BeginBackup(usize),
    /// The checkpoint of this backup is taken.
    Checkpoint(usize),
    /// The row of this backup becomes Ready.
    CompleteBackup(usize),
    /// A user deletes this backup: its row goes.
    DeleteBackup(usize),
    /// A user asks for an index from this backup: the restore job is written.
    BeginRestore(usize),
    /// The manifest of this clone is stored, not yet usable.
    StoreCloneManifest(usize),
    /// This clone takes its next pin, the oldest ancestor first.
    PinAncestor(usize),
    /// The catalog shows this clone as an index, and its restore job as completed.
    CommitRestore(usize),
    /// A user deletes this index: it becomes hidden.
    Retire(usize),
    /// The reaper drops the pin of this backup, which has no row any more.
    DropPin(usize),
    /// The reaper asks for a full compaction of this clone: the compactor takes its pin.
    CompactFully(usize),
    /// The result of the compaction is installed.
    InstallCompaction(usize),
    /// The pin of the compactor on this database expires.
    Expire(usize),
    /// The record store removes files of this database that nothing refers to.
    Collect(usize),
    /// The first database gives up its pin in the second.
    Detach(usize, usize),
    /// The reaper finds that nobody needs this hidden database.
    Reap(usize),
    /// First half of the deletion of this database: its pins in its ancestors go.
    StripPins(usize),
    /// Second half: its files and manifests go, and the catalog forgets it.
    DeleteDatabase(usize),
    /// The collection lists the files and reads the live indexes.
    MarkDatabases,
    /// The collection reads the rows of all backups.
    MarkBackups,
    /// The collection deletes what is not marked, or starts again.
    Sweep,
    /// The process dies and starts again.
    Crash,
}

impl Lifetimes {
    /// The model with every rule kept.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        assert!(bounds.databases <= MAX_DATABASES && bounds.backups <= MAX_BACKUPS);
        Self { bounds, mutant: None }
    }

    /// The model with one rule broken.
    #[must_use]
    pub fn broken(bounds: Bounds, mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..Self::new(bounds) }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The steps that need no user: running operations, reaper, record store. Not the collection.
    #[must_use]
    pub fn housekeeping(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for backup in 0..self.bounds.backups {
            actions.extend([
                Action::Checkpoint(backup),
                Action::CompleteBackup(backup),
                Action::DropPin(backup),
            ]);
        }
        for database in 0..self.bounds.databases {
            actions.extend([
                Action::StoreCloneManifest(database),
                Action::PinAncestor(database),
                Action::CommitRestore(database),
                Action::CompactFully(database),
                Action::InstallCompaction(database),
                Action::Expire(database),
                Action::Collect(database),
            ]);
            actions.extend((0..database).map(|ancestor| Action::Detach(database, ancestor)));
            actions.extend([
                Action::Reap(database),
                Action::StripPins(database),
                Action::DeleteDatabase(database),
            ]);
        }
        actions
    }

    /// The state after `action`, or none when it cannot happen now or changes nothing.
    #[must_use]
    pub fn apply(&self, before: &State, action: Action) -> Option<State> {
        let mut state = *before;
        let done = match action {
            Action::Write(database) => write(&mut state, database),
            Action::BeginBackup(source) => self.begin_backup(&mut state, source),
            Action::Checkpoint(backup) => checkpoint(&mut state, backup),
            Action::CompleteBackup(backup) => complete_backup(&mut state, backup),
            Action::DeleteBackup(backup) => self.delete_backup(&mut state, backup),
            Action::BeginRestore(backup) => self.begin_restore(&mut state, backup),
            Action::StoreCloneManifest(target) => store_clone_manifest(&mut state, target),
            Action::PinAncestor(target) => pin_ancestor(&mut state, target),
            Action::CommitRestore(target) => commit_restore(&mut state, target),
            Action::Retire(database) => self.retire(&mut state, database),
            Action::DropPin(backup) => self.drop_pin(&mut state, backup),
            Action::CompactFully(database) => self.compact_fully(&mut state, database),
            Action::InstallCompaction(database) => install_compaction(&mut state, database),
            Action::Expire(database) => expire(&mut state, database),
            Action::Collect(database) => collect(&mut state, database),
            Action::Detach(database, ancestor) => self.detach(&mut state, database, ancestor),
            Action::Reap(database) => self.reap(&mut state, database),
            Action::StripPins(database) => strip_pins(&mut state, database),
            Action::DeleteDatabase(database) => delete_database(&mut state, database),
            Action::MarkDatabases => self.mark_databases(&mut state),
            Action::MarkBackups => self.mark_backups(&mut state),
            Action::Sweep => self.sweep(&mut state),
            Action::Crash => self.crash(&mut state),
        };
        if state.collection == Collection::Idle {
            state.roots_changed = false;
        }
        done.filter(|()| state != *before).map(|()| state)
    }
}

// Users ------------------------------------------------------------------------------------------

fn write(state: &mut State, number: usize) -> Option<()> {
    state.writes_left = state.writes_left.checked_sub(1)?;
    let database = &mut state.databases[number];
    let manifest = database.manifest.as_mut().filter(|_| database.life == Life::Live)?;
    // The last object is kept for the full compaction.
    let made = Some(usize::from(database.next)).filter(|made| made + 1 < GENERATIONS)?;
    let object = Set::one(number, made);
    database.next += 1;
    database.files = database.files.with(object);
    manifest.view.files = manifest.view.files.with(object);
    manifest.view.segments = object;
    state.segments = state.segments.with(object);
    // Not a change of the catalog: the collection does not notice.
    Some(())
}

impl Lifetimes {
    fn begin_backup(&self, state: &mut State, source: usize) -> Option<()> {
        (state.databases[source].life == Life::Live).then_some(())?;
        let rows = &mut state.backups[..self.bounds.backups];
        *rows.iter_mut().find(|row| **row == Row::Free)? = Row::Initializing(number(source));
        Some(())
    }

    fn delete_backup(&self, state: &mut State, backup: usize) -> Option<()> {
        let Row::Ready(source) = state.backups[backup] else { return None };
        let restores = if self.is(Mutant::BackupDeletedUnderRestore) {
            0
        } else {
            state.running_restores(backup)
        };
        rules::may_delete_backup(state.backups[backup], restores).then_some(())?;
        if self.is(Mutant::PinDroppedBeforeRow) && state.backup_pin(source.into(), backup).is_some()
        {
            state.databases[usize::from(source)].manifest.as_mut()?.pins.backups[backup] = None;
            return Some(());
        }
        state.backups[backup] = Row::Void(source);
        state.roots_changed = true;
        Some(())
    }

    fn begin_restore(&self, state: &mut State, backup: usize) -> Option<()> {
        matches!(state.backups[backup], Row::Ready(_)).then_some(())?;
        let databases = &mut state.databases[..self.bounds.databases];
        databases.iter_mut().find(|database| database.life == Life::Absent)?.life =
            Life::Cloning(number(backup));
        Some(())
    }

    fn retire(&self, state: &mut State, database: usize) -> Option<()> {
        (state.databases[database].life == Life::Live).then_some(())?;
        state.databases[database].life = Life::Hidden;
        if self.is(Mutant::IndexDeletionRemovesSegments) {
            state.segments = state.segments.without(Set::made_by(database));
        }
        state.roots_changed = true;
        Some(())
    }
}

// Backup and restore, once begun -----------------------------------------------------------------

fn checkpoint(state: &mut State, backup: usize) -> Option<()> {
    let Row::Initializing(source) = state.backups[backup] else { return None };
    state.backup_pin(source.into(), backup).is_none().then_some(())?;
    let database = &mut state.databases[usize::from(source)];
    match database.manifest.as_mut().filter(|_| database.life == Life::Live) {
        Some(manifest) => manifest.pins.backups[backup] = Some(manifest.view),
        // The index was deleted meanwhile.
        None => state.backups[backup] = Row::Void(source),
    }
    Some(())
}

fn complete_backup(state: &mut State, backup: usize) -> Option<()> {
    let Row::Initializing(source) = state.backups[backup] else { return None };
    state.backup_pin(source.into(), backup)?;
    state.backups[backup] = Row::Ready(source);
    state.roots_changed = true;
    Some(())
}

/// The database that this backup is of.
fn source_of(state: &State, backup: u8) -> Option<usize> {
    match state.backups[usize::from(backup)] {
        Row::Initializing(source) | Row::Ready(source) | Row::Void(source) => Some(source.into()),
        Row::Free | Row::Gone => None,
    }
}

fn store_clone_manifest(state: &mut State, target: usize) -> Option<()> {
    let Database { life: Life::Cloning(backup), manifest: None, .. } = state.databases[target]
    else {
        return None;
    };
    let source = source_of(state, backup)?;
    let Some(view) = state.backup_pin(source, backup.into()) else {
        state.databases[target].life = Life::Hidden;
        return Some(());
    };
    // Inherited entries without files are not carried over.
    let inherited = (0..MAX_DATABASES)
        .filter(|&owner| owner != source && !view.files.shared(Set::made_by(owner)).is_empty())
        .fold(0, |mask, owner| mask | 1 << owner);
    let external = inherited | 1 << source;
    state.databases[target].manifest = Some(Manifest { view, external, pins: Pins::default() });
    state.roots_changed = true;
    Some(())
}

/// Where the clone has no pin yet, the oldest ancestor first.
fn next_unpinned(state: &State, target: usize, manifest: &Manifest) -> Option<usize> {
    manifest.ancestors().find(|&ancestor| {
        let pins = state.databases[ancestor].manifest.map(|manifest| manifest.pins);
        pins.is_none_or(|pins| pins.clones[target].is_none())
    })
}

fn pin_ancestor(state: &mut State, target: usize) -> Option<()> {
    let Database { life: Life::Cloning(backup), manifest: Some(manifest), .. } =
        state.databases[target]
    else {
        return None;
    };
    let source = source_of(state, backup)?;
    let ancestor = next_unpinned(state, target, &manifest)?;
    // A pin is a copy of one that is there: the backup's, or the one the source has in its ancestor.
    let files = state.databases[ancestor].manifest.and_then(|of| {
        if ancestor == source {
            of.pins.backups[usize::from(backup)].map(|view| view.files)
        } else {
            of.pins.clones[source]
        }
    });
    match (files, state.databases[ancestor].manifest.as_mut()) {
        (Some(files), Some(of)) => of.pins.clones[target] = Some(files),
        _ => state.databases[target].life = Life::Hidden,
    }
    Some(())
}

fn commit_restore(state: &mut State, target: usize) -> Option<()> {
    let Database { life: Life::Cloning(_), manifest: Some(manifest), .. } = state.databases[target]
    else {
        return None;
    };
    next_unpinned(state, target, &manifest).is_none().then_some(())?;
    state.databases[target].life = Life::Live;
    state.roots_changed = true;
    Some(())
}

// Reaper and record store ------------------------------------------------------------------------

impl Lifetimes {
    fn drop_pin(&self, state: &mut State, backup: usize) -> Option<()> {
        let Row::Void(source) = state.backups[backup] else { return None };
        rules::is_orphan(state.backups[backup]).then_some(())?;
        if let Some(manifest) = state.databases[usize::from(source)].manifest.as_mut() {
            manifest.pins.backups[backup] = None;
        }
        state.backups[backup] = Row::Gone;
        Some(())
    }

    fn compact_fully(&self, state: &mut State, number: usize) -> Option<()> {
        let borrows = state.borrows_from_unneeded(number);
        let is_worth_it = rules::is_worth_compacting(borrows, state.has_backups(number));
        let database = &mut state.databases[number];
        let manifest = database.manifest.as_mut()?;
        let wanted = database.life == Life::Live && !database.compacting && is_worth_it;
        (wanted && !self.is(Mutant::IdleClonesAreNotCompacted)).then_some(())?;
        database.compacting = true;
        manifest.pins.compactor = Some(manifest.view.files);
        Some(())
    }

    fn detach(&self, state: &mut State, number: usize, ancestor: usize) -> Option<()> {
        let database = state.databases[number];
        let manifest = database.manifest.filter(|manifest| manifest.reads_from(ancestor))?;
        let serves = match database.life {
            Life::Live => true,
            Life::Hidden => !self.is(Mutant::HiddenDatabasesAreNotDetached),
            Life::Absent | Life::Cloning(_) | Life::Doomed | Life::Gone => false,
        };
        let mut seen = manifest;
        if self.is(Mutant::DetachIgnoresPins) {
            seen.pins = Pins::default();
        }
        (serves && rules::may_detach(&seen, Set::made_by(ancestor))).then_some(())?;
        unpin(state, ancestor, number);
        state.databases[number].manifest.as_mut()?.external &= !(1 << ancestor);
        Some(())
    }

    fn reap(&self, state: &mut State, number: usize) -> Option<()> {
        let database = &mut state.databases[number];
        (database.life == Life::Hidden).then_some(())?;
        let mut seen = database.manifest.map(|manifest| manifest.pins).unwrap_or_default();
        if self.is(Mutant::DeleteDatabaseIgnoresForeignPins) && rules::has_foreign_pin(&seen) {
            seen.clones = Default::default();
        }
        if self.is(Mutant::DeleteDatabaseIgnoresBackups) {
            seen.backups = Default::default();
        }
        rules::may_delete_database(&seen).then_some(())?;
        database.life = Life::Doomed;
        Some(())
    }
}

fn unpin(state: &mut State, ancestor: usize, clone: usize) {
    // The ancestor may be gone: then there is nothing to remove.
    if let Some(of) = state.databases[ancestor].manifest.as_mut() {
        of.pins.clones[clone] = None;
    }
}

fn install_compaction(state: &mut State, number: usize) -> Option<()> {
    let database = &mut state.databases[number];
    let manifest = database.manifest.as_mut().filter(|_| database.compacting)?;
    let read = manifest.pins.compactor?;
    let result = Set::one(number, usize::from(database.next));
    database.next += 1;
    database.files = database.files.with(result);
    database.compacting = false;
    manifest.view.files = manifest.view.files.without(read).with(result);
    Some(())
}

fn expire(state: &mut State, number: usize) -> Option<()> {
    let database = &mut state.databases[number];
    database.manifest.as_mut().filter(|_| !database.compacting)?.pins.compactor = None;
    Some(())
}

fn collect(state: &mut State, number: usize) -> Option<()> {
    let database = &mut state.databases[number];
    let garbage = rules::collectable(database.files, database.manifest.as_ref()?);
    database.files = database.files.without(garbage);
    Some(())
}

fn strip_pins(state: &mut State, number: usize) -> Option<()> {
    (state.databases[number].life == Life::Doomed).then_some(())?;
    for ancestor in state.databases[number].manifest?.ancestors() {
        unpin(state, ancestor, number);
    }
    Some(())
}

fn delete_database(state: &mut State, number: usize) -> Option<()> {
    let database = state.databases[number];
    (database.life == Life::Doomed).then_some(())?;
    // The pins in the ancestors go before the manifest that names them.
    let pinned = |ancestor: usize| {
        state.databases[ancestor].manifest.is_some_and(|of| of.pins.clones[number].is_some())
    };
    let stripped = database.manifest.is_none_or(|manifest| !manifest.ancestors().any(pinned));
    stripped.then_some(())?;
    state.databases[number] = Database { life: Life::Gone, ..Database::ABSENT };
    state.roots_changed = true;
    Some(())
}

// Collection of segments, and the crash ----------------------------------------------------------

impl Lifetimes {
    /// The files are listed before anything else is read: what is not there yet cannot be swept.
    /// Hidden indexes are no roots: nobody opens them, and their backups carry their own sets.
    fn mark_databases(&self, state: &mut State) -> Option<()> {
        (state.collection == Collection::Idle).then_some(())?;
        let unlisted = if self.is(Mutant::FilesAreListedLast) {
            Set::EMPTY
        } else {
            Set::everything().without(state.segments)
        };
        let live = state.databases.iter().filter(|database| database.life == Life::Live);
        let views = live.filter_map(|database| database.manifest);
        let marked = views.fold(unlisted, |marked, manifest| marked.with(manifest.view.segments));
        state.collection = Collection::MarkedDatabases(marked);
        state.roots_changed = false;
        Some(())
    }

    fn mark_backups(&self, state: &mut State) -> Option<()> {
        let Collection::MarkedDatabases(marked) = state.collection else { return None };
        let referred = if self.is(Mutant::BackupsAreNotMarked) {
            Set::EMPTY
        } else {
            properties::segments_of_backups(state)
        };
        state.collection = Collection::Marked(marked.with(referred));
        Some(())
    }

    fn sweep(&self, state: &mut State) -> Option<()> {
        let Collection::Marked(marked) = state.collection else { return None };
        let held_off = rules::may_sweep(state.operations_in_flight());
        (held_off || self.is(Mutant::SweepDoesNotHoldOff)).then_some(())?;
        let current = rules::marks_still_hold(state.roots_changed);
        if current || self.is(Mutant::SweepDoesNotCheckAgain) {
            state.segments = state.segments.shared(marked);
        }
        state.collection = Collection::Idle;
        Some(())
    }

    fn crash(&self, state: &mut State) -> Option<()> {
        state.crashes_left = state.crashes_left.checked_sub(1)?;
        state.collection = Collection::Idle;
        for database in &mut state.databases {
            database.compacting = false;
            database.life = match database.life {
                Life::Cloning(_) if self.is(Mutant::BrokenRestoresAreForgotten) => Life::Gone,
                Life::Cloning(_) | Life::Doomed => Life::Hidden,
                Life::Absent | Life::Live | Life::Hidden | Life::Gone => database.life,
            };
        }
        for row in &mut state.backups {
            if let Row::Initializing(source) = *row {
                *row = Row::Void(source);
            }
        }
        Some(())
    }
}

/// A number of a database or backup, as states keep it.
fn number(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

impl Model for Lifetimes {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = Set::one(0, 0);
        let view = View { files: first, segments: first };
        let mut databases = [Database::ABSENT; MAX_DATABASES];
        databases[0] = Database {
            life: Life::Live,
            files: first,
            manifest: Some(Manifest { view, external: 0, pins: Pins::default() }),
            next: 1,
            compacting: false,
        };
        vec![State {
            databases,
            backups: [Row::Free; MAX_BACKUPS],
            segments: first,
            collection: Collection::Idle,
            roots_changed: false,
            writes_left: self.bounds.writes,
            crashes_left: self.bounds.crashes,
        }]
    }

    fn actions(&self, _state: &State, actions: &mut Vec<Action>) {
        *actions = self.housekeeping();
        for backup in 0..self.bounds.backups {
            actions.extend([Action::DeleteBackup(backup), Action::BeginRestore(backup)]);
        }
        for database in 0..self.bounds.databases {
            let user = [Action::Write, Action::BeginBackup, Action::Retire];
            actions.extend(user.map(|action| action(database)));
        }
        let others = [Action::MarkDatabases, Action::MarkBackups, Action::Sweep, Action::Crash];
        actions.extend(others);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.apply(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
