//! How long one query takes against a block of rows, per tier and dimension.
//!
//! The rows fill about 512 KiB, so the numbers are those of the second-level cache, not of memory.
//! Run with `cargo bench -p lodgepole-kernels`; the throughput column counts rows.
#![allow(missing_docs, reason = "the bench macros generate undocumented items")]

use std::fmt;
use std::hint::black_box;

use divan::counter::ItemsCount;
use lodgepole_kernels::{Kernels, Tier};

const DIMENSIONS: [usize; 3] = [64, 384, 1_536];
const BLOCK_VALUES: usize = 128 << 10;

fn main() {
    divan::main();
}

struct Case {
    kernels: Kernels,
    dimension: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kernels.tier(), self.dimension)
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dimension in DIMENSIONS {
        let tiers = Tier::ALL.into_iter().filter_map(Kernels::with_tier);
        cases.extend(tiers.map(|kernels| Case { kernels, dimension }));
    }
    cases
}

/// A query, rows and room for their scores.
fn block(dimension: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let count = BLOCK_VALUES / dimension;
    let wave = |i: usize| f32::from(u8::try_from(i % 251).unwrap_or(0)) / 251.0 - 0.5;
    let query = (0..dimension).map(wave).collect();
    let rows = (0..count * dimension).map(|i| wave(i * 7)).collect();
    (query, rows, vec![0.0; count])
}

#[divan::bench(args = cases())]
fn dot_rows(bencher: divan::Bencher<'_, '_>, case: &Case) {
    let (query, rows, mut scores) = block(case.dimension);
    let bencher = bencher.counter(ItemsCount::new(scores.len()));
    bencher.bench_local(|| {
        case.kernels.dot_rows(black_box(&query), black_box(&rows), &mut scores);
        black_box(&mut scores);
    });
}

#[divan::bench(args = cases())]
fn squared_l2_rows(bencher: divan::Bencher<'_, '_>, case: &Case) {
    let (query, rows, mut scores) = block(case.dimension);
    let bencher = bencher.counter(ItemsCount::new(scores.len()));
    bencher.bench_local(|| {
        case.kernels.squared_l2_rows(black_box(&query), black_box(&rows), &mut scores);
        black_box(&mut scores);
    });
}

#[divan::bench(args = cases())]
fn dot_one_by_one(bencher: divan::Bencher<'_, '_>, case: &Case) {
    let (query, rows, mut scores) = block(case.dimension);
    let bencher = bencher.counter(ItemsCount::new(scores.len()));
    bencher.bench_local(|| {
        for (row, score) in rows.chunks_exact(case.dimension).zip(&mut scores) {
            *score = case.kernels.dot(black_box(&query), black_box(row));
        }
        black_box(&mut scores);
    });
}
