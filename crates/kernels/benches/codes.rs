//! How long sign codes, 8-bit rows, rotation and assignment take, per tier and dimension.
//!
//! Codes and rows fill about 384 KiB, so the numbers are those of the second-level cache. Run with
//! `cargo bench -p lodgepole-kernels --bench codes`; the throughput line counts vectors, so that
//! 2 Gitem/s are 0.5 ns for a vector. `code_table`, `quantise_i8` and `rotate` take one vector.
#![allow(missing_docs, reason = "the bench macros generate undocumented items")]

use std::fmt;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use lodgepole_kernels::{
    BLOCK_ROWS, BlockTerms, Centroids, CodeTable, Kernels, Pick, Rotation, Tier, block_bytes,
    code_block_bytes,
};

const DIMENSIONS: [usize; 3] = [384, 768, 1_536];
const CODE_BYTES: usize = 384 << 10;

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

/// Repeatable values in -1 to 1.
fn values(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        f32::from(u16::try_from(state >> 48).unwrap_or(0)) / 32_768.0 - 1.0
    };
    (0..count).map(next).collect()
}

/// A query's table and blocks of codes with their terms.
struct Codes {
    table: CodeTable,
    /// Codes only.
    codes: Vec<u8>,
    /// With terms.
    blocks: Vec<u8>,
    rows: usize,
}

fn codes(case: &Case) -> Codes {
    let bytes = code_block_bytes(case.dimension);
    let rows = CODE_BYTES / bytes * BLOCK_ROWS;
    let mut codes = vec![0; CODE_BYTES / bytes * bytes];
    let mut blocks = Vec::new();
    let vectors = values(BLOCK_ROWS * case.dimension);
    for block in codes.chunks_exact_mut(bytes) {
        case.kernels.pack_signs(&vectors, case.dimension, block);
        let start = blocks.len();
        blocks.extend_from_slice(block);
        blocks.resize(start + block_bytes(case.dimension), 0);
        BlockTerms { a: [1.0; BLOCK_ROWS], b: [0.5; BLOCK_ROWS] }.put(&mut blocks[start..]);
    }
    let table = case.kernels.code_table(&vectors[..case.dimension]);
    Codes { table, codes, blocks, rows }
}

#[divan::bench(args = cases())]
fn scan_codes(bencher: Bencher<'_, '_>, case: &Case) {
    let codes = codes(case);
    let mut sums = vec![0; codes.rows];
    bencher.counter(ItemsCount::new(codes.rows)).bench_local(|| {
        case.kernels.scan_codes(&codes.table, black_box(&codes.codes), &mut sums);
        black_box(&mut sums);
    });
}

#[divan::bench(args = cases())]
fn scan_estimates(bencher: Bencher<'_, '_>, case: &Case) {
    let codes = codes(case);
    let mut estimates = vec![0.0; codes.rows];
    bencher.counter(ItemsCount::new(codes.rows)).bench_local(|| {
        case.kernels.scan_estimates(&codes.table, black_box(&codes.blocks), 0.0, &mut estimates);
        black_box(&mut estimates);
    });
}

/// A threshold that no row is below: what a scan costs once its candidates are good.
#[divan::bench(args = cases())]
fn scan_below(bencher: Bencher<'_, '_>, case: &Case) {
    let codes = codes(case);
    let picks: Vec<_> = (0_u32..)
        .take(codes.rows / BLOCK_ROWS)
        .map(|block| Pick { block, base: 0.0, allowed: u32::MAX })
        .collect();
    let mut found = Vec::new();
    bencher.counter(ItemsCount::new(codes.rows)).bench_local(|| {
        case.kernels.scan_below(&codes.table, black_box(&codes.blocks), &picks, -1e9, &mut found);
        black_box(&mut found);
    });
}

#[divan::bench(args = cases())]
fn dot_i8_rows(bencher: Bencher<'_, '_>, case: &Case) {
    let count = CODE_BYTES / case.dimension;
    let mut codes = vec![0; count * case.dimension];
    case.kernels.quantise_i8(&values(codes.len()), &mut codes);
    let query = codes[..case.dimension].to_vec();
    let mut dots = vec![0; count];
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        case.kernels.dot_i8_rows(black_box(&query), black_box(&codes), &mut dots);
        black_box(&mut dots);
    });
}

/// 512 rows in a scattered order, from 64 MiB: what the second stage of a search does.
#[divan::bench(args = cases())]
fn dot_i8_at(bencher: Bencher<'_, '_>, case: &Case) {
    let count = (64 << 20) / case.dimension;
    let codes = vec![1; count * case.dimension];
    let query = vec![1; case.dimension];
    let mut at = 0_usize;
    let mut numbers = vec![0_u32; 512];
    let mut dots = vec![0; numbers.len()];
    bencher.counter(ItemsCount::new(numbers.len())).bench_local(|| {
        for number in &mut numbers {
            at = (at + 7_919 * 977) % count;
            *number = u32::try_from(at).unwrap_or(0);
        }
        case.kernels.dot_i8_at(black_box(&query), black_box(&codes), &numbers, &mut dots);
        black_box(&mut dots);
    });
}

#[divan::bench(args = cases())]
fn code_table(bencher: Bencher<'_, '_>, case: &Case) {
    let query = values(case.dimension);
    bencher.bench_local(|| case.kernels.code_table(black_box(&query)));
}

#[divan::bench(args = cases())]
fn pack_signs(bencher: Bencher<'_, '_>, case: &Case) {
    let rows = values(BLOCK_ROWS * case.dimension);
    let mut block = vec![0; code_block_bytes(case.dimension)];
    bencher.counter(ItemsCount::new(BLOCK_ROWS)).bench_local(|| {
        case.kernels.pack_signs(black_box(&rows), case.dimension, &mut block);
        black_box(&mut block);
    });
}

#[divan::bench(args = cases())]
fn quantise_i8(bencher: Bencher<'_, '_>, case: &Case) {
    let row = values(case.dimension);
    let mut codes = vec![0; case.dimension];
    bencher.bench_local(|| case.kernels.quantise_i8(black_box(&row), &mut codes));
}

#[divan::bench(args = DIMENSIONS)]
fn rotate(bencher: Bencher<'_, '_>, dimension: usize) {
    let rotation = Rotation::new(dimension, 1);
    let row = values(dimension);
    let mut rotated = vec![0.0; rotation.padded()];
    bencher.bench_local(|| {
        rotation.apply(black_box(&row), &mut rotated);
        black_box(&mut rotated);
    });
}

/// Items are products of a vector and a centroid.
#[divan::bench(args = cases())]
fn assign(bencher: Bencher<'_, '_>, case: &Case) {
    let vectors = values(256 * case.dimension);
    let centroids = values(400 * case.dimension);
    let half_norms = values(400);
    let centroids =
        Centroids { values: &centroids, half_norms: &half_norms, dimension: case.dimension };
    let (mut index, mut value) = (vec![0; 256], vec![0.0; 256]);
    bencher.counter(ItemsCount::new(256_usize * 400)).bench_local(|| {
        case.kernels.assign(black_box(&vectors), centroids, &mut index, &mut value);
        black_box((&mut index, &mut value));
    });
}
