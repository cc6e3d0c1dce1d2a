//! What filters ask of a segment's rows, by field and value, so that no row's metadata is read.
//!
//! Each field has its distinct texts with the rows of each, its numbers in order with their rows,
//! its booleans, the rows that have it at all, and the rows where its value is damaged. A filter is
//! first turned into a plan ([`Plan`]), whose sizes are known before any row has been touched; then
//! the smallest part is read and the others only narrow it.
//!
//! INVARIANT: the rows of a filter are exactly those whose metadata [`Filter::matches`].
//!
//! WHY texts are kept by hash: only equality is asked of them, so they need no order; a hash tells
//! nearly where it stands in a sorted array, so that a lookup reads one or two chunks of millions of
//! texts, and laying out compares no strings. Texts of one hash stand side by side and are compared.

mod build;
mod layout;
mod numbers;
mod plan;

use lodgepole_types::{Comparison, Filter, FilterSets};

pub(crate) use self::build::ColumnsBuilder;
use self::layout::{
    FIELD_WORDS, Field, HEAD_WORDS, Rows, SetRef, TextEntry, Texts, hash_of, index, text_range,
};
use self::plan::Plan;
use crate::rowset::Mask;
use lodgepole_container::SegmentError;
use lodgepole_container::{Container, Section};

/// The filter columns of a segment, read in place. Cheap to make: one for each query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    container: &'a Container,
    rows: usize,
    fields: usize,
    damaged: SetRef,
}

/// The rows that a filter matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FilterMatches {
    /// So few that each may be looked at for itself: ascending.
    Few(Vec<u32>),
    /// More of them.
    Many(Mask),
}

impl FilterMatches {
    /// Up to one row in so many is few.
    const FEW_SHARE: usize = 64;
    /// And so many rows are few in any segment.
    const FEW_MIN: usize = 1_024;

    /// The most rows that are few in a segment of `rows` rows.
    fn few_max(rows: usize) -> usize {
        (rows / Self::FEW_SHARE).max(Self::FEW_MIN)
    }
}

impl<'a> Columns<'a> {
    /// Opens the columns of a segment.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when their directory is damaged or missing.
    pub(crate) fn open(container: &'a Container) -> Result<Self, SegmentError> {
        let head = container.u64s(Section::ColumnsMeta, 0..HEAD_WORDS)?;
        let (rows, fields) = (index(head[0])?, index(head[1])?);
        if container.count::<u64>(Section::ColumnsMeta) != HEAD_WORDS + fields * FIELD_WORDS {
            return Err(SegmentError::damaged(Section::ColumnsMeta));
        }
        Ok(Self { container, rows, fields, damaged: SetRef(head[2]) })
    }

    /// The rows that match.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] when what was read is damaged, or does not belong to a segment of
    /// `rows` rows.
    pub(crate) fn mask(&self, filter: &Filter, rows: usize) -> Result<FilterMatches, SegmentError> {
        if rows != self.rows {
            return Err(SegmentError::damaged(Section::ColumnsMeta));
        }
        filter.evaluate(self)?.select(self)
    }

