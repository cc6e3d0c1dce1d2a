//! What goes in comes out.

use std::sync::atomic::AtomicBool;

use lodgepole_types::StoredMetadata;

use super::data::{Maker, Row, stored};
use super::*;
use crate::rowset::RowSet;

/// Rows of every sort: with and without dense and sparse values, ids and metadata of any length.
fn mixed() -> Rows {
    let mut maker = Maker::new(70, 5);
    let mut rows = maker.rows(1_000, 18_000);
    for (at, row) in rows.0.iter_mut().enumerate() {
        // Not in order of docid.
        row.docid ^= 0x155;
        if at % 7 == 3 {
            row.values.clear();
        }
        if at % 3 == 0 {
            row.sparse = Some(maker.sparse(1 + at % 5, 300));
        }
        if at % 11 == 0 {
            row.metadata.clear();
        }
        if at % 13 == 0 {
            row.id = "ü".repeat(1 + at % 40);
            row.metadata = stored("{\"text\":\"long\"}");
        }
    }
    rows
}

fn assert_same(found: SourceRow<'_>, row: &Row) {
    assert_eq!(found.docid, row.docid);
    assert_eq!(found.id, row.id);
    assert_eq!(found.values, row.values);
    assert_eq!(found.sparse.map(SparseRef::to_vector), row.sparse);
    assert_eq!(found.metadata, StoredMetadata::new(&row.metadata));
}

#[test]
fn every_row_is_found_by_docid_as_it_was_given() {
    let rows = mixed();
    let segment = segment(&rows, shape(70, Metric::DotProduct));
    assert_eq!(segment.kind(), SegmentKind::Flat);
    assert_eq!(segment.rows(), rows.rows());
    let mut seen = RowSet::new(segment.rows());
    for row in &rows.0 {
        let number = segment.find(row.docid).unwrap().unwrap();
        assert!(seen.insert(number), "each row once");
        assert_eq!((number as usize) < segment.dense_rows(), !row.values.is_empty());
        assert_same(segment.row(number).unwrap(), row);
    }
    assert_eq!(segment.find(1).unwrap(), None);
    assert_eq!(segment.find(u64::MAX).unwrap(), None);
    let docids = rows.0.iter().map(|row| row.docid);
    let range = (docids.clone().min().unwrap(), docids.max().unwrap());
    assert_eq!(segment.docid_range(), Some(range));
    segment.verify().unwrap();
}

#[test]
fn a_segment_without_rows_is_searched_in_vain() {
    let segment = segment(&Rows::default(), shape(8, Metric::Cosine));
    assert_eq!((segment.rows(), segment.docid_range()), (0, None));
    assert_eq!(segment.find(1).unwrap(), None);
    let dead = RowSet::new(0);
    let live = [LiveSegment { segment: &segment, dead: &dead }];
    let query = PreparedQuery::dense(Metric::Cosine, vec![1.0; 8], Kernels::detect());
    assert!(search(&live, &query, &SearchOptions::nearest(3)).0.is_empty());
    assert!(search(&[], &query, &SearchOptions::nearest(3)).0.is_empty());
}

#[test]
fn a_row_that_does_not_fit_is_refused() {
    let build = |rows: &Rows, stop: bool| {
        let stop = AtomicBool::new(stop);
        let shape = shape(70, Metric::Cosine);
        build_segment(rows, shape, Kernels::detect(), &mut std::io::sink(), &stop)
    };
    let rows = Maker::new(70, 1).rows(1, 50);
    let mut twice = rows.clone();
    twice.0[7].docid = twice.0[8].docid;
    assert!(matches!(build(&twice, false), Err(SegmentError::Row { .. })));
    let mut longer = rows.clone();
    longer.0[7].values.push(1.0);
    assert!(matches!(build(&longer, false), Err(SegmentError::Row { .. })));
    assert!(matches!(build(&rows, true), Err(SegmentError::Stopped)));
    assert!(build(&rows, false).is_ok());
}

/// What stays in memory is far less than the vectors.
#[test]
fn resident_bytes_are_a_small_part() {
    let rows = Maker::new(128, 31).rows(1, 41_000);
    let segment = segment(&rows, shape(128, Metric::Cosine));
    assert_eq!(segment.kind(), SegmentKind::Lists);
    let per_row = segment.resident_bytes() / 41_000;
    assert!(per_row <= 40, "{per_row} bytes a row, of 512 for its values");
}

/// Goal: what is said to be read here and there is the rows, not the codes. Method: the parts named
/// lie inside the file, apart from each other, and have most of its bytes.
#[test]
fn scattered_parts_are_the_rows() {
    let rows = Maker::new(64, 3).rows(1, 41_000);
    let segment = segment(&rows, shape(64, Metric::Cosine));
    let mut parts = segment.scattered();
    parts.sort_by_key(|part| part.start);
    assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start));
    let bytes: usize = parts.iter().map(ExactSizeIterator::len).sum();
    let all = usize::try_from(segment.bytes()).unwrap();
    assert!(parts.last().unwrap().end <= all && bytes * 10 > all * 8, "{bytes} of {all}");
    let blocks = segment.container.place_of(Section::Blocks);
    assert!(
        !blocks.is_empty()
            && parts.iter().all(|part| part.end <= blocks.start || part.start >= blocks.end)
    );
}
