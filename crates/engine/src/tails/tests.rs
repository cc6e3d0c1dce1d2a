//! Goal: the budget holds while tails are being loaded, not only afterwards; and a tail shows exactly
//! what was written, whenever it was loaded. Method: several loads under way at once against a
//! budget with room for one; effects before, during and after a load.

use lodgepole_rows::NamespaceId;
use lodgepole_search::FlatChunk;
use lodgepole_types::{IndexId, RecordId, SeededRng, SparseVector};

use super::*;
use crate::change::{Added, Revised};
use crate::record_scan::ScannedRecord;
use crate::tests::metadata;

const DIMENSION: usize = 4;

fn key(number: u64) -> TailKey {
    let index = IndexId::random(&SeededRng::new(1));
    TailKey { index, place: Place { slot: 0, id: NamespaceId(number) } }
}

fn chunk(rows: u64) -> FlatChunk {
    let mut gatherer = ChunkGatherer::new(DIMENSION);
    for docid in 0..rows {
        assert!(!gatherer.push(scanned(docid, vec![1.0; DIMENSION])).unwrap());
    }
    gatherer.finish().unwrap().remove(0)
}

#[test]
fn large_records_are_gathered_in_chunks_of_some_megabytes() {
    // 4 KiB each: 8,192 of them would be 32 MiB, twice while a chunk is made of them.
    let mut gatherer = ChunkGatherer::new(1_024);
    let mut rows = 1;
    while !gatherer.push(scanned(rows, vec![1.0; 1_024])).unwrap() {
        rows += 1;
    }
    assert!((1_024..=2_048).contains(&rows), "{rows} rows");
    assert!((4 << 20..=9 << 20).contains(&gatherer.bytes()), "{} bytes", gatherer.bytes());
    let chunks = gatherer.take();
    assert_eq!((chunks.len(), chunks[0].rows() as u64), (1, rows));
}

fn loaded(chunks: Vec<FlatChunk>) -> LoadedRows {
    LoadedRows { chunks, ..LoadedRows::default() }
}

