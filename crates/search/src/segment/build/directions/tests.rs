//! Directions of made-up rows whose spectrum is known.

use super::*;

const PADDED: usize = 384;
const ROWS: usize = 2_000;

fn draws() -> Draw {
    Draw::new(7)
}

/// About normal, of variance 1.
fn normal(draw: &mut Draw) -> f32 {
    let sum: f32 = (0..12).map(|_| draw.below(1 << 20) as f32 / (1 << 20) as f32).sum();
    sum - 6.0
}

/// Rows whose variance in dimension `i` is `of(i)` squared, rotated so that no dimension stands out.
fn rows(of: impl Fn(usize) -> f32, draw: &mut Draw) -> Vec<f32> {
    let rotation = Rotation::new(PADDED, 3);
    let mut rows = vec![0.0; ROWS * PADDED];
    for row in rows.chunks_exact_mut(PADDED) {
        let values: Vec<f32> = (0..PADDED).map(|at| normal(draw) * of(at)).collect();
        rotation.apply(&values, row);
    }
    rows
}

fn found(rows: &[f32]) -> Vec<f32> {
    let stop = AtomicBool::new(false);
    find(rows, PADDED, &mut draws(), (Kernels::detect(), &stop)).unwrap()
}

fn held(rows: &[f32], directions: &[f32]) -> f64 {
    let kernels = Kernels::detect();
    let mut part = 0.0;
    for row in rows.chunks_exact(PADDED) {
        for direction in directions.chunks_exact(PADDED) {
            part += f64::from(kernels.dot(row, direction)).powi(2);
        }
    }
    part / rows.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()
}

/// Goal: where 100 of 384 directions hold nearly everything, 128 are found, at right angles to each
/// other, that hold nearly everything, and each about as much as the others. Method: rows with such a
/// spectrum behind a rotation; products of all pairs; the variance along each.
#[test]
fn few_directions_that_hold_most_are_found() {
    let rows = rows(|at| if at < 100 { 1.0 } else { 0.05 }, &mut draws());
    let directions = found(&rows);
    assert_eq!(directions.len(), 128 * PADDED);
    assert!(held(&rows, &directions) > 0.99);
    let kernels = Kernels::detect();
    let each: Vec<&[f32]> = directions.chunks_exact(PADDED).collect();
    for (at, one) in each.iter().enumerate() {
        for (other, two) in each.iter().enumerate() {
            let wanted = if at == other { 1.0 } else { 0.0 };
            assert!((kernels.dot(one, two) - wanted).abs() < 1e-4, "{at} {other}");
        }
        let share = held(&rows, one) * 128.0;
        assert!((0.3..3.0).contains(&share), "direction {at} holds {share} of its part");
    }
}

/// Goal: as many directions as it takes, in steps of 64, and none where more than half of the
/// dimensions would be needed. Method: 180 wide dimensions, all of them, and hardly fewer.
#[test]
fn as_many_are_taken_as_hold_enough() {
    let some = rows(|at| if at < 180 { 1.0 } else { 0.02 }, &mut draws());
    assert_eq!(found(&some).len(), 192 * PADDED);
    let all = rows(|_| 1.0, &mut draws());
    assert_eq!(found(&all).len(), 0);
    let most = rows(|at| if at < 300 { 1.0 } else { 0.0 }, &mut draws());
    assert_eq!(found(&most).len(), 0);
}

/// Goal: rows that are all the same, lie on a line, or are hardly more than the directions looked for
/// do no harm. Method: such rows; every value found is a number, and no direction is longer than one;
/// none are found where nothing can be said.
#[test]
fn rows_without_variance_do_no_harm() {
    let line = rows(|at| if at == 0 { 1.0 } else { 0.0 }, &mut draws());
    for rows in [
        vec![0.0; ROWS * PADDED],
        vec![1.0; ROWS * PADDED],
        line.clone(),
        line[..PADDED * 3].to_vec(),
    ] {
        for direction in found(&rows).chunks_exact(PADDED) {
            let norm = Kernels::detect().squared_norm(direction);
            assert!(norm < 1.001, "{norm}");
        }
    }
}

/// Goal: a build that is to stop does so here too. Method: the stop sign before the first step.
#[test]
fn a_stop_ends_the_search_for_directions() {
    let rows = rows(|_| 1.0, &mut draws());
    let stop = AtomicBool::new(true);
    let found = find(&rows, PADDED, &mut draws(), (Kernels::detect(), &stop));
    assert!(matches!(found, Err(SegmentError::Stopped)), "{found:?}");
}
