//! Finds the directions in which rows differ most: the principal components of a sample.
//!
//! Subspace iteration: a basis of samples is multiplied with the covariance and made orthonormal again, a
//! few times (Halko, Martinsson and Tropp, "Finding structure with randomness", section 4.5). That is
//! not exact, and need not be: what counts is how much of the variance the directions hold together.
//! At the end they are mixed by a rotation, so that each holds as much as the others and the signs of
//! all say about as much.

use std::sync::atomic::AtomicBool;

use lodgepole_kernels::{Kernels, Rotation};

use super::halt;
use crate::segment::SegmentError;
use crate::segment::random::Draw;

/// Steps of the number of directions, and so of codes.
const STEP: usize = 64;
/// With fewer bits codes say too little.
const LEAST: usize = 2 * STEP;
/// Not more, so that finding them stays a small part of a build.
const MOST: usize = 8 * STEP;
/// Not looked for in more dimensions: the covariance takes the square of them.
const PADDED_MAX: usize = 4_096;
/// What directions must hold of the variance.
const SHARE: f64 = 0.85;
/// Samples that the covariance is taken of, about.
const SAMPLES: usize = 4_096;
/// Fewer for each direction say little about any.
const SAMPLES_FOR_EACH: usize = 4;
/// Rounds of the iteration.
const ROUNDS: usize = 5;

/// The fewest directions that hold enough of what `samples` differ by, at most half of the dimensions,
/// as rows; empty when there are none. `samples` are rows of `padded` values around their mean.
pub(super) fn find(
    samples: &[f32],
    padded: usize,
    draw: &mut Draw,
    (kernels, stop): (Kernels, &AtomicBool),
) -> Result<Vec<f32>, SegmentError> {
    let most = (padded / 2 / STEP * STEP).min(MOST);
    if most < LEAST || padded > PADDED_MAX || samples.len() / padded < most * SAMPLES_FOR_EACH {
        return Ok(Vec::new());
    }
    let covariance = covariance(samples, padded, kernels, stop)?;
    let total: f64 = (0..padded).map(|at| f64::from(covariance[at * padded + at])).sum();
    let mut basis = Vec::with_capacity(most * padded);
    for sample in draw.sample(most, samples.len() / padded) {
        basis.extend_from_slice(&samples[sample * padded..(sample + 1) * padded]);
    }
    let mut product = vec![0.0; padded];
    let mut held = vec![0.0; basis.len() / padded];
    for _ in 0..ROUNDS {
        halt(stop, 0)?;
        for direction in basis.chunks_exact_mut(padded) {
            kernels.dot_rows(direction, &covariance, &mut product);
            direction.copy_from_slice(&product);
        }
        orthonormalise(&mut basis, padded, kernels);
    }
    for (direction, held) in basis.chunks_exact(padded).zip(&mut held) {
        kernels.dot_rows(direction, &covariance, &mut product);
        *held = f64::from(kernels.dot(direction, &product));
    }
    let mut sum = 0.0;
    let enough = held.iter().position(|held| {
        sum += held;
        sum >= total * SHARE
    });
    let Some(enough) = enough.filter(|_| total > 0.0) else { return Ok(Vec::new()) };
    let count = (enough + 1).next_multiple_of(STEP).max(LEAST);
    basis.truncate(count * padded);
    mix(&mut basis, padded, draw);
    Ok(basis)
}

/// The covariance of some of the samples, times how many these are.
fn covariance(
    samples: &[f32],
    padded: usize,
    kernels: Kernels,
    stop: &AtomicBool,
) -> Result<Vec<f32>, SegmentError> {
    let count = samples.len() / padded;
    let step = (count / SAMPLES).max(1);
    let chosen: Vec<&[f32]> = samples.chunks_exact(padded).step_by(step).collect();
    let mut columns = vec![0.0; chosen.len() * padded];
    for (number, sample) in chosen.iter().enumerate() {
        for (at, value) in sample.iter().enumerate() {
            columns[at * chosen.len() + number] = *value;
        }
    }
    let column = |at: usize| &columns[at * chosen.len()..(at + 1) * chosen.len()];
    let mut covariance = vec![0.0; padded * padded];
    for at in 0..padded {
        halt(stop, at)?;
        let rest = &columns[at * chosen.len()..];
        let row = &mut covariance[at * padded + at..(at + 1) * padded];
        kernels.dot_rows(column(at), rest, row);
        for other in at + 1..padded {
            covariance[other * padded + at] = covariance[at * padded + other];
        }
    }
    Ok(covariance)
}

/// Gram and Schmidt's process. A direction that the ones before leave nothing of becomes zero: it
/// holds no variance.
fn orthonormalise(basis: &mut [f32], padded: usize, kernels: Kernels) {
    let mut parts = Vec::new();
    for at in 0..basis.len() / padded {
        let (before, rest) = basis.split_at_mut(at * padded);
        let direction = &mut rest[..padded];
        let length = kernels.squared_norm(direction).sqrt();
        // Twice, as one time leaves rounding errors.
        for _ in 0..2 {
            parts.resize(at, 0.0);
            kernels.dot_rows(direction, before, &mut parts);
            for (other, part) in before.chunks_exact(padded).zip(&parts) {
                for (value, other) in direction.iter_mut().zip(other) {
                    *value -= part * other;
                }
            }
        }
        let left = kernels.squared_norm(direction).sqrt();
        let factor = if left > length * 1e-5 { left.recip() } else { 0.0 };
        for value in direction {
            *value *= factor;
        }
    }
}

/// Rotates the directions among themselves.
fn mix(basis: &mut [f32], padded: usize, draw: &mut Draw) {
    let count = basis.len() / padded;
    let rotation = Rotation::new(count, draw.next());
    let (mut column, mut mixed) = (vec![0.0; count], vec![0.0; count]);
    for at in 0..padded {
        for (value, row) in column.iter_mut().zip(basis.chunks_exact(padded)) {
            *value = row[at];
        }
        rotation.apply(&column, &mut mixed);
        for (value, row) in mixed.iter().zip(basis.chunks_exact_mut(padded)) {
            row[at] = *value;
        }
    }
}

#[cfg(test)]
mod tests;
