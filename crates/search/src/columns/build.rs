//! Collects the metadata of a segment's rows and lays it out as columns.
//!
//! A distinct text is kept once; what grows with the rows is a row number per value, a number per
//! number, and a row number per field that a row has.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use lodgepole_types::{DamagedMetadata, StoredMetadata, StoredValue};
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    FIELD_WORDS, Field, HEAD_WORDS, SetRef, TextEntry, Texts, hash_of, text_place,
};
use super::numbers::{self, NumberSections};
use lodgepole_container::SegmentError;
use lodgepole_container::{Section, SegmentWriter};

/// No row, and no text.
const NONE: u32 = u32::MAX;

/// Collects metadata, in row order.
#[derive(Debug, Default)]
pub(crate) struct ColumnsBuilder {
    rows: u32,
    damaged: Vec<u32>,
    by_name: HashMap<Box<[u8]>, usize>,
    fields: Vec<FieldBuilder>,
}

#[derive(Debug)]
struct FieldBuilder {
    name: Box<[u8]>,
    /// The last row that has the field.
    last_row: u32,
    exists: Vec<u32>,
    damaged: Vec<u32>,
    flags: [Vec<u32>; 2],
    texts: TextsBuilder,
    numbers: Vec<(u64, u32)>,
    listed: Vec<(u64, u32)>,
}

/// The value of a field in the row at hand.
type Entry<'a> = (usize, Result<StoredValue<'a>, DamagedMetadata>);

impl ColumnsBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the next row.
    ///
    /// # Errors
    /// [`SegmentError::TooLarge`] when there are too many rows.
    pub(crate) fn push(&mut self, metadata: StoredMetadata<'_>) -> Result<(), SegmentError> {
        let row = self.rows;
        if row >= NONE - 1 {
            return Err(SegmentError::TooLarge { what: "rows" });
        }
        self.rows += 1;
        if metadata.entries().any(|entry| entry.is_err()) {
            // No filter finds the row, so nothing else about it is asked.
            self.damaged.push(row);
            return Ok(());
        }
        let mut entries: Vec<Entry<'_>> = Vec::with_capacity(16);
        for (name, value) in metadata.entries().flatten() {
            let field = self.field(name);
            let value = StoredValue::read_checked(value);
            if std::mem::replace(&mut self.fields[field].last_row, row) != row {
                entries.push((field, value));
            } else if let Some(entry) = entries.iter_mut().find(|entry| entry.0 == field) {
                // The last value counts, and damage in any of them.
                entry.1 = entry.1.and(value);
            }
        }
        for (field, value) in entries {
            self.fields[field].push(row, value)?;
        }
        Ok(())
    }

    fn field(&mut self, name: &[u8]) -> usize {
        if let Some(&field) = self.by_name.get(name) {
            return field;
        }
        let field = self.fields.len();
        self.by_name.insert(name.into(), field);
        self.fields.push(FieldBuilder::new(name.into()));
        field
    }

    /// Writes the sections of the columns.
    ///
    /// # Errors
    /// What writing reports; [`SegmentError::TooLarge`] for more than the layout can number.
    pub(crate) fn write(mut self, writer: &mut SegmentWriter<'_>) -> Result<(), SegmentError> {
        drop(self.by_name);
        self.fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let rows = self.rows as usize;
        let mut out = Sections { rows, ..Sections::default() };
        let damaged = SetRef::put(rows, &self.damaged, &mut out.sets)?;
        let mut meta = vec![0; HEAD_WORDS];
        meta[..3].copy_from_slice(&[rows as u64, self.fields.len() as u64, damaged.0]);
        meta.reserve_exact(self.fields.len() * FIELD_WORDS);
        let mut names = Vec::new();
        for (number, field) in self.fields.into_iter().enumerate() {
            names.extend_from_slice(&field.name);
            meta.extend(field.lay_out(number, &mut out)?.encode(names.len()));
        }
        writer.section(Section::ColumnsMeta, &meta)?;
        writer.section(Section::ColumnsFields, &names)?;
        writer.section(Section::ColumnsTexts, &out.texts)?;
        writer.section(Section::ColumnsEntries, &out.entries)?;
        writer.section(Section::ColumnsSets, &out.sets)?;
        writer.section(Section::ColumnsNumbers, &out.numbers.keys)?;
        writer.section(Section::ColumnsNumberRows, &out.numbers.rows)
    }
}

/// The sections that all fields share.
#[derive(Debug, Default)]
struct Sections {
    rows: usize,
    texts: Vec<u8>,
    entries: Vec<TextEntry>,
    sets: Vec<u64>,
    numbers: NumberSections,
}

impl FieldBuilder {
    fn new(name: Box<[u8]>) -> Self {
        Self {
            name,
            last_row: NONE,
            exists: Vec::new(),
            damaged: Vec::new(),
            flags: [Vec::new(), Vec::new()],
            texts: TextsBuilder::default(),
            numbers: Vec::new(),
            listed: Vec::new(),
        }
    }

