//! Goal: the budget holds while tails are being loaded, not only afterwards. Method: several loads
//! under way at once against a budget with room for one.

use lodgepole_types::{IndexId, SeededRng};

use super::*;
use crate::rows::NamespaceId;

const DIMENSION: usize = 4;

fn key(number: u64) -> TailKey {
    let index = IndexId::random(&SeededRng::new(1));
    TailKey { index, place: Place { slot: 0, id: NamespaceId(number) } }
}

fn chunk(rows: u64) -> FlatChunk {
    let mut gatherer = ChunkGatherer::new(DIMENSION);
    for docid in 0..rows {
        let id = RecordId::parse(&format!("r{docid}")).unwrap();
        gatherer.push(docid, id, vec![1.0; DIMENSION]).unwrap();
    }
    gatherer.finish().unwrap().remove(0)
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
    first.finish(vec![rows], Lsn(1)).unwrap();
    assert_eq!(cache.bytes(), bytes);
    let Admission::Load(second) = cache.admit(key(2), DIMENSION, 200) else { panic!("no room") };
    assert_eq!(cache.bytes(), 200, "the tail that was not searched lately is gone");
    drop(second);
    assert!(matches!(cache.admit(key(1), DIMENSION, 50), Admission::Load(_)));
}
