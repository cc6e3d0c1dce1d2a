//! How to find the rows of a filter.
//!
//! The size of every leaf is known before its rows are read. So a conjunction reads its smallest
//! part and only asks the others about those rows; it makes bits of a whole segment only when even
//! its smallest part is large. What is a union, and what is left after a negation, follow the same
//! rule: few rows are kept as a list, many as bits.

use std::ops::Range;

use super::layout::Rows;
use super::numbers::Place;
use super::{Columns, FilterMatches};
use crate::rowset::Mask;
use lodgepole_container::SegmentError;

/// Longer runs of numbers become bits rather than being sorted by row.
const SORT_MAX: usize = 2_048;

/// A set of rows that has not been read yet.
#[derive(Debug)]
pub(crate) enum Plan<'a> {
    Rows(Rows<'a>),
    /// A run of a field's numbers.
    Run {
        field: usize,
        place: Place,
        run: Range<usize>,
    },
    /// At least two, the smallest first.
    All(Vec<Self>),
    /// At least two.
    Any(Vec<Self>),
    Not(Box<Self>),
}

impl<'a> Plan<'a> {
    /// No row.
    pub(super) const NONE: Self = Plan::Rows(Rows::None);

    pub(super) fn of_list(rows: &'a [u32]) -> Self {
        match rows {
            [] => Self::NONE,
            [row] => Plan::Rows(Rows::One(*row)),
            _ => Plan::Rows(Rows::List(rows)),
        }
    }

    pub(super) fn run(field: usize, place: Place, run: Range<usize>) -> Self {
        if run.is_empty() { Self::NONE } else { Plan::Run { field, place, run } }
    }

    /// What is in each of the plans, in a segment of `rows` rows.
    pub(super) fn all_of(plans: Vec<Self>, rows: usize) -> Self {
        let mut parts: Vec<Self> = Vec::with_capacity(plans.len());
        for plan in plans {
            match plan {
                Plan::Rows(Rows::All) => {}
                Plan::All(inner) => inner.into_iter().for_each(|part| add_part(part, &mut parts)),
                Plan::Rows(_) | Plan::Run { .. } | Plan::Any(_) | Plan::Not(_) => {
                    add_part(plan, &mut parts);
                }
            }
        }
        if parts.iter().any(|part| matches!(part, Plan::Rows(Rows::None))) {
            return Self::NONE;
        }
        parts.sort_by_cached_key(|part| part.rows_max(rows));
        match parts.len() {
            0 => Plan::Rows(Rows::All),
            1 => parts.remove(0),
            _ => Plan::All(parts),
        }
    }

    pub(super) fn any_of(mut plans: Vec<Self>) -> Self {
        plans.retain(|plan| !matches!(plan, Plan::Rows(Rows::None)));
        if plans.iter().any(|plan| matches!(plan, Plan::Rows(Rows::All))) {
            return Plan::Rows(Rows::All);
        }
        match plans.len() {
            0 => Self::NONE,
            1 => plans.remove(0),
            _ => Plan::Any(plans),
        }
    }

    pub(super) fn none_of(plan: Self) -> Self {
        match plan {
            Plan::Rows(Rows::None) => Plan::Rows(Rows::All),
            Plan::Rows(Rows::All) => Self::NONE,
            Plan::Not(inner) => *inner,
            Plan::Rows(_) | Plan::Run { .. } | Plan::All(_) | Plan::Any(_) => {
                Plan::Not(Box::new(plan))
            }
        }
    }

    /// About how many rows there are: exact for what is read in place, never too low for a union or
    /// a conjunction.
    fn rows_max(&self, rows: usize) -> usize {
        match self {
            Plan::Rows(Rows::None) => 0,
            Plan::Rows(Rows::One(_)) => 1,
            Plan::Rows(Rows::List(list)) => list.len(),
            Plan::Rows(Rows::Bits { ones, .. }) => *ones,
            Plan::Rows(Rows::All) => rows,
            Plan::Run { run, .. } => run.len(),
            Plan::All(parts) => parts.first().map_or(rows, |part| part.rows_max(rows)),
            Plan::Any(parts) => {
                let sum = parts.iter().map(|part| part.rows_max(rows)).sum::<usize>();
                sum.min(rows)
            }
            Plan::Not(part) => rows.saturating_sub(part.rows_max(rows)),
        }
    }

