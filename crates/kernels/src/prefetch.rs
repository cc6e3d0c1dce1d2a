//! Asking for memory before it is needed.
//!
//! A hint and nothing else: it never faults, reads nothing into the program, and where the target
//! has no stable way to give it, it does nothing.

/// Rows that are asked for ahead of the one in work.
pub(crate) const ROWS_AHEAD: usize = 8;

/// Bytes of a row that are asked for: the processor sees from them that the rest follows, and many
/// long rows at once would push each other out of the cache.
const START_BYTES: usize = 2 << 10;

/// The unit in which memory comes.
const LINE_BYTES: usize = 64;

/// Asks for the bytes of the slice, all of them: pass a part of a long one.
#[inline]
pub fn prefetch<T>(slice: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of_val(slice)).step_by(LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction has no effect on what the program sees, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().cast::<i8>().wrapping_add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, LINE_BYTES);
}

/// Asks for the start of a row.
#[inline]
pub(crate) fn prefetch_start(row: &[i8]) {
    prefetch(&row[..row.len().min(START_BYTES)]);
}
