//! Inner products of 8-bit rows in plain Rust.

byte_functions! { rows_at_once: 1 }

#[inline]
fn byte_block<const ROWS: usize>(query: &[i8], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
    rows.map(|row| {
        assert_eq!(query.len(), row.len(), "two rows of one dimension");
        let terms = query.iter().zip(row).map(|(x, y)| i32::from(*x).wrapping_mul(i32::from(*y)));
        // Cannot wrap around: callers bound the length. A check would keep the loop from being
        // vectorised.
        terms.fold(0, i32::wrapping_add)
    })
}
