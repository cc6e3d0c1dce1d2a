//! Codes of the rows, in list order, and their 8-bit form.
//!
//! For a row x of the list with centroid c, with residual r = x − c and signs s of r, the builder
//! stores f = |r|² / Σ|rᵢ|, for which f·⟨s, v⟩ estimates ⟨r, v⟩ without bias when v is any vector
//! (the rotation makes the signs of r random). The estimate is best for short v, so it is taken of
//! v = q − c and not of q. Spelled out so that what depends on the query is ⟨s, q⟩ alone:
//!
//! - distance: |q − x|²/2 = |q − c|²/2 + (|r|²/2 + f·⟨s, c⟩) − f·⟨s, q⟩
//! - inner product: −⟨q, x⟩ = −⟨q, c⟩ + (f·⟨s, c⟩ − ⟨c, r⟩) − f·⟨s, q⟩
//!
//! The bracket is the term a of the row and f its term b. For the inner product the query has unit
//! length and rows may have any, so c is taken in units of the rows' typical length (`reference`).

use lodgepole_kernels::{BLOCK_ROWS, BlockTerms, block_bytes, code_block_bytes};

use super::cluster::Level;
use crate::segment::space::{Space, to_f32};

/// Blocks of codes and terms, growing list by list.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) blocks: Vec<u8>,
    terms: BlockTerms,
    /// For each list the mean of |r|², the variance of |r|²/2, and |c|².
    pub(super) spreads: Vec<[f32; 4]>,
    /// First block of each list, and the end of the last.
    pub(super) starts: Vec<u32>,
    pub(super) reference: f32,
    /// Whether signs are kept; without, only the spreads are measured.
    pub(super) packed: bool,
    /// Added to every estimate.
    around: f32,
    residuals: Vec<f32>,
    filled: usize,
    sum: f64,
    square_sum: f64,
    count: usize,
}

impl Codes {
    pub(super) fn new(space: &Space, reference: f32) -> Self {
        Self {
            blocks: Vec::new(),
            terms: BlockTerms::PADDING,
            spreads: Vec::new(),
            starts: vec![0],
            reference,
            packed: true,
            around: 0.0,
            residuals: vec![0.0; BLOCK_ROWS * space.padded],
            filled: 0,
            sum: 0.0,
            square_sum: 0.0,
            count: 0,
        }
    }

    /// Adds a row of the present list: `row` without the mean of all rows, like the centroids.
    pub(super) fn push(&mut self, space: &Space, row: &[f32], centroid: &[f32], mean: &[f32]) {
        let padded = space.padded;
        let residual = &mut self.residuals[self.filled * padded..(self.filled + 1) * padded];
        for ((rest, value), center) in residual.iter_mut().zip(row).zip(centroid) {
            *rest = value - center;
        }
        let sums = Sums::of(residual, centroid, mean);
        let Sums { square, absolute, along, product } = sums;
        let factor = if absolute > 0.0 { square / absolute } else { 0.0 };
        let a = if space.is_euclidean() {
            square / 2.0 + factor * along
        } else {
            (factor * along - product) / self.reference
        };
        self.terms.a[self.filled] = a + self.around;
        self.terms.b[self.filled] = factor;
        self.sum += f64::from(square);
        self.square_sum += f64::from(square / 2.0).powi(2);
        self.count += 1;
        self.filled += 1;
        if self.filled == BLOCK_ROWS {
            self.flush(space);
        }
    }

    /// Ends the present list.
    pub(super) fn end_list(&mut self, space: &Space, centroid: &[f32], mean: &[f32]) {
        if self.filled > 0 {
            self.flush(space);
        }
        let count = self.count.max(1) as f64;
        let square = self.sum / count;
        let variance = (self.square_sum / count - (square / 2.0).powi(2)).max(0.0);
        let center: f32 = centroid.iter().zip(mean).map(|(c, m)| (c + m) * (c + m)).sum();
        self.spreads.push([to_f32(square), to_f32(variance), center, 0.0]);
        (self.sum, self.square_sum, self.count) = (0.0, 0.0, 0);
        self.starts.push(u32::try_from(self.count_blocks(space)).unwrap_or(u32::MAX));
    }

