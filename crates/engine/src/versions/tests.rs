//! Goal: exactly the versions asked for are handed out, however they lie among the others, and one
//! that is not there is noticed. Method: a namespace of more records than a block; parts of it that
//! are dense, sparse, both, and none; versions that do not exist.

use std::collections::BTreeMap;

use lodgepole_rows::{DocId, Place};
use lodgepole_storage::View;
use lodgepole_types::{Metric, RecordId};

use super::{BLOCK_VERSIONS, SCANNED_MIN, VersionScan};
use crate::EngineError;
use crate::record_scan::{RecordScan, place_in};
use crate::tests::{Bench, id, ns, record};

const RECORDS: usize = 2 * BLOCK_VERSIONS + 1_000;

/// A name, and which places of the namespace are asked for.
type Case = (&'static str, fn(usize) -> bool);

/// All versions, by the order of their ids, which is not that of their docids.
async fn filled(bench: &Bench) -> (View, Place, Vec<(DocId, RecordId, f32)>) {
    let shape = bench.create(1, Metric::DotProduct).await;
    let numbers: Vec<usize> = (0..RECORDS).map(|number| number * 7_919 % RECORDS).collect();
    for some in numbers.chunks(1_000) {
        let records = some.iter().map(|number| record(&format!("r{number:06}"), &[*number as f32]));
        bench.engine.upsert(shape, &ns(""), records.collect()).await.unwrap();
    }
    let shard = bench.engine.shard(shape).await.unwrap();
    let view = shard.settled_view().await.unwrap();
    let place = place_in(&view, &ns("")).await.unwrap().unwrap();
    let (mut scan, mut all) = (RecordScan::start(&view, place).await.unwrap(), Vec::new());
    while let Some(found) = scan.next().await.unwrap() {
        all.push((found.docid, found.id, found.values[0]));
    }
    assert_eq!(all.len(), RECORDS);
    (view, place, all)
}

async fn read(
    view: &View,
    place: Place,
    wanted: BTreeMap<DocId, RecordId>,
) -> Result<Vec<(DocId, RecordId, f32)>, EngineError> {
    let (mut scan, mut found) = (VersionScan::new(view, place, wanted), Vec::new());
    while let Some(record) = scan.next().await? {
        found.push((record.docid, record.id, record.values[0]));
    }
    Ok(found)
}

#[tokio::test]
async fn dense_and_sparse_parts_of_a_namespace_are_read_as_asked_for() {
    let bench = Bench::new();
    let (view, place, all) = filled(&bench).await;
    let cases: [Case; 9] = [
        ("all", |_| true),
        ("none", |_| false),
        ("every second", |at| at.is_multiple_of(2)),
        ("every ninth", |at| at.is_multiple_of(9)),
        ("every fiftieth", |at| at.is_multiple_of(50)),
        ("few", |at| at.is_multiple_of(RECORDS / (SCANNED_MIN - 4))),
        ("one", |at| at == 4_711),
        ("dense, then sparse", |at| at < 9_000 || at.is_multiple_of(70)),
        ("sparse, then dense", |at| at > 9_000 || at.is_multiple_of(70)),
    ];
    for (what, is_wanted) in cases {
        let places = (0..all.len()).filter(|at| is_wanted(*at));
        let expected: Vec<_> = places.map(|at| all[at].clone()).collect();
        let wanted = expected.iter().map(|(docid, id, _)| (*docid, id.clone())).collect();
        let found = read(&view, place, wanted).await.unwrap();
        assert!(found == expected, "{what}: {} of {} read", found.len(), expected.len());
    }
}

#[tokio::test]
async fn a_version_that_the_view_does_not_hold_is_damage() {
    let bench = Bench::new();
    let (view, place, all) = filled(&bench).await;
    let wanted = |few: bool| -> BTreeMap<_, _> {
        let count = if few { SCANNED_MIN / 2 } else { 4 * SCANNED_MIN };
        all[..count].iter().map(|(docid, id, _)| (*docid, id.clone())).collect()
    };
    let unused = 1_000_000;
    for few in [true, false] {
        for other in ["r000003", "r000003x", "q", "s"] {
            let mut wanted = wanted(few);
            wanted.retain(|_, known| known.as_str() != other);
            wanted.insert(unused, id(other));
            let found = read(&view, place, wanted).await;
            assert!(found.is_err(), "{other} in a version that is not there, few: {few}");
        }
    }
}
