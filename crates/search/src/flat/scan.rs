//! Scoring the rows of a chunk.
//!
//! A filter is exact, so the order in which rows are scored and filtered never shows in an answer;
//! it only decides what a scan costs. Where a score is dear and few rows pass, the filter goes
//! first and only the survivors are scored. Otherwise the score goes first: once k rows are found
//! few others get past the bar, so the filter is hardly ever asked.

use std::ops::Range;

use lodgepole_kernels::Kernels;
use lodgepole_types::{Filter, Lsn};

use super::FlatChunk;
use super::sparse::SparseSums;
use crate::query::{DenseQuery, PreparedQuery, narrow, with_sparse};
use crate::topk::TopK;

/// Rows scored in one go; their scores stay on the stack.
const BLOCK_ROWS: usize = 256;

/// What a scan may find.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Rows born at or before it, and not dead by then.
    pub at: Lsn,
    /// Only rows with metadata that matches.
    pub filter: Option<&'a Filter>,
}

impl FlatChunk {
    /// Scores the rows in `scope` and pushes those that `top` admits. A query with a dense part
    /// finds nothing in a chunk without dense vectors; one without finds only rows that share a
    /// dimension with it.
    ///
    /// `scope.at` must have been published after the burials up to it; then every one of them is
    /// seen. For several chunks on several threads give each thread its own `top` and merge them.
    ///
    /// # Panics
    /// When the query has another dimension, unless the chunk has no dense vectors.
    pub fn scan<'a>(
        &'a self,
        kernels: Kernels,
        query: &PreparedQuery,
        scope: Scope<'_>,
        top: &mut TopK<'a>,
    ) {
        self.scan_rows(0..self.rows(), kernels, query, scope, top);
    }

    /// As [`scan`](Self::scan), for some of the rows: lets several threads share a large chunk.
    ///
    /// # Panics
    /// When the range leaves the chunk, or the query has another dimension.
    pub fn scan_rows<'a>(
        &'a self,
        rows: Range<usize>,
        kernels: Kernels,
        query: &PreparedQuery,
        scope: Scope<'_>,
        top: &mut TopK<'a>,
    ) {
        debug_assert_eq!(query.metric(), top.metric(), "one metric for query and collection");
        let sums = query.sparse_part().and_then(|sparse| self.sparse.sums(sparse, &rows));
        match query.dense_part() {
            Some(_) if self.dimension == 0 => {}
            Some(dense) => {
                let scan = DenseScan { chunk: self, kernels, query: dense, scope, sums };
                scan.run(rows, top);
            }
            None => {
                for (at, sum) in sums.iter().flat_map(SparseSums::touched) {
                    self.offer(rows.start + at, narrow(sum), scope, top);
                }
            }
        }
    }

    /// Pushes a row that has been scored.
    fn offer<'a>(&'a self, row: usize, score: f32, scope: Scope<'_>, top: &mut TopK<'a>) {
        // PERF: the score decides first; after the first rows few get past it, so births, deaths
        // and metadata are hardly ever loaded.
        if top.admits(score) && self.is_in(row, scope) {
            top.push(self.candidate(row, score));
        }
    }
}

/// A scan over dense vectors, with the sums of the sparse ones for a hybrid query.
struct DenseScan<'a, 'q> {
    chunk: &'a FlatChunk,
    kernels: Kernels,
    query: &'q DenseQuery,
    scope: Scope<'q>,
    sums: Option<SparseSums>,
}

/// How the filter has fared so far.
#[derive(Debug, Default)]
struct Passed {
    seen: usize,
    passed: usize,
}

impl<'a> DenseScan<'a, '_> {
    fn run(&self, rows: Range<usize>, top: &mut TopK<'a>) {
        assert_eq!(
            self.query.dimension(),
            self.chunk.dimension,
            "a query of the chunk's dimension"
        );
        let mut scores = [0.0; BLOCK_ROWS];
        let mut passed = Passed::default();
        let mut start = rows.start;
        while start < rows.end {
            let block = start..rows.end.min(start + BLOCK_ROWS);
            match self.scope.filter {
                Some(filter) if self.filter_goes_first(filter, &passed, top) => {
                    self.filtered_block(block.clone(), rows.start, &mut passed, top);
                }
                _ => {
                    let scores = &mut scores[..block.len()];
                    self.score(block.clone(), scores);
                    for (row, &score) in block.clone().zip(&*scores) {
                        let score = self.total(row - rows.start, score);
                        self.chunk.offer(row, score, self.scope, top);
                    }
                }
            }
            start = block.end;
        }
    }

    /// Whether filtering a row costs less than scoring those that do not pass. While everything is
    /// admitted each row meets the filter anyway; and the first block shows how many pass.
    fn filter_goes_first(&self, filter: &Filter, passed: &Passed, top: &TopK<'_>) -> bool {
        /// What one condition costs, and one byte of metadata that is walked over, in the time of
        /// one dimension. Measured with `benches/scan.rs`.
        const CONDITION_COST: usize = 96;
        const BYTE_COST: usize = 4;
        if passed.seen == 0 || top.admits_all() {
            return true;
        }
        let bytes = self.chunk.metadata.len() / self.chunk.rows();
        let filtering = CONDITION_COST * filter.fields().count() + BYTE_COST * bytes;
        filtering * passed.seen < self.chunk.dimension * (passed.seen - passed.passed)
    }

    fn filtered_block(
        &self,
        block: Range<usize>,
        first: usize,
        passed: &mut Passed,
        top: &mut TopK<'a>,
    ) {
        let mut survivors = [0; BLOCK_ROWS];
        let mut count = 0;
        for row in block.clone() {
            if self.chunk.is_in(row, self.scope) {
                survivors[count] = row;
                count += 1;
            }
        }
        passed.seen += block.len();
        passed.passed += count;
        let survivors = &survivors[..count];
        let mut scores = [0.0; BLOCK_ROWS];
        if count * 2 > block.len() {
            // Most pass: scoring rows in a run is cheaper than one by one.
            self.score(block.clone(), &mut scores[..block.len()]);
        } else {
            for &row in survivors {
                let at = row - block.start;
                self.score(row..row + 1, &mut scores[at..=at]);
            }
        }
        for &row in survivors {
            let score = self.total(row - first, scores[row - block.start]);
            if top.admits(score) {
                top.push(self.chunk.candidate(row, score));
            }
        }
    }

    fn score(&self, rows: Range<usize>, scores: &mut [f32]) {
        let dimension = self.chunk.dimension;
        let values = &self.chunk.values[rows.start * dimension..rows.end * dimension];
        self.query.score_rows(self.kernels, values, &self.chunk.inverse_norms[rows], scores);
    }

    /// Adds the sparse part; `at` counts from the first row of the scan.
    fn total(&self, at: usize, score: f32) -> f32 {
        with_sparse(score, self.sums.as_ref().and_then(|sums| sums.get(at)))
    }
}