    fn flush(&mut self, space: &Space) {
        if self.packed {
            let start = self.blocks.len();
            self.blocks.resize(start + block_bytes(space.padded), 0);
            let block = &mut self.blocks[start..];
            let rows = &self.residuals[..self.filled * space.padded];
            let codes = &mut block[..code_block_bytes(space.padded)];
            space.kernels.pack_signs(rows, space.padded, codes);
            self.terms.put(block);
        }
        self.terms = BlockTerms::PADDING;
        self.filled = 0;
    }

    /// Blocks so far.
    pub(super) fn count_blocks(&self, space: &Space) -> usize {
        self.blocks.len() / block_bytes(space.padded)
    }
}

/// What a row's terms are made of.
struct Sums {
    square: f32,
    absolute: f32,
    /// The centroid along the signs.
    along: f32,
    /// The centroid along the residual.
    product: f32,
}

impl Sums {
    /// Sums in eight lanes, which the compiler turns into registers.
    fn of(residual: &[f32], centroid: &[f32], mean: &[f32]) -> Self {
        let mut lanes = [[0.0_f32; 8]; 4];
        let (residual, _) = residual.as_chunks::<8>();
        let (centroid, _) = centroid.as_chunks::<8>();
        let (mean, _) = mean.as_chunks::<8>();
        for ((residual, centroid), mean) in residual.iter().zip(centroid).zip(mean) {
            for lane in 0..8 {
                let (rest, center) = (residual[lane], centroid[lane] + mean[lane]);
                lanes[0][lane] += rest * rest;
                lanes[1][lane] += rest.abs();
                lanes[2][lane] += if rest.is_sign_negative() { -center } else { center };
                lanes[3][lane] += center * rest;
            }
        }
        let [square, absolute, along, product] = lanes.map(|lane| lane.iter().sum());
        Self { square, absolute, along, product }
    }
}

/// The codes of centroids, as if they were the rows of one list around the mean. For distances,
/// half of how far the rows lie around each, on average, is part of its term a (`spreads`, by list,
/// or none): so the estimate of a list is that of its rows.
pub(super) fn encode_level(
    space: &Space,
    level: &Level,
    (reference, spreads): (f32, &[[f32; 4]]),
    mean: &[f32],
) -> Vec<u8> {
    let none = vec![0.0; space.padded];
    let mut lists = Codes::new(space, reference);
    for list in 0..level.len() {
        let spread = spreads.get(list).filter(|_| space.is_euclidean());
        lists.around = spread.map_or(0.0, |spread| spread[0] / 2.0);
        lists.push(space, level.of(list), &none, mean);
    }
    lists.end_list(space, &none, mean);
    lists.blocks
}

/// The 8-bit form of rows: scale and norm of each beside its values.
pub(super) fn quantise(space: &Space, row: &[f32], out: &mut [i8]) -> [f32; 2] {
    let scale = space.kernels.quantise_i8(row, out);
    [scale, space.kernels.squared_norm(row).sqrt()]
}

/// The 8-bit form of centroids: values, and terms as of rows.
pub(super) fn quantise_level(space: &Space, level: &Level) -> (Vec<i8>, Vec<[f32; 2]>) {
    let mut values = vec![0; level.len() * space.padded];
    let rows = values.chunks_exact_mut(space.padded).enumerate();
    let terms = rows.map(|(list, out)| quantise(space, level.of(list), out)).collect();
    (values, terms)
}

/// Centroids as their 8-bit form says, but with the norms that they have.
pub(super) fn read_level(level: &Level, (values, terms): (&[i8], &[[f32; 2]])) -> Level {
    let rows = values.chunks_exact(values.len() / terms.len().max(1)).zip(terms);
    let read = rows.flat_map(|(row, terms)| row.iter().map(|value| f32::from(*value) * terms[0]));
    level.with_values(read.collect())
}
