//! Columns as rows: what the levels of a batch of rows say.

use std::ops::Range;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::{ParquetError, Result};

use crate::schema::{Leaf, ListLeaf};

/// A column of texts.
pub(crate) struct Texts {
    reader: ColumnReaderImpl<ByteArrayType>,
    leaf: Leaf,
    levels: Vec<i16>,
    values: Vec<ByteArray>,
    /// For each row, the number of its value.
    rows: Vec<Option<usize>>,
}

impl Texts {
    pub(crate) fn new(reader: ColumnReader, leaf: Leaf) -> Self {
        let reader = get_typed_column_reader(reader);
        let (levels, values, rows) = (Vec::new(), Vec::new(), Vec::new());
        Self { reader, leaf, levels, values, rows }
    }

    /// Reads the next `count` rows in place of the ones before.
    pub(crate) fn read(&mut self, count: usize) -> Result<()> {
        self.levels.clear();
        self.values.clear();
        self.rows.clear();
        let levels = Some(&mut self.levels);
        let (rows, _, _) = self.reader.read_records(count, levels, None, &mut self.values)?;
        expect(rows, count)?;
        if self.leaf.present == 0 {
            self.rows.extend((0..rows).map(Some));
            return Ok(());
        }
        let mut next = 0;
        for level in &self.levels {
            let is_there = *level == self.leaf.present;
            self.rows.push(is_there.then_some(next));
            next += usize::from(is_there);
        }
        Ok(())
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<()> {
        expect(self.reader.skip_records(count)?, count)
    }

    /// The text of a row as bytes; `None` for null.
    pub(crate) fn row(&self, row: usize) -> Option<&[u8]> {
        let number = (*self.rows.get(row)?)?;
        self.values.get(number).map(ByteArray::data)
    }
}

/// What a row has in a column of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum List<'a, T> {
    /// Null, itself or because what holds it is null.
    Null,
    /// A list in which an entry is null.
    Holed,
    /// All values of a list, maybe none.
    Values(&'a [T]),
}

/// A column of lists.
pub(crate) struct Lists<T: DataType> {
    reader: ColumnReaderImpl<T>,
    leaf: ListLeaf,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<T::T>,
    rows: Vec<Row>,
}

/// A row of the batch.
struct Row {
    is_null: bool,
    is_holed: bool,
    values: Range<usize>,
}

impl<T: DataType> Lists<T> {
    pub(crate) fn new(reader: ColumnReader, leaf: ListLeaf) -> Self {
        Self {
            reader: get_typed_column_reader(reader),
            leaf,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            values: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Reads the next `count` rows in place of the ones before.
    pub(crate) fn read(&mut self, count: usize) -> Result<()> {
        self.definitions.clear();
        self.repetitions.clear();
        self.values.clear();
        self.rows.clear();
        let (rows, _, _) = self.reader.read_records(
            count,
            Some(&mut self.definitions),
            Some(&mut self.repetitions),
            &mut self.values,
        )?;
        expect(rows, count)?;
        let mut next = 0;
        for (definition, repetition) in self.definitions.iter().zip(&self.repetitions) {
            if *repetition == 0 {
                let is_null = *definition < self.leaf.list;
                self.rows.push(Row { is_null, is_holed: false, values: next..next });
            }
            let Some(row) = self.rows.last_mut() else { continue };
            if *definition == self.leaf.present {
                next += 1;
                row.values.end = next;
            } else if *definition >= self.leaf.entry {
                row.is_holed = true;
            }
        }
        expect(self.rows.len(), count)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<()> {
        expect(self.reader.skip_records(count)?, count)
    }

    pub(crate) fn row(&self, row: usize) -> List<'_, T::T> {
        match self.rows.get(row) {
            None => List::Null,
            Some(row) if row.is_null => List::Null,
            Some(row) if row.is_holed => List::Holed,
            Some(row) => List::Values(self.values.get(row.values.clone()).unwrap_or_default()),
        }
    }
}

/// Every column must have the rows that the footer promises.
fn expect(found: usize, count: usize) -> Result<()> {
    if found == count {
        return Ok(());
    }
    Err(ParquetError::EOF(format!("a column ends after {found} of {count} rows")))
}
