//! The choice of a tier, made once, and the public functions.
//!
//! INVARIANT: a [`Kernels`] exists only for a tier whose instructions this processor was seen to
//! have. That is what makes the calls through the table sound, and why the constructors are the
//! only way to get one. Function pointers rather than generics, so that code above this crate is
//! compiled once and the tier stays a value that a test or an operator can set.

use std::fmt;
use std::sync::OnceLock;

use crate::Tier;
use crate::table::Table;

/// The environment variable that forces a tier by its name, such as `avx2`. A name that is unknown,
/// or a tier that the processor lacks, is as if it were not set.
pub const TIER_VARIABLE: &str = "LODGEPOLE_SIMD";

/// The functions of one tier. A word to copy around; share it freely.
///
/// ```
/// use lodgepole_kernels::Kernels;
///
/// let kernels = Kernels::detect();
/// let mut scores = [0.0; 2];
/// kernels.dot_rows(&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0], &mut scores);
/// assert_eq!(scores, [11.0, 17.0]);
/// ```
#[derive(Clone, Copy)]
pub struct Kernels {
    table: &'static Table,
}

impl Kernels {
    /// The best tier of this processor, or the one that the environment variable
    /// [`TIER_VARIABLE`] names, if the processor has it. Asks once in the life of the process.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Kernels> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            #[expect(clippy::disallowed_methods, reason = "for tests and searches for faults only")]
            let wanted = std::env::var(TIER_VARIABLE).ok();
            Self::preferring(wanted.as_deref().and_then(Tier::parse))
        })
    }

    /// The wanted tier if there is one and the processor has it, otherwise the best.
    pub(crate) fn preferring(wanted: Option<Tier>) -> Self {
        let preferred = wanted.into_iter().chain(Tier::ALL.into_iter().rev());
        let found = preferred.into_iter().find_map(Self::with_tier);
        found.unwrap_or(Self { table: &crate::scalar::TABLE })
    }

    /// The functions of a given tier, or `None` when the processor lacks it. For tests, and for an
    /// operator who wants a lower tier than the detected one.
    #[must_use]
    pub fn with_tier(tier: Tier) -> Option<Self> {
        let table = match tier {
            Tier::Scalar => Some(&crate::scalar::TABLE),
            Tier::Neon => neon(),
            Tier::Avx2 => avx2(),
            Tier::Avx512 => avx512(),
        };
        table.map(|table| Self { table })
    }

    /// The tier that was chosen.
    #[must_use]
    pub fn tier(self) -> Tier {
        self.table.tier
    }

    /// The inner product of two vectors; 0 for empty ones.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table.dot)(a, b) }
    }

    /// The square of the Euclidean distance; exactly 0 between equal finite vectors.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn squared_l2(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: a Kernels exists only for a tier that this processor has.
        unsafe { (self.table.squared_l2)(a, b) }
    }

    /// The square of the Euclidean norm. The bits are those of `dot(a, a)`.
    #[must_use]
    pub fn squared_norm(self, a: &[f32]) -> f32 {
        self.dot(a, a)
    }

    /// The inner product of the query with each row. `rows` is n × d, row-major, where d is the
    /// length of `query` and n that of `out`.
    ///
    /// # Panics
    /// When `rows` does not have n × d values.
    pub fn dot_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        if has_rows(query, rows, out) {
            // SAFETY: a Kernels exists only for a tier that this processor has.
            unsafe { (self.table.dot_rows)(query, rows, out) }
        }
    }

    /// The squared Euclidean distance of the query to each row; shapes as in
    /// [`dot_rows`](Self::dot_rows).
    ///
    /// # Panics
    /// When `rows` does not have n × d values.
    pub fn squared_l2_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        if has_rows(query, rows, out) {
            // SAFETY: a Kernels exists only for a tier that this processor has.
            unsafe { (self.table.squared_l2_rows)(query, rows, out) }
        }
    }

    pub(crate) fn table(self) -> &'static Table {
        self.table
    }

    /// The widest tier as on a processor that does not sum products of bytes.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(crate) fn avx512_without_vnni() -> Option<Self> {
        avx512().map(|_| Self { table: &crate::avx512::TABLE })
    }

    /// The emulated NEON tier, whose functions run everywhere.
    #[cfg(all(test, not(target_arch = "aarch64")))]
    pub(crate) fn emulated_neon() -> Self {
        Self { table: &crate::neon::TABLE }
    }
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernels").field(&self.tier()).finish()
    }
}

/// Checks the shape; answers the case without dimensions itself, where every sum is empty.
fn has_rows(query: &[f32], rows: &[f32], out: &mut [f32]) -> bool {
    assert_eq!(rows.len(), query.len() * out.len(), "as many values as rows times dimensions");
    if query.is_empty() {
        out.fill(0.0);
    }
    !query.is_empty()
}

#[cfg(target_arch = "x86_64")]
fn avx512() -> Option<&'static Table> {
    let both = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    let vnni = is_x86_feature_detected!("avx512vnni");
    let table = if vnni { &crate::avx512::TABLE_VNNI } else { &crate::avx512::TABLE };
    both.then_some(table)
}

#[cfg(target_arch = "x86_64")]
fn avx2() -> Option<&'static Table> {
    let both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    both.then_some(&crate::avx2::TABLE)
}

#[cfg(target_arch = "aarch64")]
fn neon() -> Option<&'static Table> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(&crate::neon::TABLE)
}

#[cfg(not(target_arch = "x86_64"))]
fn avx512() -> Option<&'static Table> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
fn avx2() -> Option<&'static Table> {
    None
}

#[cfg(not(target_arch = "aarch64"))]
fn neon() -> Option<&'static Table> {
    None
}
