//! The predicates that decide what may be deleted, as plain functions.
//!
//! The reaper of the product asks the same questions under the same names. Each function gets what
//! its caller has read, and reads nothing itself; so each says what must be read together.

use super::{Manifest, Pins, Row, Set};

/// Whether the pin is one that the product does not own: it has no expiry and is no backup.
#[must_use]
pub fn is_foreign(has_expiry: bool, is_backup: bool) -> bool {
    !has_expiry && !is_backup
}

/// Whether the pins of a database include a foreign one. Here: a clone's.
#[must_use]
pub fn has_foreign_pin(pins: &Pins) -> bool {
    pins.clones.iter().flatten().any(|_| is_foreign(false, false))
}

/// Whether a hidden database may be deleted: neither a clone nor a backup holds it. A pin that
/// expires protects only the compactor's own reading, and a hidden database is closed. Backups and
/// hidden indexes must be read before the pins: a hidden index gets no new ones.
#[must_use]
pub fn may_delete_database(pins: &Pins) -> bool {
    !has_foreign_pin(pins) && pins.backups.iter().all(Option::is_none)
}

/// Whether the pin of a backup holds nothing: its row is gone, or it never became Ready.
#[must_use]
pub fn is_orphan(row: Row) -> bool {
    matches!(row, Row::Void(_))
}

/// Whether a backup may be deleted now: it is Ready and no running restore names it. Row of the
/// backup and restore jobs must be read in one transaction with the change of the row.
#[must_use]
pub fn may_delete_backup(row: Row, running_restores: usize) -> bool {
    matches!(row, Row::Ready(_)) && running_restores == 0
}

/// Whether a database may give up its pin in an ancestor: neither its newest state nor any of its
/// checkpoints refers to a file of that ancestor.
#[must_use]
pub fn may_detach(manifest: &Manifest, of_ancestor: Set) -> bool {
    manifest.view.files.with(manifest.pins.files()).shared(of_ancestor).is_empty()
}

/// Whether a full compaction of a clone lets something go: it reads files of a deleted index that
/// has no backups, and no backup of its own needs them anyway.
#[must_use]
pub fn is_worth_compacting(borrows_from_unneeded: bool, has_backups: bool) -> bool {
    borrows_from_unneeded && !has_backups
}

/// Own files of a database that nothing refers to: the record store's own collection removes them.
#[must_use]
pub fn collectable(own: Set, manifest: &Manifest) -> Set {
    own.without(manifest.view.files).without(manifest.pins.files())
}

/// Whether the sweep may run now: no checkpoint or clone is on its way.
#[must_use]
pub fn may_sweep(operations_in_flight: usize) -> bool {
    operations_in_flight == 0
}

/// Whether what was marked is still all that is referred to. If not, mark again.
#[must_use]
pub fn marks_still_hold(roots_changed: bool) -> bool {
    !roots_changed
}
