//! Goal: a scan finds every allowed row that shares a dimension, with the bits that scoring it alone
//! gives, whatever the windows, the range and the bar.
//!
//! Method: generated vectors on rows that lie in one window or far apart; each row is also scored
//! alone.

mod speed;

use std::sync::Arc;

use lodgepole_kernels::Kernels;
use lodgepole_types::SparseVector;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::PreparedQuery;
use crate::flat::SparseRef;
use lodgepole_container::{AlignedBytes, SegmentHeader, SegmentWriter};

pub(super) fn container_of(rows: &[(u32, SparseVector)]) -> Container {
    let mut builder = PostingsBuilder::new();
    for (row, vector) in rows {
        builder.push(*row, SparseRef::from(vector)).unwrap();
    }
    let mut bytes = Vec::new();
    let mut writer = SegmentWriter::new(&mut bytes, SegmentHeader::default()).unwrap();
    builder.write(&mut writer).unwrap();
    writer.finish().unwrap();
    Container::open(Arc::new(AlignedBytes::copy_of(&bytes))).unwrap()
}

/// Keeps what it is given; raises the bar to the best score once it has `k`.
pub(super) struct Kept {
    pub(super) k: usize,
    pub(super) bar: f32,
    pub(super) hits: Vec<(u32, u32)>,
}

impl SparseHits for Kept {
    fn threshold(&self) -> f32 {
        self.bar
    }

    fn hit(&mut self, row: u32, score: f32) -> Result<(), SegmentError> {
        assert!(score >= self.bar, "below the bar");
        self.hits.push((row, score.to_bits()));
        if self.hits.len().is_multiple_of(self.k) {
            self.bar = self.bar.max(score);
        }
        Ok(())
    }
}

fn values() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => prop::sample::select(vec![0.0_f32, -0.0, 1.0, -1.0, 0.5, 0.1, -0.3]),
        1 => prop::sample::select(vec![f32::MAX, f32::MIN, 1e-45, -1e-45, 1e30, -1e-30]),
        2 => -10.0_f32..10.0,
    ]
}

/// Vectors over few dimensions, in an order that is not ascending.
fn vectors() -> impl Strategy<Value = SparseVector> {
    let dimension = prop::sample::select(vec![0, 1, 2, 3, 9, 77, 1 << 31, u32::MAX - 1, u32::MAX]);
    btree_map(dimension, values(), 1..7).prop_flat_map(|vector| {
        Just(vector.into_iter().collect::<Vec<_>>()).prop_shuffle().prop_map(|entries| {
            let (indices, values) = entries.into_iter().unzip();
            SparseVector { indices, values }
        })
    })
}

const ROWS: u32 = 40_000;

/// Ascending rows with vectors: side by side, or far apart.
fn rows() -> impl Strategy<Value = Vec<(u32, SparseVector)>> {
    let step = prop_oneof![3 => 1_u32..3, 1 => 1_u32..9_000];
    vec((step, vectors()), 0..60).prop_map(|steps| {
        let mut row = 0;
        let mut rows = Vec::new();
        for (step, vector) in steps {
            row += step;
            if row < ROWS {
                rows.push((row, vector));
            }
        }
        rows
    })
}