fn scanned(docid: u64, values: Vec<f32>) -> ScannedRecord {
    let id = RecordId::parse(&format!("r{docid}")).unwrap();
    let metadata = metadata(r#"{"n":1}"#).to_stored().into();
    ScannedRecord { docid, id, values, sparse: None, metadata }
}

#[test]
fn tails_that_are_being_loaded_count_against_the_budget() {
    let cache = TailCache::new(1_000);
    let Admission::Load(first) = cache.admit(key(1), DIMENSION, 600) else { panic!("no room") };
    let second = cache.admit(key(2), DIMENSION, 600);
    assert!(matches!(second, Admission::TooLarge), "both loads together exceed the budget");
    drop(first);
    assert_eq!(cache.bytes(), 0, "a load that was given up gives its room back");
    assert!(matches!(cache.admit(key(2), DIMENSION, 600), Admission::Load(_)));
}

#[test]
fn a_loaded_tail_counts_as_what_it_takes_and_makes_way_for_the_next() {
    let rows = chunk(10);
    let bytes = rows.bytes() as u64;
    let cache = TailCache::new(bytes + 100);
    let Admission::Load(first) = cache.admit(key(1), DIMENSION, 50) else { panic!("no room") };
    first.finish(loaded(vec![rows]), Lsn(1)).unwrap();
    assert_eq!(cache.bytes(), bytes);
    let Admission::Load(second) = cache.admit(key(2), DIMENSION, 200) else { panic!("no room") };
    assert_eq!(cache.bytes(), 200, "the tail that was not searched lately is gone");
    drop(second);
    assert!(matches!(cache.admit(key(1), DIMENSION, 50), Admission::Load(_)));
}

#[test]
fn a_load_that_turns_out_larger_than_expected_takes_the_room_that_is_there_and_no_more() {
    let cache = TailCache::new(1_000);
    let Admission::Load(loading) = cache.admit(key(1), DIMENSION, 100) else { panic!("no room") };
    assert!(loading.has_room_for(900));
    assert_eq!(cache.bytes(), 900);
    assert!(loading.has_room_for(300), "nothing is given back before the end");
    assert!(!loading.has_room_for(1_100));
    drop(loading);
    assert_eq!(cache.bytes(), 0);
}

fn added(docid: u64, id: &str, sparse: Option<SparseVector>) -> Added {
    let values = if sparse.is_some() { Vec::new() } else { vec![2.0; DIMENSION] };
    let metadata = metadata(r#"{"n":2}"#).to_stored();
    Added { docid, id: RecordId::parse(id).unwrap(), values, sparse, metadata }
}

fn effect(added: Vec<Added>, revised: Vec<Revised>, buried: Vec<u64>) -> Effect {
    Effect { place: Some(key(1).place), added, revised, buried, ..Effect::default() }
}

/// Id, docid, number of values, and metadata of what a view shows, by docid.
fn shown(view: &TailView) -> Vec<(u64, String, usize, String)> {
    let mut rows = Vec::new();
    for chunk in view.chunks.iter() {
        for row in (0..chunk.rows()).filter(|&row| chunk.is_visible(row, view.lsn)) {
            let metadata = chunk.metadata_of(row).to_metadata().unwrap();
            let metadata = serde_json::to_string(metadata.as_struct()).unwrap();
            let id = chunk.id_of(row).to_owned();
            rows.push((chunk.docid_of(row), id, chunk.values_of(row).len(), metadata));
        }
    }
    rows.sort();
    rows
}

#[tokio::test]
async fn of_what_is_written_during_a_load_only_what_the_view_does_not_show_is_applied() {
    let cache = TailCache::new(1 << 20);
    let Admission::Load(loading) = cache.admit(key(1), DIMENSION, 100) else { panic!("no room") };
    let index = key(1).index;
    // The view is of Lsn 5: it shows the first of these, in which r7 replaced r6, whole.
    cache.apply(index, Lsn(5), effect(vec![added(7, "r7", None)], vec![], vec![6]));
    cache.apply(index, Lsn(6), effect(vec![added(9, "r9", None)], vec![], vec![8]));
    let tail = loading.finish(loaded(vec![chunk(9)]), Lsn(5)).unwrap().unwrap();
    let view = tail.view().await.unwrap();
    assert_eq!(view.lsn, Lsn(6));
    let docids: Vec<_> = shown(&view).into_iter().map(|row| row.0).collect();
    assert_eq!(docids, [0, 1, 2, 3, 4, 5, 6, 7, 9], "6 is in the view, so it lived at Lsn 5");
    // An applier that is behind the view has nothing to say.
    cache.apply(index, Lsn(4), effect(vec![added(3, "r3", None)], vec![], vec![2]));
    assert_eq!(shown(&tail.view().await.unwrap()), shown(&view));
}

#[tokio::test]
async fn a_revision_keeps_the_vectors_and_changes_the_metadata() {
    let cache = TailCache::new(1 << 20);
    let Admission::Load(loading) = cache.admit(key(1), DIMENSION, 100) else { panic!("no room") };
    let tail = loading.finish(loaded(vec![chunk(2)]), Lsn(1)).unwrap().unwrap();
    let index = key(1).index;
    let sparse = SparseVector { indices: vec![9, 3], values: vec![1.0, -1.0] };
    let new = added(2, "bare", Some(sparse.clone()));
    cache.apply(index, Lsn(2), effect(vec![new], vec![], vec![]));
    let before = tail.view().await.unwrap();
    let revised = |old, docid, json| Revised {
        old,
        docid,
        id: RecordId::parse("r").unwrap(),
        metadata: metadata(json).to_stored(),
    };
    let both = vec![revised(1, 3, r#"{"n":8}"#), revised(2, 4, r#"{"n":9}"#)];
    cache.apply(index, Lsn(3), effect(vec![added(5, "x", None)], both, vec![1, 2]));
    let view = tail.view().await.unwrap();
    let text = |id: &str| id.to_owned();
    assert_eq!(
        shown(&view),
        [
            (0, text("r0"), DIMENSION, text(r#"{"n":1}"#)),
            (3, text("r1"), DIMENSION, text(r#"{"n":8}"#)),
            (4, text("bare"), 0, text(r#"{"n":9}"#)),
            (5, text("x"), DIMENSION, text(r#"{"n":2}"#)),
        ]
    );
    let sparses: Vec<_> = view
        .chunks
        .iter()
        .flat_map(|chunk| (0..chunk.rows()).filter_map(|row| chunk.sparse_of(row)))
        .map(lodgepole_search::SparseRef::to_vector)
        .collect();
    assert!(sparses.iter().all(|kept| *kept == sparse) && !sparses.is_empty());
    let docids: Vec<_> = shown(&before).into_iter().map(|row| row.0).collect();
    assert_eq!(docids, [0, 1, 2], "the older view has not changed");
}

#[tokio::test]
async fn a_namespace_that_is_overwritten_again_and_again_does_not_grow() {
    let cache = TailCache::new(1 << 30);
    let Admission::Load(loading) = cache.admit(key(1), DIMENSION, 100) else { panic!("no room") };
    let tail = loading.finish(loaded(vec![chunk(1_000)]), Lsn(0)).unwrap().unwrap();
    let once = cache.bytes();
    for round in 1..60_u64 {
        let docids = round * 1_000..(round + 1) * 1_000;
        let new = docids.clone().map(|docid| added(docid, &format!("r{}", docid % 1_000), None));
        let buried = docids.clone().map(|docid| docid - 1_000).collect();
        cache.apply(key(1).index, Lsn(round), effect(new.collect(), vec![], buried));
        assert!(cache.bytes() < 4 * once, "round {round}: {} of {once}", cache.bytes());
    }
    assert_eq!(shown(&tail.view().await.unwrap()).len(), 1_000);
}