    /// Finds a field by name.
    fn find(&self, name: &str) -> Result<Option<Field>, SegmentError> {
        let (mut start, mut end) = (0, self.fields);
        while start < end {
            let middle = start.midpoint(end);
            match self.field_name(middle)?.cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => start = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
                std::cmp::Ordering::Equal => {
                    return Field::decode(middle, self.field_words(middle)?).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn field_words(&self, number: usize) -> Result<&'a [u64; FIELD_WORDS], SegmentError> {
        let start = HEAD_WORDS + number * FIELD_WORDS;
        let words = self.container.u64s(Section::ColumnsMeta, start..start + FIELD_WORDS)?;
        words.first_chunk().ok_or(SegmentError::damaged(Section::ColumnsMeta))
    }

    fn field_name(&self, number: usize) -> Result<&'a [u8], SegmentError> {
        let end = index(self.field_words(number)?[0])?;
        let start = match number {
            0 => 0,
            _ => index(self.field_words(number - 1)?[0])?,
        };
        self.container.bytes(Section::ColumnsFields, start..end)
    }

    /// The rows of a text of a field.
    fn text(&self, texts: &Texts, text: &[u8]) -> Result<SetRef, SegmentError> {
        let hash = hash_of(text);
        let mut at = self.first_hash(texts, hash)?;
        while at < texts.count {
            let [own, place, set] = *self.entry(texts, at)?;
            if own != hash {
                break;
            }
            if self.container.bytes(Section::ColumnsTexts, text_range(place)?)? == text {
                return Ok(SetRef(set));
            }
            at += 1;
        }
        Ok(SetRef::EMPTY)
    }

    /// The first text whose hash is not below `hash`. Hashes are spread evenly, so where one stands
    /// is guessed, and guessed again from what stands there; some few steps then remain.
    fn first_hash(&self, texts: &Texts, hash: u64) -> Result<usize, SegmentError> {
        const GUESSES: usize = 3;
        const STEPS_MAX: usize = 64;
        let Some(last) = texts.count.checked_sub(1) else { return Ok(0) };
        let share = |of: u64| {
            let places = (u128::from(of) * texts.count as u128) >> u64::BITS;
            usize::try_from(places).unwrap_or(0)
        };
        let hash_at = |at: usize| Ok::<_, SegmentError>(self.entry(texts, at)?[0]);
        let mut at = share(hash).min(last);
        for _ in 0..GUESSES {
            let own = hash_at(at)?;
            at = match own < hash {
                true => last.min(at + share(hash - own)),
                false => at.saturating_sub(share(own - hash)),
            };
        }
        let mut steps = 0;
        while at > 0 && steps < STEPS_MAX && hash_at(at - 1)? >= hash {
            (at, steps) = (at - 1, steps + 1);
        }
        while at < texts.count && steps < STEPS_MAX && hash_at(at)? < hash {
            (at, steps) = (at + 1, steps + 1);
        }
        if steps < STEPS_MAX {
            return Ok(at);
        }
        // Many texts of one hash: somebody made them so.
        let (mut start, mut end) = (0, texts.count);
        while start < end {
            let middle = start.midpoint(end);
            if hash_at(middle)? < hash {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(start)
    }

    fn entry(&self, texts: &Texts, at: usize) -> Result<&'a TextEntry, SegmentError> {
        let place = texts.entries + at;
        Ok(&self.container.numbers(Section::ColumnsEntries, place..place + 1)?[0])
    }

    fn plan(&self, set: SetRef) -> Result<Plan<'a>, SegmentError> {
        Ok(Plan::Rows(set.read(self.container, self.rows)?))
    }
}

impl<'a> FilterSets for Columns<'a> {
    type Set = Plan<'a>;
    type Field = Option<Field>;
    type Error = SegmentError;

    fn field(&self, name: &str) -> Result<Option<Field>, SegmentError> {
        self.find(name)
    }

    fn all(&self) -> Plan<'a> {
        Plan::Rows(Rows::All)
    }

    fn and(&self, sets: Vec<Plan<'a>>) -> Plan<'a> {
        Plan::all_of(sets, self.rows)
    }

    fn or(&self, sets: Vec<Plan<'a>>) -> Plan<'a> {
        Plan::any_of(sets)
    }

    fn not(&self, set: Plan<'a>) -> Plan<'a> {
        Plan::none_of(set)
    }

    fn damaged(&self) -> Result<Plan<'a>, SegmentError> {
        self.plan(self.damaged)
    }

    fn damaged_in(&self, field: &Option<Field>) -> Result<Plan<'a>, SegmentError> {
        self.plan(field.map_or(SetRef::EMPTY, |field| field.damaged))
    }

    fn equal_text(&self, field: &Option<Field>, text: &str) -> Result<Plan<'a>, SegmentError> {
        let Some(field) = field else { return Ok(Plan::NONE) };
        self.plan(self.text(&field.texts, text.as_bytes())?)
    }

    fn equal_number(&self, field: &Option<Field>, number: f64) -> Result<Plan<'a>, SegmentError> {
        let Some(field) = field else { return Ok(Plan::NONE) };
        let run = field.numbers.equal(self.container, number)?;
        let listed = field.listed.equal(self.container, number)?;
        let listed = field.listed.rows(self.container, &listed)?;
        let own = Plan::run(field.number, field.numbers, run);
        Ok(Plan::any_of(vec![own, Plan::of_list(listed)]))
    }

    fn equal_flag(&self, field: &Option<Field>, flag: bool) -> Result<Plan<'a>, SegmentError> {
        self.plan(field.map_or(SetRef::EMPTY, |field| field.flags[usize::from(flag)]))
    }

    fn compare(
        &self,
        field: &Option<Field>,
        comparison: Comparison,
        bound: f64,
    ) -> Result<Plan<'a>, SegmentError> {
        let Some(field) = field else { return Ok(Plan::NONE) };
        let run = field.numbers.compared(self.container, comparison, bound)?;
        Ok(Plan::run(field.number, field.numbers, run))
    }

    fn exists(&self, field: &Option<Field>) -> Result<Plan<'a>, SegmentError> {
        self.plan(field.map_or(SetRef::EMPTY, |field| field.exists))
    }
}

#[cfg(test)]
mod tests;