    fn push(
        &mut self,
        row: u32,
        value: Result<StoredValue<'_>, DamagedMetadata>,
    ) -> Result<(), SegmentError> {
        let Ok(value) = value else {
            self.damaged.push(row);
            return Ok(());
        };
        if value == StoredValue::Absent {
            return Ok(());
        }
        self.exists.push(row);
        match value {
            StoredValue::List(_) => value.elements().try_for_each(|element| match element {
                StoredValue::Number(number) => {
                    push_number(&mut self.listed, row, number);
                    Ok(())
                }
                StoredValue::Absent
                | StoredValue::Text(_)
                | StoredValue::Flag(_)
                | StoredValue::List(_) => self.push_scalar(row, element),
            }),
            StoredValue::Absent
            | StoredValue::Number(_)
            | StoredValue::Text(_)
            | StoredValue::Flag(_) => self.push_scalar(row, value),
        }
    }

    fn push_scalar(&mut self, row: u32, value: StoredValue<'_>) -> Result<(), SegmentError> {
        match value {
            StoredValue::Text(text) => self.texts.push(row, text)?,
            StoredValue::Number(number) => push_number(&mut self.numbers, row, number),
            StoredValue::Flag(flag) => {
                let rows = &mut self.flags[usize::from(flag)];
                if rows.last() != Some(&row) {
                    rows.push(row);
                }
            }
            // A list in a list equals nothing.
            StoredValue::Absent | StoredValue::List(_) => {}
        }
        Ok(())
    }

    fn lay_out(self, number: usize, out: &mut Sections) -> Result<Field, SegmentError> {
        let (rows, sets) = (out.rows, &mut out.sets);
        Ok(Field {
            number,
            exists: SetRef::put(rows, &self.exists, sets)?,
            damaged: SetRef::put(rows, &self.damaged, sets)?,
            flags: [
                SetRef::put(rows, &self.flags[0], sets)?,
                SetRef::put(rows, &self.flags[1], sets)?,
            ],
            numbers: numbers::Place::put_one_a_row(rows, self.numbers, &mut out.numbers, sets),
            listed: numbers::Place::put(self.listed, &mut out.numbers),
            texts: self.texts.lay_out(out)?,
        })
    }
}

fn push_number(numbers: &mut Vec<(u64, u32)>, row: u32, number: f64) {
    if !number.is_nan() {
        numbers.push((numbers::key(number), row));
    }
}

/// The texts of a field, each once.
#[derive(Debug, Default)]
struct TextsBuilder {
    /// The first text of each hash.
    by_hash: HashMap<u64, u32, BuildHasherDefault<HashItself>>,
    texts: Vec<Text>,
    /// All texts, one after the other.
    bytes: Vec<u8>,
    /// Text and row, by ascending row.
    postings: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Text {
    hash: u64,
    end: usize,
    /// The next text of the same hash.
    same: u32,
    last_row: u32,
    rows: u32,
}

impl TextsBuilder {
    fn push(&mut self, row: u32, text: &[u8]) -> Result<(), SegmentError> {
        let at = self.find_or_add(text)?;
        let found = &mut self.texts[at as usize];
        if found.last_row != row {
            found.last_row = row;
            found.rows += 1;
            self.postings.push((at, row));
        }
        Ok(())
    }

    fn find_or_add(&mut self, text: &[u8]) -> Result<u32, SegmentError> {
        let hash = hash_of(text);
        let mut at = self.by_hash.get(&hash).copied().unwrap_or(NONE);
        while at != NONE {
            if self.bytes_of(at as usize) == text {
                return Ok(at);
            }
            at = self.texts[at as usize].same;
        }
        let new = u32::try_from(self.texts.len()).ok().filter(|&new| new != NONE);
        let new = new.ok_or(SegmentError::TooLarge { what: "texts of a field" })?;
        self.bytes.extend_from_slice(text);
        let same = self.by_hash.insert(hash, new).unwrap_or(NONE);
        self.texts.push(Text { hash, end: self.bytes.len(), same, last_row: NONE, rows: 0 });
        Ok(new)
    }

    fn bytes_of(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.texts[before].end);
        &self.bytes[start..self.texts[at].end]
    }

    fn lay_out(mut self, out: &mut Sections) -> Result<Texts, SegmentError> {
        self.by_hash = HashMap::default();
        let place = Texts { count: self.texts.len(), entries: out.entries.len() };
        let mut order: Vec<(u64, usize)> =
            self.texts.iter().enumerate().map(|(at, text)| (text.hash, at)).collect();
        order.sort_unstable();
        // Sorts the rows by text: first counted, then put in place.
        let mut next = Vec::with_capacity(self.texts.len());
        let mut total = 0;
        for text in &self.texts {
            next.push(total);
            total += text.rows as usize;
        }
        let mut rows = vec![0; total];
        for &(at, row) in &self.postings {
            rows[next[at as usize]] = row;
            next[at as usize] += 1;
        }
        out.entries.reserve(order.len());
        for (hash, at) in order {
            let set = &rows[next[at] - self.texts[at].rows as usize..next[at]];
            let set = SetRef::put(out.rows, set, &mut out.sets)?;
            let text = self.bytes_of(at);
            out.entries.push([hash, text_place(out.texts.len(), text.len())?, set.0]);
            out.texts.extend_from_slice(text);
        }
        Ok(place)
    }
}

/// For keys that are hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct HashItself(u64);

impl Hasher for HashItself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