    /// Finds the rows.
    pub(super) fn select(&self, columns: &Columns<'_>) -> Result<FilterMatches, SegmentError> {
        let rows = columns.rows;
        let found = match self {
            Plan::Rows(Rows::None) => FilterMatches::Few(Vec::new()),
            Plan::Rows(Rows::One(row)) => FilterMatches::Few(vec![*row]),
            Plan::Rows(Rows::List(list)) if list.len() <= FilterMatches::few_max(rows) => {
                FilterMatches::Few(list.to_vec())
            }
            Plan::Rows(Rows::List(list)) => FilterMatches::Many(Mask::of_rows(rows, list)),
            Plan::Rows(Rows::Bits { words, .. }) => {
                FilterMatches::Many(Mask::of_words(rows, words.to_vec()))
            }
            Plan::Rows(Rows::All) => FilterMatches::Many(Mask::all(rows)),
            Plan::Run { place, run, .. } if run.len() <= SORT_MAX => {
                FilterMatches::Few(sorted(place.rows(columns.container, run)?.to_vec()))
            }
            Plan::Run { place, run, .. } => {
                FilterMatches::Many(place.mask(columns.container, rows, run)?)
            }
            Plan::All(parts) => {
                let mut parts = parts.iter();
                let first = parts.next().map(|first| first.select(columns));
                let mut found = first.unwrap_or(Ok(FilterMatches::Few(Vec::new())))?;
                for part in parts {
                    found = part.narrow(found, columns)?;
                }
                found
            }
            Plan::Any(parts) if self.rows_max(rows) <= SORT_MAX => {
                let mut found = Vec::new();
                for part in parts {
                    match part.select(columns)? {
                        FilterMatches::Few(few) => found.extend(few),
                        FilterMatches::Many(mask) => found.extend(mask.iter()),
                    }
                }
                FilterMatches::Few(sorted(found))
            }
            Plan::Any(parts) => {
                let mut mask = Mask::none(rows);
                parts.iter().try_for_each(|part| part.add_to(&mut mask, columns))?;
                FilterMatches::Many(mask)
            }
            Plan::Not(part) => {
                let mut mask = Mask::all(rows);
                part.remove_from(&mut mask, columns)?;
                FilterMatches::Many(mask)
            }
        };
        Ok(settled(found, rows))
    }

    /// Those of some rows that are in this too.
    fn narrow(
        &self,
        found: FilterMatches,
        columns: &Columns<'_>,
    ) -> Result<FilterMatches, SegmentError> {
        let mut mask = match found {
            FilterMatches::Few(mut few) => {
                self.keep(&mut few, columns)?;
                return Ok(FilterMatches::Few(few));
            }
            FilterMatches::Many(mask) => mask,
        };
        match self {
            Plan::Rows(Rows::All) => {}
            Plan::Rows(Rows::Bits { words, .. }) => mask.combine(words, |a, b| a & b),
            Plan::Not(part) => part.remove_from(&mut mask, columns)?,
            Plan::Rows(Rows::None | Rows::One(_) | Rows::List(_))
            | Plan::Run { .. }
            | Plan::All(_)
            | Plan::Any(_) => match self.select(columns)? {
                FilterMatches::Few(mut few) => {
                    few.retain(|&row| mask.contains(row));
                    return Ok(FilterMatches::Few(few));
                }
                FilterMatches::Many(other) => mask.combine(other.words(), |a, b| a & b),
            },
        }
        Ok(settled(FilterMatches::Many(mask), columns.rows))
    }

    /// Keeps those of some ascending rows that are in this.
    fn keep(&self, some: &mut Vec<u32>, columns: &Columns<'_>) -> Result<(), SegmentError> {
        if some.is_empty() {
            return Ok(());
        }
        match self {
            Plan::Rows(Rows::None) => some.clear(),
            Plan::Rows(Rows::All) => {}
            Plan::Rows(Rows::One(row)) => some.retain(|other| other == row),
            Plan::Rows(Rows::List(list)) => keep_listed(some, list),
            Plan::Rows(Rows::Bits { words, .. }) => some.retain(|&row| {
                let word = words.get(row as usize / 64);
                word.is_some_and(|word| word >> (row % 64) & 1 != 0)
            }),
            Plan::Run { place, run, .. } => {
                if !place.keep(columns.container, columns.rows, run, some)? {
                    self.keep_selected(some, columns)?;
                }
            }
            Plan::All(parts) => parts.iter().try_for_each(|part| part.keep(some, columns))?,
            Plan::Any(parts) => {
                if parts.len() * some.len() > self.rows_max(columns.rows) {
                    return self.keep_selected(some, columns);
                }
                let mut kept = Vec::new();
                for part in parts {
                    let mut more = some.clone();
                    part.keep(&mut more, columns)?;
                    kept.extend(more);
                }
                *some = sorted(kept);
            }
            Plan::Not(part) => {
                let mut dropped = some.clone();
                part.keep(&mut dropped, columns)?;
                let mut dropped = dropped.into_iter().peekable();
                some.retain(|row| dropped.next_if_eq(row).is_none());
            }
        }
        Ok(())
    }

