//! Goal: no crash loses or tears anything, and the suite would notice if one did. Method: crashes at
//! every change of the store under the scripted workload, then the same with defects put in.

use lodgepole_storage::fault::{Operation, OperationKind};

use super::*;
use crate::actors::without_random_names;

/// Processors of the machine the checks are made for.
const THREADS: usize = 2;

/// Prints the figures of a sweep, and fails on any broken promise.
fn assert_clean(what: &str, report: &Report) {
    println!(
        "{what}: {} changes, {} crash points, {} lives, lost={} torn={}",
        report.changes,
        report.points,
        report.lives,
        report.lost(),
        report.torn()
    );
    for (point, violation) in report.violations.iter().take(10) {
        println!("{point:?}: {violation}");
    }
    assert!(report.violations.is_empty(), "{} violations", report.violations.len());
    assert!(report.points > 60, "the workload is too small: {} points", report.points);
}

#[test]
fn no_crash_loses_or_tears_anything() {
    assert_clean("crash under one caller", &sweep(LIFE_OF_THREE, None, THREADS));
}

#[test]
fn no_crash_under_the_other_writes_loses_or_tears_anything() {
    let report = sweep(LIFE_OF_NAMES, None, THREADS);
    assert_clean("crash under updates, filters, names and imports", &report);
}

#[test]
fn no_crash_while_segments_come_and_go_loses_or_leaves_any() {
    let report = sweep(LIFE_OF_SEGMENTS, None, THREADS);
    assert_clean("crash under indexing and collection", &report);
}

/// The workload of segments is one: it builds them, merges them and has them collected.
#[test]
fn the_life_of_segments_builds_merges_and_collects() {
    let operations = history(LIFE_OF_SEGMENTS, 1).unwrap();
    let of_segments = operations.iter().filter(|operation| operation.path.contains("/seg/"));
    let changes: Vec<_> = of_segments.filter(|operation| operation.kind.is_change()).collect();
    let is_removal = |operation: &&&Operation| operation.kind == OperationKind::Delete;
    let removed = changes.iter().filter(is_removal).count();
    let built = changes.len() - removed;
    println!("{built} segments built, {removed} removed");
    assert!(built >= 6 && removed == built, "{built} segments built, {removed} removed");
}

#[test]
fn every_defect_put_in_is_found() {
    let mutants = [
        Mutant::AnswersBeforeDurable,
        Mutant::SplitsRequests,
        Mutant::LosesTheEndOfTheLog,
        Mutant::CutsTooEarly,
        Mutant::ReapsUnderClones,
        Mutant::ReapsUnderBackups,
    ];
    for mutant in mutants {
        let report = sweep(LIFE_OF_THREE, Some(mutant), THREADS);
        assert_found(mutant, &report);
    }
    for mutant in [Mutant::SplitsRequests, Mutant::CommitsInSteps, Mutant::CutsTooEarly] {
        assert_found(mutant, &sweep(LIFE_OF_NAMES, Some(mutant), THREADS));
    }
    let mutant = Mutant::CollectsUnderBackups;
    assert_found(mutant, &sweep(LIFE_OF_SEGMENTS, Some(mutant), THREADS));
}

fn assert_found(mutant: Mutant, report: &Report) {
    let found = report.violations.iter().find(|(_, violation)| violation.is_loss_or_torn());
    let (point, violation) = found.unwrap_or_else(|| panic!("{mutant:?} was not found"));
    println!("{mutant:?}: found after {} points, at {point:?}: {violation}", report.points);
}

#[test]
fn no_crash_under_concurrent_writers_loses_or_tears_anything() {
    for seed in [1, 2] {
        assert_clean(&format!("crash under 4 writers, seed {seed}"), &crowd::sweep(seed, THREADS));
    }
}

/// Runs of one seed that are compared.
const REPEATS: usize = 20;

#[test]
fn no_crash_under_the_calls_of_the_service_leaves_anything_half_made() {
    let report = calls::sweep(calls::Recovery::Settles, THREADS);
    assert_clean("crash under the service", &report);
}

#[test]
fn a_start_that_does_not_settle_is_found() {
    let report = calls::sweep(calls::Recovery::IsForgotten, THREADS);
    let found = report.violations.iter().find(|(_, violation)| violation.is_loss_or_torn());
    let (point, violation) = found.unwrap();
    println!("no recovery: found after {} points, at {point:?}: {violation}", report.points);
}

/// One caller, three indexes, clones and the reaper: the whole history repeats, with all names.
#[test]
fn the_same_seed_gives_one_caller_the_same_history() {
    let first = history(LIFE_OF_THREE, 1).unwrap();
    assert!(first.len() > 1_000, "{} operations", first.len());
    for _ in 1..REPEATS {
        assert_eq!(history(LIFE_OF_THREE, 1).unwrap(), first);
    }
    assert_ne!(history(LIFE_OF_THREE, 2).unwrap(), first);
}

/// Concurrent writers and backups on one index: the whole history repeats, but for random names.
/// With `--cfg tokio_unstable`, which fixes the order in which `select!` polls, the names as well.
#[test]
fn the_same_seed_gives_the_same_history_of_operations() {
    let first = crowd::history(1).unwrap();
    assert!(first.len() > 50);
    for _ in 1..REPEATS {
        let next = crowd::history(1).unwrap();
        if cfg!(tokio_unstable) {
            assert_eq!(next, first);
        }
        assert_eq!(without_random_names(&next), without_random_names(&first));
    }
    let other = crowd::history(2).unwrap();
    assert_ne!(without_random_names(&other), without_random_names(&first));
}
