//! Shape and counts of a segment: the section `Meta`, a struct of fixed size.

use lodgepole_types::Metric;

use super::{SegmentError, SegmentKind, SegmentShape};
use lodgepole_container::{Container, Section};

/// Numbers of the section, each of 64 bits. docs/format/segment.md names them.
pub(super) const META_WORDS: usize = 12;

/// What the section says, checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Meta {
    pub(super) shape: SegmentShape,
    pub(super) kind: SegmentKind,
    /// Values of a rotated vector.
    pub(super) padded: usize,
    pub(super) rows: usize,
    /// Rows with a dense vector; they come first.
    pub(super) dense_rows: usize,
    pub(super) lists: usize,
    /// Blocks of codes; 0 when the 8-bit rows take their place, or nothing does.
    pub(super) blocks: usize,
    pub(super) docid_min: u64,
    pub(super) docid_max: u64,
    /// What the terms of the codes were divided by.
    pub(super) reference: f32,
}

impl Meta {
    pub(super) fn encode(&self) -> [u64; META_WORDS] {
        [
            self.shape.seed,
            self.shape.dimension as u64,
            metric_number(self.shape.metric),
            kind_number(self.kind),
            self.padded as u64,
            self.rows as u64,
            self.dense_rows as u64,
            self.lists as u64,
            self.blocks as u64,
            self.docid_min,
            self.docid_max,
            u64::from(self.reference.to_bits()),
        ]
    }

    pub(super) fn read(container: &Container) -> Result<Self, SegmentError> {
        let damaged = || SegmentError::damaged(Section::Meta);
        let words = container.u64s(Section::Meta, 0..META_WORDS)?;
        let word = |at: usize| words.get(at).copied().ok_or_else(damaged);
        // Counts are below 2^32: rows are numbered in 32 bits.
        let count = |at: usize| {
            word(at).and_then(|word| u32::try_from(word).map_err(|_| damaged())).map(|n| n as usize)
        };
        let reference = u32::try_from(word(11)?).map_err(|_| damaged())?;
        let meta = Self {
            shape: SegmentShape {
                dimension: count(1)?,
                metric: metric_of(count(2)?).ok_or_else(damaged)?,
                seed: word(0)?,
            },
            kind: kind_of(count(3)?).ok_or_else(damaged)?,
            padded: count(4)?,
            rows: count(5)?,
            dense_rows: count(6)?,
            lists: count(7)?,
            blocks: count(8)?,
            docid_min: word(9)?,
            docid_max: word(10)?,
            reference: f32::from_bits(reference),
        };
        if meta.dense_rows > meta.rows {
            return Err(damaged());
        }
        Ok(meta)
    }
}

fn metric_number(metric: Metric) -> u64 {
    match metric {
        Metric::Cosine => 0,
        Metric::DotProduct => 1,
        Metric::Euclidean => 2,
    }
}

fn metric_of(number: usize) -> Option<Metric> {
    [Metric::Cosine, Metric::DotProduct, Metric::Euclidean].get(number).copied()
}

fn kind_number(kind: SegmentKind) -> u64 {
    match kind {
        SegmentKind::Exact => 0,
        SegmentKind::Flat => 1,
        SegmentKind::Lists => 2,
    }
}

fn kind_of(number: usize) -> Option<SegmentKind> {
    [SegmentKind::Exact, SegmentKind::Flat, SegmentKind::Lists].get(number).copied()
}
