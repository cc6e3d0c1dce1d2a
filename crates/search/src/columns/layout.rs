//! The fixed parts of the columns in a segment: sets of rows, and the directory of fields.
//!
//! INVARIANT: how a set is laid out follows from how many rows it has, so nothing can contradict
//! itself: no tag says so.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::numbers;
use lodgepole_container::SegmentError;
use lodgepole_container::{Container, Section};

/// Words before the fields in [`Section::ColumnsMeta`].
pub(super) const HEAD_WORDS: usize = 8;
/// Words of one field there.
pub(super) const FIELD_WORDS: usize = 16;

/// A set in one word: how many rows (upper half), and where they are. One row stands in the lower
/// half itself. Of more, it is the word of [`Section::ColumnsSets`] where they begin: as bits when
/// they are more than one in [`BITS_FROM`], else as a list of u32. All rows, or none, are nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetRef(pub(super) u64);

/// From one in so many rows on, bits take less room than a list.
const BITS_FROM: usize = 32;

/// The rows of a set, in place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    None,
    All,
    One(u32),
    List(&'a [u32]),
    Bits { words: &'a [u64], ones: usize },
}

impl SetRef {
    /// No rows.
    pub(super) const EMPTY: Self = Self(0);

    /// Lays out a set of ascending rows behind `sets`.
    pub(super) fn put(rows: usize, set: &[u32], sets: &mut Vec<u64>) -> Result<Self, SegmentError> {
        let too_large = || SegmentError::TooLarge { what: "sets of rows of a filter" };
        let place = match set {
            [only] => *only,
            _ if set.is_empty() || set.len() == rows => 0,
            _ => u32::try_from(sets.len()).map_err(|_| too_large())?,
        };
        if set.len() > 1 && set.len() < rows {
            if is_bits(rows, set.len()) {
                put_bits(rows, set, sets);
            } else {
                sets.extend(set.chunks(2).map(|pair| {
                    u64::from(pair[0]) | pair.get(1).map_or(0, |row| u64::from(*row) << 32)
                }));
            }
        }
        let count = u32::try_from(set.len()).map_err(|_| too_large())?;
        Ok(Self(u64::from(count) << 32 | u64::from(place)))
    }

    pub(super) fn read(self, container: &Container, rows: usize) -> Result<Rows<'_>, SegmentError> {
        let (count, place) = halves(self.0);
        let (count, start) = (count as usize, place as usize);
        match count {
            0 => Ok(Rows::None),
            1 => Ok(Rows::One(place)),
            _ if count == rows => Ok(Rows::All),
            _ if is_bits(rows, count) => {
                let range = start..start + rows.div_ceil(64);
                Ok(Rows::Bits { words: container.u64s(Section::ColumnsSets, range)?, ones: count })
            }
            _ => {
                let range = start * 2..start * 2 + count;
                Ok(Rows::List(container.u32s(Section::ColumnsSets, range)?))
            }
        }
    }
}

fn is_bits(rows: usize, count: usize) -> bool {
    count > rows / BITS_FROM
}

/// Appends the rows of a set as bits.
pub(super) fn put_bits(rows: usize, set: &[u32], sets: &mut Vec<u64>) {
    let start = sets.len();
    sets.resize(start + rows.div_ceil(64), 0);
    for &row in set {
        sets[start + row as usize / 64] |= 1 << (row % 64);
    }
}

fn halves(word: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the purpose")]
    let low = word as u32;
    ((word >> 32) as u32, low)
}

/// What texts are found by.
pub(super) fn hash_of(text: &[u8]) -> u64 {
    #[cfg(test)]
    if text.starts_with(ONE_HASH.as_bytes()) {
        return u64::MAX / 3;
    }
    xxh3_64(text)
}

/// In tests, texts that start so have one hash.
#[cfg(test)]
pub(super) const ONE_HASH: &str = "of one hash: ";

/// One field in the directory. Places count in the numbers of their section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Number of the field, in ascending order of names.
    pub(super) number: usize,
    /// Rows where the field is anything but null.
    pub(super) exists: SetRef,
    /// Rows whose value of the field cannot be read.
    pub(super) damaged: SetRef,
    /// Rows with `false`, and with `true`.
    pub(super) flags: [SetRef; 2],
    pub(super) texts: Texts,
    /// Numbers that are the value itself.
    pub(super) numbers: numbers::Place,
    /// Numbers in lists.
    pub(super) listed: numbers::Place,
}

/// Where the distinct texts of a field are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Texts {
    /// How many there are.
    pub(super) count: usize,
    /// The first of their entries in [`Section::ColumnsEntries`], which ascend by hash.
    pub(super) entries: usize,
}

/// A text of a field: its hash, its place ([`text_place`]), and its rows as a [`SetRef`]. All side by
/// side, so that a lookup reads one place.
pub(super) type TextEntry = [u64; 3];

/// Bits of a text's place that are its length; above them, where in [`Section::ColumnsTexts`] it
/// starts.
const LENGTH_BITS: u32 = 24;

/// Where a text is, in one word.
pub(super) fn text_place(start: usize, length: usize) -> Result<u64, SegmentError> {
    let (start, length) = (start as u64, length as u64);
    if length >> LENGTH_BITS != 0 || start >> (64 - LENGTH_BITS) != 0 {
        return Err(SegmentError::TooLarge { what: "texts of a filter" });
    }
    Ok(start << LENGTH_BITS | length)
}

/// The bytes of a text.
pub(super) fn text_range(place: u64) -> Result<Range<usize>, SegmentError> {
    let start = index(place >> LENGTH_BITS)?;
    Ok(start..start + index(place & ((1 << LENGTH_BITS) - 1))?)
}

impl Field {
    /// The words of a field; `name_end` is where its name ends in [`Section::ColumnsFields`].
    pub(super) fn encode(&self, name_end: usize) -> [u64; FIELD_WORDS] {
        let numbers = self.numbers.encode();
        let listed = self.listed.encode();
        [
            name_end as u64,
            self.exists.0,
            self.damaged.0,
            self.flags[0].0,
            self.flags[1].0,
            self.texts.count as u64,
            self.texts.entries as u64,
            0,
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            listed[0],
            listed[1],
            listed[2],
            listed[3],
        ]
    }

    pub(super) fn decode(number: usize, words: &[u64; FIELD_WORDS]) -> Result<Self, SegmentError> {
        let [_, exists, damaged, no, yes, texts @ .., n0, n1, n2, n3, l0, l1, l2, l3] = *words;
        Ok(Self {
            number,
            exists: SetRef(exists),
            damaged: SetRef(damaged),
            flags: [SetRef(no), SetRef(yes)],
            texts: Texts { count: index(texts[0])?, entries: index(texts[1])? },
            numbers: numbers::Place::decode([n0, n1, n2, n3])?,
            listed: numbers::Place::decode([l0, l1, l2, l3])?,
        })
    }
}

/// A place in the file. Places are below 2^48, so that sums of some of them do not overflow.
pub(super) fn index(word: u64) -> Result<usize, SegmentError> {
    const PLACES: u64 = 1 << 48;
    let place = usize::try_from(word).ok().filter(|_| word < PLACES);
    place.ok_or(SegmentError::Damaged { section: Section::ColumnsMeta })
}
