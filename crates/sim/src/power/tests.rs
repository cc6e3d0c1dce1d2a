//! Goal: no power cut loses or tears what was answered, and a missing sync would be found. Method: the scripted
//! lives on a modelled disk, cut at random steps; the same without the syncs of files, and of folders.

use lodgepole_storage::local::SyncMode;

use super::*;

const THREADS: usize = 2;
const CUTS: u64 = 300;

fn print(what: &str, cuts: &Cuts) {
    println!("{what}: {cuts}");
    for (seed, violation) in cuts.violations.iter().take(5) {
        println!("seed {seed}: {violation}");
    }
}

#[test]
fn no_power_cut_loses_or_tears_anything() {
    let cuts = cut_many(&Lives::measure().unwrap(), 0..CUTS, SyncMode::Full, THREADS);
    print("all syncs", &cuts);
    assert!(cuts.violations.is_empty(), "{} violations", cuts.violations.len());
    assert_eq!(cuts.cuts, CUTS);
    let [unsynced, kept] = cuts.unsynced;
    assert!(unsynced > kept && kept > 0, "{unsynced} changes were at stake, {kept} were kept");
    assert_eq!(cuts.torn_files, 0, "a name leads to a synced file");
}

#[test]
fn a_disk_whose_files_or_folders_are_not_synced_is_found_out() {
    let lives = Lives::measure().unwrap();
    for sync in [SyncMode::SkipFile, SyncMode::SkipFolder] {
        let cuts = cut_many(&lives, 0..CUTS, sync, THREADS);
        print(&format!("{sync:?}"), &cuts);
        let found = cuts.violations.iter().any(|(_, violation)| violation.is_loss_or_torn());
        assert!(found, "{sync:?} was not found");
    }
}
