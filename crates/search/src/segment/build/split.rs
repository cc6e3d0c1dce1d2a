//! Splits a cluster into lists of at most [`LEAF_ROWS`] rows, so that rows that are scanned together
//! lie together.
//!
//! Many clusters are larger than others, and hold several neighbourhoods, of which a query needs one
//! or two. Halving them across the line between two far ends, until few rows are left, gives each
//! neighbourhood a centroid of its own: estimates get better, and fewer rows need a look. Every list
//! but the last of a cluster fills its blocks.
//!
//! WHY halves and not more clusters: these come in all sizes, and blocks are scanned, and stored,
//! whole.

use lodgepole_kernels::{BLOCK_ROWS, Kernels};

/// Rows of a list.
const LEAF_ROWS: usize = 2 * BLOCK_ROWS;
/// Rounds that move the two ends of a half to the middle of what is nearer to them.
const ROUNDS: usize = 2;

/// Rows in the order of their leaves.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    /// Numbers of rows among those that were split.
    pub(super) order: Vec<u32>,
    /// Rows of each leaf.
    pub(super) lengths: Vec<u32>,
    /// The mean of each leaf, in rows.
    pub(super) centroids: Vec<f32>,
}

/// Splits `vectors`, rows of `padded` values.
pub(super) fn split(kernels: Kernels, vectors: &[f32], padded: usize) -> Leaves {
    let count = vectors.len() / padded;
    let mut order: Vec<u32> = (0_u32..).take(count).collect();
    let mut splitter =
        Splitter { kernels, vectors, padded, keys: vec![0.0; count], leaves: Leaves::default() };
    splitter.run(&mut order);
    let mut leaves = splitter.leaves;
    leaves.order = order;
    leaves
}

struct Splitter<'a> {
    kernels: Kernels,
    vectors: &'a [f32],
    padded: usize,
    /// Of each row, along the line that its half is cut across.
    keys: Vec<f32>,
    leaves: Leaves,
}

impl<'a> Splitter<'a> {
    fn vector(&self, row: u32) -> &'a [f32] {
        &self.vectors[row as usize * self.padded..(row as usize + 1) * self.padded]
    }

    fn run(&mut self, rows: &mut [u32]) {
        if rows.len() <= LEAF_ROWS {
            if !rows.is_empty() {
                self.leaves.lengths.push(u32::try_from(rows.len()).unwrap_or(u32::MAX));
                let mean = self.mean(rows);
                self.leaves.centroids.extend_from_slice(&mean);
            }
            return;
        }
        let direction = self.direction(rows);
        for &row in rows.iter() {
            self.keys[row as usize] = self.kernels.dot(&direction, self.vector(row));
        }
        let blocks = rows.len().div_ceil(LEAF_ROWS);
        let cut = blocks.div_ceil(2) * LEAF_ROWS;
        let keys = &self.keys;
        let along =
            |a: &u32, b: &u32| keys[*a as usize].total_cmp(&keys[*b as usize]).then(a.cmp(b));
        rows.select_nth_unstable_by(cut.min(rows.len() - 1), along);
        let (near, far) = rows.split_at_mut(cut.min(rows.len()));
        self.run(near);
        self.run(far);
    }

    /// From one end of the rows to the other.
    fn direction(&self, rows: &[u32]) -> Vec<f32> {
        let first = self.farthest(rows, &self.mean(rows));
        let mut ends = [self.vector(first).to_vec(), Vec::new()];
        ends[1] = self.vector(self.farthest(rows, &ends[0])).to_vec();
        for _ in 0..ROUNDS {
            let line = difference(&ends[1], &ends[0]);
            let half =
                (self.kernels.squared_norm(&ends[1]) - self.kernels.squared_norm(&ends[0])) / 2.0;
            let mut sides = [Vec::new(), Vec::new()];
            for &row in rows {
                let second = self.kernels.dot(&line, self.vector(row)) > half;
                sides[usize::from(second)].push(row);
            }
            if sides.iter().any(Vec::is_empty) {
                break;
            }
            ends = sides.map(|side| self.mean(&side));
        }
        difference(&ends[1], &ends[0])
    }

    fn farthest(&self, rows: &[u32], from: &[f32]) -> u32 {
        let mut best = (f32::NEG_INFINITY, 0);
        for &row in rows {
            let distance = self.kernels.squared_l2(from, self.vector(row));
            if distance > best.0 {
                best = (distance, row);
            }
        }
        best.1
    }

    fn mean(&self, rows: &[u32]) -> Vec<f32> {
        let mut mean = vec![0.0; self.padded];
        for &row in rows {
            for (sum, value) in mean.iter_mut().zip(self.vector(row)) {
                *sum += value;
            }
        }
        let share = 1.0 / rows.len().max(1) as f32;
        for value in &mut mean {
            *value *= share;
        }
        mean
    }
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
