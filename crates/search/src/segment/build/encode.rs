//! Codes of the rows, in list order, and their 8-bit form.
//!
//! Let m be the mean of all rows, x a row without it, of the list with centroid c, and r = x − c. A code
//! is the signs s of Dr, where D takes the parts along the segment's directions. With
//! f = |Dr|² / Σ|(Dr)ᵢ|, f·⟨s, Dv⟩ estimates ⟨Dr, Dv⟩ without bias when v is any vector (the signs
//! are as good as random), and that is about ⟨r, v⟩. The estimate is best for short v, so it is
//! taken of v = q − m − c and not of q. Spelled out so that only ⟨s, D(q − m)⟩ depends on the query:
//!
//! - distance: |q − m − x|²/2 = |v|²/2 + (|r|²/2 + f·⟨s, Dc⟩) − f·⟨s, D(q − m)⟩
//! - inner product: −⟨q, m + x⟩ = −⟨q, m + c⟩ + (f·⟨s, Dc⟩ − ⟨m + c, r⟩) − f·⟨s, D(q − m)⟩
//!
//! The bracket is the term a of the row and f its term b. For the inner product the query has unit
//! length and rows may have any, so m and c are taken in units of the rows' typical length
//! (`reference`).

use lodgepole_kernels::{BLOCK_ROWS, BlockTerms, block_bytes, code_block_bytes};

use super::cluster::Level;
use crate::segment::directions::Directions;
use crate::segment::space::{Space, to_f32};

/// Blocks of codes and terms, growing list by list.
#[derive(Debug)]
pub(super) struct Codes<'a> {
    pub(super) blocks: Vec<u8>,
    terms: BlockTerms,
    /// For each list the mean of |r|², the variance of |r|²/2, and |c|².
    pub(super) spreads: Vec<[f32; 4]>,
    /// First block of each list, and the end of the last.
    pub(super) starts: Vec<u32>,
    pub(super) reference: f32,
    /// Whether signs are kept; without, only the spreads are measured.
    pub(super) packed: bool,
    pub(super) directions: Directions<'a>,
    mean: &'a [f32],
    /// Added to every estimate.
    around: f32,
    /// The centroid of the present list, with the mean, and its part along each direction, without.
    center: Vec<f32>,
    center_along: Vec<f32>,
    residual: Vec<f32>,
    /// Of the rows of the present block, along each direction.
    residuals: Vec<f32>,
    filled: usize,
    sum: f64,
    square_sum: f64,
    count: usize,
}

impl<'a> Codes<'a> {
    pub(super) fn new(directions: Directions<'a>, mean: &'a [f32], reference: f32) -> Self {
        Self {
            blocks: Vec::new(),
            terms: BlockTerms::PADDING,
            spreads: Vec::new(),
            starts: vec![0],
            reference,
            packed: true,
            directions,
            mean,
            around: 0.0,
            center: mean.to_vec(),
            center_along: vec![0.0; directions.coded()],
            residual: vec![0.0; mean.len()],
            residuals: vec![0.0; BLOCK_ROWS * directions.coded()],
            filled: 0,
            sum: 0.0,
            square_sum: 0.0,
            count: 0,
        }
    }

    /// Begins a list: its centroid without the mean of all rows.
    pub(super) fn begin_list(&mut self, space: &Space, centroid: &[f32]) {
        for ((center, value), mean) in self.center.iter_mut().zip(centroid).zip(self.mean) {
            *center = value + mean;
        }
        self.directions.apply(space.kernels, centroid, &mut self.center_along);
    }

    /// Adds a row of the present list: `row` without the mean of all rows, like the centroid.
    pub(super) fn push(&mut self, space: &Space, row: &[f32], centroid: &[f32]) {
        let kernels = space.kernels;
        for ((rest, value), center) in self.residual.iter_mut().zip(row).zip(centroid) {
            *rest = value - center;
        }
        let coded = self.directions.coded();
        let parts = &mut self.residuals[self.filled * coded..(self.filled + 1) * coded];
        self.directions.apply(kernels, &self.residual, parts);
        let square = kernels.squared_norm(&self.residual);
        let Along { square: coded_square, absolute, center } = Along::of(parts, &self.center_along);
        let factor = if absolute > 0.0 { coded_square / absolute } else { 0.0 };
        let a = if space.is_euclidean() {
            square / 2.0 + factor * center
        } else {
            (factor * center - kernels.dot(&self.center, &self.residual)) / self.reference
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
    pub(super) fn end_list(&mut self, space: &Space) {
        if self.filled > 0 {
            self.flush(space);
        }
        let count = self.count.max(1) as f64;
        let square = self.sum / count;
        let variance = (self.square_sum / count - (square / 2.0).powi(2)).max(0.0);
        let center = space.kernels.squared_norm(&self.center);
        self.spreads.push([to_f32(square), to_f32(variance), center, 0.0]);
        (self.sum, self.square_sum, self.count) = (0.0, 0.0, 0);
        self.starts.push(u32::try_from(self.count_blocks()).unwrap_or(u32::MAX));
    }

    fn flush(&mut self, space: &Space) {
        if self.packed {
            let (start, coded) = (self.blocks.len(), self.directions.coded());
            self.blocks.resize(start + block_bytes(coded), 0);
            let block = &mut self.blocks[start..];
            let rows = &self.residuals[..self.filled * coded];
            let codes = &mut block[..code_block_bytes(coded)];
            space.kernels.pack_signs(rows, coded, codes);
            self.terms.put(block);
        }
        self.terms = BlockTerms::PADDING;
        self.filled = 0;
    }

    /// Blocks so far.
    pub(super) fn count_blocks(&self) -> usize {
        self.blocks.len() / block_bytes(self.directions.coded())
    }
}

/// What the signs of a residual say, by its parts along the directions.
struct Along {
    square: f32,
    absolute: f32,
    /// The centroid along the signs.
    center: f32,
}

impl Along {
    /// Sums in eight lanes, which the compiler turns into registers.
    fn of(residual: &[f32], center: &[f32]) -> Self {
        let mut lanes = [[0.0_f32; 8]; 3];
        let (residual, _) = residual.as_chunks::<8>();
        let (center, _) = center.as_chunks::<8>();
        for (residual, center) in residual.iter().zip(center) {
            for lane in 0..8 {
                let (rest, center) = (residual[lane], center[lane]);
                lanes[0][lane] += rest * rest;
                lanes[1][lane] += rest.abs();
                lanes[2][lane] += if rest.is_sign_negative() { -center } else { center };
            }
        }
        let [square, absolute, center] = lanes.map(|lane| lane.iter().sum());
        Self { square, absolute, center }
    }
}

/// The codes of centroids, as if they were the rows of one list around the mean. For distances,
/// half of how far the rows lie around each, on average, is part of its term a (`spreads`, by list,
/// or none): so the estimate of a list is that of its rows.
pub(super) fn encode_level(
    space: &Space,
    level: &Level,
    (reference, spreads): (f32, &[[f32; 4]]),
    (directions, mean): (Directions<'_>, &[f32]),
) -> Vec<u8> {
    let none = vec![0.0; space.padded];
    let mut lists = Codes::new(directions, mean, reference);
    lists.begin_list(space, &none);
    for list in 0..level.len() {
        let spread = spreads.get(list).filter(|_| space.is_euclidean());
        lists.around = spread.map_or(0.0, |spread| spread[0] / 2.0);
        lists.push(space, level.of(list), &none);
    }
    lists.end_list(space);
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
