//! Goal: both kinds of sets hold exactly the rows put in, copies stay as they were, and the stored
//! form reads back or is refused. Method: generated operations beside a `BTreeSet`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn of(rows: usize, some: &[u32]) -> RowSet {
    let mut set = RowSet::new(rows);
    for row in some {
        set.insert(*row);
    }
    set
}

#[test]
fn rows_are_added_once_and_only_those_of_the_segment() {
    let mut set = RowSet::new(20_000);
    assert!(set.is_empty());
    assert!(set.insert(8_191) && set.insert(8_192) && set.insert(0) && set.insert(19_999));
    assert!(!set.insert(8_192), "it is in the set");
    assert!(!set.insert(20_000), "the segment has no such row");
    assert_eq!(set.len(), 4);
    assert_eq!(set.iter().collect::<Vec<_>>(), [0, 8_191, 8_192, 19_999]);
    assert_eq!((set.word(0), set.word(127), set.word(128)), (1, 1 << 63, 1));
    assert_eq!((set.word(19_999 / 64), set.word(1_000_000)), (1 << (19_999 % 64), 0));
    assert!(set.contains(19_999) && !set.contains(1) && !set.contains(u32::MAX));
}

#[test]
fn a_copy_stays_as_it_was() {
    let mut set = of(30_000, &[5, 9_000]);
    let before = set.clone();
    set.insert(6);
    set.insert(20_000);
    assert_eq!(before.iter().collect::<Vec<_>>(), [5, 9_000]);
    assert_eq!((before.len(), set.len()), (2, 4));
    assert!(
        Arc::ptr_eq(before.pages[1].as_ref().unwrap(), set.pages[1].as_ref().unwrap()),
        "pages that nobody changed are shared"
    );
}

#[test]
fn bytes_of_another_segment_or_damaged_ones_are_refused() {
    let bytes = of(100, &[1, 99]).encode();
    assert_eq!(RowSet::decode(&bytes, 100), Ok(of(100, &[1, 99])));
    assert_eq!(RowSet::decode(&bytes, 99), Err(RowSetError::Row { row: 99, rows: 99 }));
    for len in 0..bytes.len() {
        assert_eq!(RowSet::decode(&bytes[..len], 100), Err(RowSetError::Damaged), "{len}");
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(RowSet::decode(&longer, 100), Err(RowSetError::Damaged));
}

#[test]
fn a_mask_of_all_rows_has_no_bits_behind_the_last() {
    for rows in [0, 1, 63, 64, 65, 200] {
        let mask = Mask::all(rows);
        assert_eq!((mask.ones(), mask.iter().count()), (rows, rows));
        assert_eq!(Mask::of_words(rows, vec![u64::MAX; 9]), mask);
    }
}

proptest! {
    #[test]
    fn sets_hold_what_was_put_in(
        rows in 1_usize..40_000,
        first in proptest::collection::vec(any::<prop::sample::Index>(), 0..300),
        second in proptest::collection::vec(any::<prop::sample::Index>(), 0..300),
    ) {
        let pick = |some: &[prop::sample::Index]| -> Vec<u32> {
            some.iter().map(|index| u32::try_from(index.index(rows)).unwrap()).collect()
        };
        let (first, second) = (pick(&first), pick(&second));
        let (a, b) = (of(rows, &first), of(rows, &second));
        let naive = |some: &[u32]| some.iter().copied().collect::<BTreeSet<_>>();
        prop_assert!(a.iter().eq(naive(&first)));
        prop_assert_eq!(RowSet::decode(&a.encode(), rows), Ok(a.clone()));
        let mut both = a.clone();
        both.union(&b);
        prop_assert!(both.iter().eq(&naive(&first) | &naive(&second)));
        prop_assert_eq!(both.len(), both.iter().count());

        let mut mask = Mask::of_rows(rows, &first);
        prop_assert!(mask.iter().eq(a.iter()));
        mask.and_not(&b);
        prop_assert!(mask.iter().eq(&naive(&first) - &naive(&second)));
        prop_assert_eq!(mask.ones(), mask.iter().count());
        mask.insert_all(&second);
        prop_assert!(mask.iter().eq(both.iter()));
        mask.remove_all(&first);
        prop_assert!(mask.iter().eq(&naive(&second) - &naive(&first)));
        prop_assert_eq!(mask.ones(), mask.iter().count());
        for row in 0..u32::try_from(rows).unwrap() {
            prop_assert_eq!(mask.contains(row), b.contains(row) && !a.contains(row));
        }
    }
}
