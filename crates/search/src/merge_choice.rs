//! Which segments to merge.
//!
//! Segments fall into tiers by their living rows, each four times as large as the one below. Four
//! of one tier become one of the next: a row is written again once a tier, and a namespace has at
//! most three segments of each. Once nothing is written any more, small segments join a larger one
//! when that rewrites at most three times as many rows as they have. A segment of which a third is
//! dead is rewritten. Invariant: nothing grows beyond the largest size that is allowed.

/// Rows up to which a segment is of the lowest tier.
const TIER_ROWS: u64 = 16_384;
/// How much larger the segments of the next tier are.
const TIER_FACTOR: u64 = 4;
/// How many segments of one tier become one.
const TIER_SEGMENTS: usize = 4;
/// Of so many rows one may be dead.
const DEAD_SHARE: u64 = 3;
/// How many rows may be rewritten for one that joins, when nothing is written.
const QUIET_FACTOR: u64 = 3;

/// What there is to know about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSize {
    /// Rows that live.
    pub live: u64,
    /// Rows, dead ones included.
    pub rows: u64,
}

/// Chooses which segments become one, together with `tail` rows that are in none. `quiet` when
/// nothing was written for a while. Gives positions in `sizes`, ascending.
#[must_use]
pub fn merge_choice(sizes: &[SegmentSize], tail: u64, quiet: bool, rows_max: u64) -> Vec<usize> {
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|&at| (sizes[at].live, at));
    let mut taken = full_tiers(sizes, &by_size, tail);
    if quiet && taken.is_empty() {
        taken = joined(sizes, &by_size, tail);
    }
    let is_decayed =
        |size: &SegmentSize| size.rows > 0 && (size.rows - size.live) * DEAD_SHARE >= size.rows;
    for (at, size) in sizes.iter().enumerate() {
        if is_decayed(size) && !taken.contains(&at) {
            taken.push(at);
        }
    }
    // The largest ones stay out when it would become too much.
    taken.sort_by_key(|&at| (sizes[at].live, at));
    let mut total = tail;
    taken.retain(|&at| {
        let fits = total + sizes[at].live <= rows_max || is_decayed(&sizes[at]);
        total += if fits { sizes[at].live } else { 0 };
        fits
    });
    // One that is taken alone would only be copied.
    if let [only] = taken[..]
        && tail == 0
        && !is_decayed(&sizes[only])
    {
        taken.clear();
    }
    taken.sort_unstable();
    taken
}

/// The lowest tiers, up to the highest one that is full.
fn full_tiers(sizes: &[SegmentSize], by_size: &[usize], tail: u64) -> Vec<usize> {
    let mut taken = 0;
    let mut total = tail;
    loop {
        let tier = tier_of(total.max(1));
        let upto = by_size.iter().filter(|&&at| tier_of(sizes[at].live) <= tier).count();
        let new = usize::from(total > 0 && taken == 0 && tail > 0);
        if upto <= taken || upto - taken + new + usize::from(taken > 0) < TIER_SEGMENTS {
            break;
        }
        taken = upto;
        total = tail + by_size[..taken].iter().map(|&at| sizes[at].live).sum::<u64>();
    }
    by_size[..taken].to_vec()
}

/// The smallest ones, with each larger one that is not too much larger than them all.
fn joined(sizes: &[SegmentSize], by_size: &[usize], tail: u64) -> Vec<usize> {
    let mut total = tail;
    let mut taken = 0;
    let mut upto = 0;
    for (position, &at) in by_size.iter().enumerate() {
        if total > 0 && sizes[at].live <= total * QUIET_FACTOR {
            upto = position + 1;
        }
        total += sizes[at].live;
        taken = upto;
    }
    by_size[..taken].to_vec()
}

fn tier_of(live: u64) -> u32 {
    let mut tier = 0;
    let mut bound = TIER_ROWS;
    while live > bound {
        tier += 1;
        bound = bound.saturating_mul(TIER_FACTOR);
    }
    tier
}

#[cfg(test)]
mod tests;
