//! What a tier consists of, and how its functions follow from its few inner loops.
//!
//! Each tier writes a function `block`, generic over the operation and over how many rows it takes
//! at once; [`kernel_table!`] derives the public forms. INVARIANT: `block` treats every row by
//! itself and in the same order of additions, whatever the number of rows, so the single form and
//! the row form give the same bits. The modules `codes`, `bytes` and `tile` of a tier follow the
//! same pattern for codes, 8-bit rows and assignment, with `scan_functions!`, `byte_functions!` and
//! `assign_function!`.

use crate::Tier;
use crate::assign::Centroids;
use crate::codes::{CodeTable, Pick, Quad};
use crate::rotation::Rotation;

/// Sums the products of the two values at each dimension.
pub(crate) const DOT: u8 = 0;
/// Sums the squared differences of the two values at each dimension.
pub(crate) const SQUARED_L2: u8 = 1;

/// `(a, b)`: both of one length.
pub(crate) type One = unsafe fn(&[f32], &[f32]) -> f32;
/// `(query, rows, out)`: `rows` is `out.len()` × `query.len()`, row-major; the query is not empty.
pub(crate) type Rows = unsafe fn(&[f32], &[f32], &mut [f32]);
/// `(table, blocks, picks, threshold, out)`.
pub(crate) type ScanBelow = unsafe fn(&CodeTable, &[u8], &[Pick], f32, &mut Vec<(u32, f32)>);
/// `(query, rows, at, out)`: the rows of the given numbers.
pub(crate) type RowsAt = unsafe fn(&[i8], &[i8], &[u32], &mut [i32]);

/// The functions of one tier. They are unsafe to call for one reason: the processor must have the
/// instructions of the tier. They check the lengths themselves wherever memory safety rests on it.
pub(crate) struct Table {
    pub(crate) tier: Tier,
    pub(crate) dot: One,
    pub(crate) squared_l2: One,
    pub(crate) dot_rows: Rows,
    pub(crate) squared_l2_rows: Rows,
    /// Rotates the values in place; their number is the padded dimension.
    pub(crate) rotate: unsafe fn(&Rotation, &mut [f32]),
    /// Fills the table of a rotated query; answers scale and offset.
    pub(crate) fill_table: unsafe fn(&[f32], &mut [Quad]) -> (f32, f32),
    pub(crate) scan_codes: unsafe fn(&CodeTable, &[u8], &mut [u32]),
    pub(crate) scan_estimates: unsafe fn(&CodeTable, &[u8], f32, &mut [f32]),
    pub(crate) scan_below: ScanBelow,
    pub(crate) quantise_i8: unsafe fn(&[f32], &mut [i8]) -> f32,
    pub(crate) dot_i8: unsafe fn(&[i8], &[i8]) -> i32,
    /// `(query, rows, out)`, shapes as in [`Rows`].
    pub(crate) dot_i8_rows: unsafe fn(&[i8], &[i8], &mut [i32]),
    pub(crate) dot_i8_at: RowsAt,
    /// `(vectors, centroids, out_index, out_value)`.
    pub(crate) assign: unsafe fn(&[f32], Centroids<'_>, &mut [u32], &mut [f32]),
}

/// Defines `FUNCTIONS` and `TABLE` from the function `block` and the modules `codes`, `bytes` and
/// `tile` in scope. The attributes, if any, name the processor features that `block` needs.
macro_rules! kernel_table {
    ($(#[$attribute:meta])* tier: $tier:expr, rows_at_once: $rows_at_once:expr) => {
        pub(crate) const FUNCTIONS: crate::table::Table = crate::table::Table {
            tier: $tier,
            dot,
            squared_l2,
            dot_rows,
            squared_l2_rows,
            rotate,
            fill_table,
            scan_codes: codes::scan_codes,
            scan_estimates: codes::scan_estimates,
            scan_below: codes::scan_below,
            quantise_i8,
            dot_i8: bytes::dot_i8,
            dot_i8_rows: bytes::dot_i8_rows,
            dot_i8_at: bytes::dot_i8_at,
            assign: tile::assign,
        };

        /// The functions of this tier.
        pub(crate) static TABLE: crate::table::Table = FUNCTIONS;

        portable_functions! { $(#[$attribute])* }

        $(#[$attribute])*
        fn dot(a: &[f32], b: &[f32]) -> f32 {
            block::<1, { crate::table::DOT }>(a, [b])[0]
        }

        $(#[$attribute])*
        fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
            block::<1, { crate::table::SQUARED_L2 }>(a, [b])[0]
        }

        $(#[$attribute])*
        fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
            all_rows::<{ crate::table::DOT }>(query, rows, out);
        }

        $(#[$attribute])*
        fn squared_l2_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
            all_rows::<{ crate::table::SQUARED_L2 }>(query, rows, out);
        }

        #[inline]
        $(#[$attribute])*
        fn all_rows<const OPERATION: u8>(query: &[f32], rows: &[f32], out: &mut [f32]) {
            const AT_ONCE: usize = $rows_at_once;
            let dimension = query.len();
            let mut groups = rows.chunks_exact(AT_ONCE * dimension);
            let mut outs = out.chunks_exact_mut(AT_ONCE);
            for (group, out) in groups.by_ref().zip(outs.by_ref()) {
                let split = std::array::from_fn(|i| &group[i * dimension..(i + 1) * dimension]);
                out.copy_from_slice(&block::<AT_ONCE, OPERATION>(query, split));
            }
            let rest = groups.remainder().chunks_exact(dimension);
            for (row, out) in rest.zip(outs.into_remainder()) {
                *out = block::<1, OPERATION>(query, [row])[0];
            }
        }
    };
}
