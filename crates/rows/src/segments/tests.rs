//! Goal: rows of segments read back as they were written, and nothing else is taken for one.
//! Method: generated rows; every cut of an encoded row.

use lodgepole_types::{IndexId, RecordId, Rng, SeededRng};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn entries(seed: u64, count: usize) -> DirectoryRow {
    let rng = SeededRng::new(seed);
    let entry = |_| SegmentEntry {
        id: SegmentId { origin: IndexId::random(&rng), id: Uuid::from_u128(rng.next_u64().into()) },
        rows: rng.next_u64(),
        bytes: rng.next_u64(),
    };
    DirectoryRow { segments: (0..count).map(entry).collect() }
}

proptest! {
    #[test]
    fn a_directory_reads_back_and_no_cut_of_it_does(seed: u64, count in 0_usize..6) {
        let row = entries(seed, count);
        let bytes = row.encode();
        prop_assert_eq!(DirectoryRow::decode(&bytes), Ok(row.clone()));
        for cut in 0..bytes.len() {
            prop_assert!(DirectoryRow::decode(&bytes[..cut]).is_err());
        }
        for entry in row.segments {
            prop_assert_eq!(SegmentId::parse(&entry.id.to_string()), Some(entry.id));
        }
    }

    #[test]
    fn a_queue_row_reads_back_and_no_cut_of_it_does(
        born in prop::collection::vec((any::<u64>(), "[ -~]{1,20}"), 0..6),
        buried in prop::collection::vec(any::<u64>(), 0..6),
    ) {
        let born = born.into_iter().map(|(docid, id)| (docid, RecordId::parse(&id).unwrap()));
        let row = QueueRow { born: born.collect(), buried };
        let bytes = row.encode();
        prop_assert_eq!(QueueRow::decode(&bytes), Ok(row.clone()));
        for cut in 0..bytes.len() {
            prop_assert!(QueueRow::decode(&bytes[..cut]).is_err());
        }
    }
}

#[test]
fn keys_name_their_place_and_sort_by_sequence() {
    let place = Place { slot: 7, id: NamespaceId(300) };
    assert_eq!(place_of_directory_key(&directory_key(place)), Some(place));
    assert_eq!(place_of_directory_key(&queue_key(place, 1)), None);
    assert!(queue_key(place, 255) < queue_key(place, 256));
    assert_eq!(seq_of_queue_key(&queue_key(place, 256)), Ok(256));
    assert!(directory_key(place).starts_with(&directory_prefix(7)));
}