fn alone(query: &PreparedQuery, vector: &SparseVector) -> Option<f32> {
    query.rescore(Kernels::detect(), &[], Some(SparseRef::from(vector)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_scan_finds_what_scoring_alone_finds(
        rows in rows(),
        query in vectors(),
        range in (0..ROWS, 0..ROWS),
        mask in prop::option::of(vec(any::<bool>(), 60)),
        dead in vec(0_u8..4, 60),
    ) {
        let container = container_of(&rows);
        let query = PreparedQuery::sparse(&query);
        let range = range.0.min(range.1)..range.0.max(range.1);
        let nth = |flags: &[bool]| -> Vec<u32> {
            rows.iter().zip(flags).filter(|(_, flag)| **flag).map(|(row, _)| row.0).collect()
        };
        let mask = mask.map(|flags| Mask::of_rows(ROWS as usize, &nth(&flags)));
        let mut buried = RowSet::new(ROWS as usize);
        for row in nth(&dead.iter().map(|dead| *dead == 0).collect::<Vec<_>>()) {
            buried.insert(row);
        }
        let expected: Vec<(u32, u32)> = rows
            .iter()
            .filter(|(row, _)| range.contains(row) && !buried.contains(*row))
            .filter(|(row, _)| mask.as_ref().is_none_or(|mask| mask.contains(*row)))
            .filter_map(|(row, vector)| Some((*row, alone(&query, vector)?.to_bits())))
            .collect();
        let postings = Postings::open(&container).unwrap();
        let sparse = query.sparse_part().unwrap();
        let allowed = Allowed { mask: mask.as_ref(), dead: &buried };
        let mut kept = Kept { k: usize::MAX, bar: f32::NEG_INFINITY, hits: Vec::new() };
        postings.scan(sparse, range.clone(), allowed, &mut kept).unwrap();
        kept.hits.sort_unstable();
        prop_assert_eq!(&kept.hits, &expected);

        // With a bar that rises, nothing above it may be missing.
        let mut rising = Kept { k: 3, bar: f32::NEG_INFINITY, hits: Vec::new() };
        postings.scan(sparse, range, allowed, &mut rising).unwrap();
        for hit in expected {
            prop_assert!(f32::from_bits(hit.1) < rising.bar || rising.hits.contains(&hit));
        }
    }

    #[test]
    fn sums_of_a_window_are_those_of_scoring_alone(
        rows in rows(),
        query in vectors(),
        start in 0..ROWS,
        length in 0_usize..10_000,
    ) {
        let container = container_of(&rows);
        let query = PreparedQuery::sparse(&query);
        let mut sums = vec![f64::NAN; length];
        let postings = Postings::open(&container).unwrap();
        let any = postings.accumulate(query.sparse_part().unwrap(), start, &mut sums).unwrap();
        prop_assert_eq!(any, sums.iter().any(|sum| touched(*sum).is_some()));
        for (row, sum) in (start..).zip(&sums) {
            let vector = rows.iter().find(|(other, _)| *other == row);
            let expected = vector.and_then(|(_, vector)| alone(&query, vector));
            prop_assert_eq!(touched(*sum).map(|sum| narrow(sum).to_bits()), expected.map(f32::to_bits));
        }
    }
}

#[test]
fn windows_full_of_postings_are_scored_as_thin_ones() {
    // More postings than an eighth of the rows: all sums of a window are looked at.
    let rows: Vec<(u32, SparseVector)> = (0..ROWS / 2)
        .map(|row| {
            let values = vec![(row % 97) as f32 - 40.0, 0.25];
            (row * 2, SparseVector { indices: vec![5, row % 3], values })
        })
        .collect();
    let container = container_of(&rows);
    let query =
        PreparedQuery::sparse(&SparseVector { indices: vec![5, 1], values: vec![0.5, -2.0] });
    let dead = RowSet::new(ROWS as usize);
    let postings = Postings::open(&container).unwrap();
    for bar in [f32::NEG_INFINITY, -3.0, 0.0, 27.5, 27.6, f32::INFINITY] {
        let mut kept = Kept { k: usize::MAX, bar, hits: Vec::new() };
        let allowed = Allowed { mask: None, dead: &dead };
        postings.scan(query.sparse_part().unwrap(), 0..ROWS, allowed, &mut kept).unwrap();
        let expected = rows.iter().filter_map(|(row, vector)| Some((*row, alone(&query, vector)?)));
        let expected = expected.filter(|(_, score)| *score >= bar);
        let expected: Vec<_> = expected.map(|(row, score)| (row, score.to_bits())).collect();
        assert_eq!(kept.hits, expected, "{bar}");
    }
}

#[test]
fn a_segment_without_sparse_vectors_has_nothing_to_find() {
    let container = container_of(&[]);
    let postings = Postings::open(&container).unwrap();
    let query = PreparedQuery::sparse(&SparseVector { indices: vec![1], values: vec![1.0] });
    let mut sums = [0.0; 10];
    assert!(!postings.accumulate(query.sparse_part().unwrap(), 0, &mut sums).unwrap());
    assert!(sums.iter().all(|sum| touched(*sum).is_none()));
}
