//! Rows that are made up, and what is true of them.

use lodgepole_types::{Filter, Limits, Metadata, Metric, SparseVector, StoredMetadata, Struct};

use super::super::random::Draw;
use super::super::{RowSource, SegmentError, SourceRow};
use crate::query::PreparedQuery;

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) docid: u64,
    pub(super) id: String,
    pub(super) values: Vec<f32>,
    pub(super) sparse: Option<SparseVector>,
    pub(super) metadata: Vec<u8>,
    /// Thousandths, at random; what filters ask for.
    pub(super) mark: usize,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        let row = &self.0[row];
        Ok(SourceRow {
            docid: row.docid,
            id: &row.id,
            values: &row.values,
            sparse: row.sparse.as_ref().map(Into::into),
            metadata: StoredMetadata::new(&row.metadata),
        })
    }
}

impl Rows {
    /// The docids of the k best rows, by a plain loop.
    pub(super) fn truth(
        &self,
        query: &PreparedQuery,
        k: usize,
        keep: impl Fn(&Row) -> bool,
    ) -> Vec<u64> {
        let kernels = lodgepole_kernels::Kernels::detect();
        let lower = query.metric().lower_is_nearer();
        let scored = self.0.iter().filter(|row| keep(row)).filter_map(|row| {
            let sparse = row.sparse.as_ref().map(Into::into);
            let score = query.rescore(kernels, &row.values, sparse)?;
            Some((if lower { score } else { -score }, row.docid))
        });
        let mut scored: Vec<_> = scored.collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        scored.truncate(k);
        scored.into_iter().map(|(_, docid)| docid).collect()
    }
}

/// Makes vectors: clusters of unequal size and width around a common offset, with directions of
/// falling strength.
pub(super) struct Maker {
    draw: Draw,
    centers: Vec<Vec<f32>>,
    widths: Vec<f32>,
    dimension: usize,
}

impl Maker {
    pub(super) fn new(dimension: usize, seed: u64) -> Self {
        const CENTERS: usize = 150;
        let mut maker = Self {
            draw: Draw::new(seed),
            centers: vec![vec![0.0; dimension]],
            widths: vec![0.0],
            dimension,
        };
        let offset = maker.normal(0.3);
        for _ in 0..CENTERS {
            let center = maker.normal(0.7);
            maker.centers.push(center.iter().zip(&offset).map(|(c, o)| c + o).collect());
            let width = 0.4 + maker.uniform();
            maker.widths.push(width);
        }
        maker
    }

    /// A vector like the others.
    pub(super) fn vector(&mut self) -> Vec<f32> {
        let share = self.uniform();
        let count = self.centers.len() - 1;
        let cluster = 1 + ((share * share * count as f32) as usize).min(count - 1);
        let noise = self.normal(self.widths[cluster]);
        self.centers[cluster].iter().zip(noise).map(|(center, noise)| center + noise).collect()
    }

    /// A vector from nowhere near.
    pub(super) fn strange(&mut self) -> Vec<f32> {
        self.normal(1.0)
    }

    pub(super) fn rows(&mut self, first_docid: u64, count: usize) -> Rows {
        Rows((0..count as u64).map(|at| self.row(first_docid + at)).collect())
    }

    pub(super) fn row(&mut self, docid: u64) -> Row {
        let mark = self.draw.below(1_000);
        let values = self.vector();
        // A region: what lies on one side along the first direction.
        let side = (values[0] * 1_000.0) as i64;
        Row {
            docid,
            id: format!("record-{docid}"),
            values,
            sparse: None,
            metadata: stored(&format!("{{\"mark\":{mark},\"side\":{side},\"odd\":{}}}", docid % 2)),
            mark,
        }
    }

    pub(super) fn sparse(&mut self, entries: usize, dimensions: usize) -> SparseVector {
        let mut indices = self.draw.sample(entries, dimensions);
        indices.reverse();
        let values = indices.iter().map(|_| self.uniform() * 2.0 - 0.5).collect();
        let indices = indices.into_iter().map(|index| u32::try_from(index).unwrap()).collect();
        SparseVector { indices, values }
    }

    pub(super) fn uniform(&mut self) -> f32 {
        self.draw.below(1 << 24) as f32 / (1 << 24) as f32
    }

    fn normal(&mut self, scale: f32) -> Vec<f32> {
        (0..self.dimension)
            .map(|at| {
                let sum: f32 = (0..6).map(|_| self.uniform() - 0.5).sum();
                sum * 1.4 * scale / (1.0 + at as f32 / 24.0)
            })
            .collect()
    }
}

pub(super) fn stored(json: &str) -> Vec<u8> {
    let fields: Struct = serde_json::from_str(json).unwrap();
    Metadata::parse(fields, &Limits::default()).unwrap().to_stored()
}

pub(super) fn filter(json: &str) -> Filter {
    Filter::parse(&serde_json::from_str(json).unwrap(), &Limits::default()).unwrap()
}

pub(super) fn dense_query(metric: Metric, values: Vec<f32>) -> PreparedQuery {
    PreparedQuery::dense(metric, values, lodgepole_kernels::Kernels::detect())
}