    fn keep_selected(
        &self,
        some: &mut Vec<u32>,
        columns: &Columns<'_>,
    ) -> Result<(), SegmentError> {
        match self.select(columns)? {
            FilterMatches::Few(few) => keep_listed(some, &few),
            FilterMatches::Many(mask) => some.retain(|&row| mask.contains(row)),
        }
        Ok(())
    }

    fn add_to(&self, mask: &mut Mask, columns: &Columns<'_>) -> Result<(), SegmentError> {
        match self {
            Plan::Rows(Rows::One(row)) => mask.insert_all(&[*row]),
            Plan::Rows(Rows::List(list)) => mask.insert_all(list),
            Plan::Rows(Rows::Bits { words, .. }) => mask.combine(words, |a, b| a | b),
            Plan::Any(parts) => parts.iter().try_for_each(|part| part.add_to(mask, columns))?,
            Plan::Rows(Rows::None | Rows::All) | Plan::Run { .. } | Plan::All(_) | Plan::Not(_) => {
                match self.select(columns)? {
                    FilterMatches::Few(few) => mask.insert_all(&few),
                    FilterMatches::Many(other) => mask.combine(other.words(), |a, b| a | b),
                }
            }
        }
        Ok(())
    }

    fn remove_from(&self, mask: &mut Mask, columns: &Columns<'_>) -> Result<(), SegmentError> {
        match self {
            Plan::Rows(Rows::One(row)) => mask.remove_all(&[*row]),
            Plan::Rows(Rows::List(list)) => mask.remove_all(list),
            Plan::Rows(Rows::Bits { words, .. }) => mask.combine(words, |a, b| a & !b),
            Plan::Any(parts) => {
                parts.iter().try_for_each(|part| part.remove_from(mask, columns))?;
            }
            Plan::Rows(Rows::None | Rows::All) | Plan::Run { .. } | Plan::All(_) | Plan::Not(_) => {
                match self.select(columns)? {
                    FilterMatches::Few(few) => mask.remove_all(&few),
                    FilterMatches::Many(other) => mask.combine(other.words(), |a, b| a & !b),
                }
            }
        }
        Ok(())
    }
}

/// Adds a part to a conjunction. Two runs of one field are one run: a range of values is then as
/// long as it is, not as its half-open sides.
fn add_part<'a>(part: Plan<'a>, parts: &mut Vec<Plan<'a>>) {
    if let Plan::Run { field, place, run } = &part {
        for other in parts.iter_mut() {
            if let Plan::Run { field: same, run: first, .. } = other
                && same == field
            {
                let both = first.start.max(run.start)..first.end.min(run.end);
                *other = Plan::run(*field, *place, both);
                return;
            }
        }
    }
    parts.push(part);
}

/// Bits of few rows become a list.
fn settled(found: FilterMatches, rows: usize) -> FilterMatches {
    let few_max = FilterMatches::few_max(rows);
    match found {
        FilterMatches::Many(mask) if mask.ones() <= few_max => {
            let mut few = Vec::with_capacity(mask.ones());
            few.extend(mask.iter());
            FilterMatches::Few(few)
        }
        FilterMatches::Few(few) if few.len() > few_max => {
            FilterMatches::Many(Mask::of_rows(rows, &few))
        }
        FilterMatches::Few(_) | FilterMatches::Many(_) => found,
    }
}

fn sorted(mut rows: Vec<u32>) -> Vec<u32> {
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Keeps what is in both; both ascend. Looks for the next row in steps that double, so that a short
/// list costs little against a long one.
fn keep_listed(some: &mut Vec<u32>, list: &[u32]) {
    let mut rest = list;
    some.retain(|row| {
        let mut step = 1;
        while step < rest.len() && rest[step] < *row {
            step *= 2;
        }
        let stretch = &rest[..rest.len().min(step + 1)];
        rest = &rest[stretch.partition_point(|listed| listed < row)..];
        rest.first() == Some(row)
    });
}
