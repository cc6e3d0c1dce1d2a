//! Kernels in plain Rust: the fallback, and the reference that the others are read against.
//!
//! Sixteen partial sums, so that the compiler can use whatever registers the target has by default
//! and so that the error bound is that of the other tiers. No fused multiply-add: without the
//! instruction it would be a call into a library for every element.

use crate::Tier;
use crate::table::SQUARED_L2;

pub(crate) mod bytes;
pub(crate) mod codes;
pub(crate) mod tile;

/// Partial sums of one row.
const LANES: usize = 16;

kernel_table! { tier: Tier::Scalar, rows_at_once: 1 }

#[inline]
fn block<const ROWS: usize, const OPERATION: u8>(
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [f32; ROWS] {
    rows.map(|row| row_sum::<OPERATION>(query, row))
}

fn row_sum<const OPERATION: u8>(query: &[f32], row: &[f32]) -> f32 {
    assert_eq!(query.len(), row.len(), "two vectors of one dimension");
    let mut sums = [0.0_f32; LANES];
    let (query_groups, query_tail) = query.as_chunks::<LANES>();
    let (row_groups, row_tail) = row.as_chunks::<LANES>();
    for (x, y) in query_groups.iter().zip(row_groups) {
        let terms: [f32; LANES] = std::array::from_fn(|lane| term::<OPERATION>(x[lane], y[lane]));
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += term;
        }
    }
    for (sum, (x, y)) in sums.iter_mut().zip(query_tail.iter().zip(row_tail)) {
        *sum += term::<OPERATION>(*x, *y);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[inline]
fn term<const OPERATION: u8>(x: f32, y: f32) -> f32 {
    if OPERATION == SQUARED_L2 { (x - y) * (x - y) } else { x * y }
}
