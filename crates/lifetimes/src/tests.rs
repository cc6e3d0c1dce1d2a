//! Goal: no order of deletions, crashes and collection loses data or leaves garbage for ever, and
//! the checker would notice if one did. Method: exhaustive search of the model within bounds; then
//! the same search with one rule broken at a time, which must find a counterexample.

use std::num::NonZeroUsize;

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};

use super::properties::{
    BACKUP_OUTLIVES, HIDDEN_WAITS, NOTHING_IS_LOST, NOTHING_LEAKS, ORPHAN_LIVES,
};
use super::{Action, Bounds, Lifetimes, Mutant};

const TWO_DATABASES: Bounds = Bounds { databases: 2, backups: 2, writes: 1, crashes: 1 };
const TWO_CRASHES: Bounds = Bounds { writes: 2, crashes: 2, ..TWO_DATABASES };
const CLONE_OF_CLONE: Bounds = Bounds { databases: 3, backups: 2, writes: 1, crashes: 1 };

fn checker(model: Lifetimes) -> CheckerBuilder<Lifetimes> {
    model.checker().threads(std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

/// Visits every state within the bounds; both laws must hold in each.
fn explore(bounds: Bounds, witnesses: &[&'static str]) {
    // A search ends early only when every property has its example or counterexample; a law that
    // holds has none, so this one visits everything. Depth first keeps the memory at 200 MB.
    let checker = checker(Lifetimes::new(bounds)).spawn_dfs().join();
    println!(
        "{bounds:?}: {} states, {} steps",
        checker.unique_state_count(),
        checker.state_count(),
    );
    checker.assert_no_discovery(NOTHING_IS_LOST);
    checker.assert_no_discovery(NOTHING_LEAKS);
    for witness in witnesses {
        checker.assert_any_discovery(witness);
    }
}

/// Searches with one rule broken; returns the shortest way to break the law.
fn counterexample(bounds: Bounds, mutant: Mutant, law: &'static str) -> Vec<Action> {
    let checker = checker(Lifetimes::broken(bounds, mutant))
        .finish_when(HasDiscoveries::AnyOf([law].into()))
        .spawn_bfs()
        .join();
    let actions = checker.assert_any_discovery(law).into_actions();
    println!("{mutant:?} after {} states: {actions:?}", checker.unique_state_count());
    actions
}

#[test]
fn two_databases_lose_nothing_and_leak_nothing() {
    explore(TWO_CRASHES, &[BACKUP_OUTLIVES, HIDDEN_WAITS]);
}

#[test]
fn a_clone_of_a_clone_loses_nothing_and_leaks_nothing() {
    explore(CLONE_OF_CLONE, &[ORPHAN_LIVES, BACKUP_OUTLIVES, HIDDEN_WAITS]);
}

#[test]
fn deleting_a_database_under_a_clone_is_caught() {
    counterexample(TWO_DATABASES, Mutant::DeleteDatabaseIgnoresForeignPins, NOTHING_IS_LOST);
}

#[test]
fn deleting_a_database_under_a_backup_is_caught() {
    counterexample(TWO_DATABASES, Mutant::DeleteDatabaseIgnoresBackups, NOTHING_IS_LOST);
}

#[test]
fn a_sweep_that_does_not_check_again_is_caught() {
    counterexample(TWO_DATABASES, Mutant::SweepDoesNotCheckAgain, NOTHING_IS_LOST);
}

#[test]
fn a_sweep_that_does_not_hold_off_is_caught() {
    counterexample(TWO_DATABASES, Mutant::SweepDoesNotHoldOff, NOTHING_IS_LOST);
}

#[test]
fn a_collection_that_does_not_mark_backups_is_caught() {
    counterexample(TWO_DATABASES, Mutant::BackupsAreNotMarked, NOTHING_IS_LOST);
}

#[test]
fn a_collection_that_lists_the_files_last_is_caught() {
    counterexample(TWO_DATABASES, Mutant::FilesAreListedLast, NOTHING_IS_LOST);
}

#[test]
fn deleting_the_segments_of_a_deleted_index_is_caught() {
    counterexample(TWO_DATABASES, Mutant::IndexDeletionRemovesSegments, NOTHING_IS_LOST);
}

#[test]
fn detaching_a_clone_whose_backups_need_the_ancestor_is_caught() {
    counterexample(TWO_DATABASES, Mutant::DetachIgnoresPins, NOTHING_IS_LOST);
}

#[test]
fn deleting_a_backup_under_a_restore_is_caught() {
    counterexample(TWO_DATABASES, Mutant::BackupDeletedUnderRestore, NOTHING_IS_LOST);
}

#[test]
fn dropping_a_pin_before_its_row_is_caught() {
    counterexample(TWO_DATABASES, Mutant::PinDroppedBeforeRow, NOTHING_IS_LOST);
}

#[test]
fn an_idle_clone_that_nobody_compacts_is_caught() {
    counterexample(TWO_DATABASES, Mutant::IdleClonesAreNotCompacted, NOTHING_LEAKS);
}

#[test]
fn a_hidden_clone_that_nobody_detaches_is_caught() {
    counterexample(TWO_DATABASES, Mutant::HiddenDatabasesAreNotDetached, NOTHING_LEAKS);
}

#[test]
fn a_broken_restore_that_is_forgotten_is_caught() {
    counterexample(TWO_DATABASES, Mutant::BrokenRestoresAreForgotten, NOTHING_LEAKS);
}
