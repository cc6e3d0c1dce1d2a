//! One file, read batch by batch.

use std::fmt;
use std::panic::AssertUnwindSafe;

use lodgepole_types::{Limits, Record};
use parquet::data_type::{FloatType, Int32Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::columns::{List, Lists, Texts};
use crate::ranges::Blocks;
use crate::rows::Cells;
use crate::schema::Columns;
use crate::{FileError, Ranges, RowError, Shape};

/// Rows of one batch, at most.
const BATCH_ROWS_MAX: u64 = 2_000;
/// Numbers in all vectors of one batch, as far as the footer tells: 4 MiB.
const BATCH_NUMBERS_MAX: u64 = 1 << 20;
/// Bytes of texts in one batch, as far as the footer tells.
const BATCH_TEXT_BYTES_MAX: u64 = 8 << 20;

/// Rows in the order of the file.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// The number of the first row.
    pub first_row: u64,
    /// The rows: what they hold, or why not.
    pub rows: Vec<std::result::Result<Record, RowError>>,
}

/// An open file.
pub struct ParquetFile {
    reader: SerializedFileReader<Blocks>,
    blocks: Blocks,
    columns: Columns,
    shape: Shape,
    limits: Limits,
    /// Rows of each row group.
    groups: Vec<u64>,
    /// The row group that is read next, or is being read.
    group: usize,
    /// Rows of that group which were read or skipped.
    done: u64,
    open: Option<OpenGroup>,
}

impl fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile")
            .field("columns", &self.columns)
            .field("group", &self.group)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// The readers of a row group, all at one row.
struct OpenGroup {
    id: Texts,
    values: Option<Lists<FloatType>>,
    sparse: Option<(Lists<Int32Type>, Lists<FloatType>)>,
    metadata: Option<Texts>,
    batch_rows: u64,
}

impl ParquetFile {
    /// Reads the footer and checks the columns for records of `shape`.
    ///
    /// # Errors
    /// [`FileError::Invalid`] when it is no Parquet file of the documented layout,
    /// [`FileError::Unreadable`] when its source fails.
    pub fn open(
        source: Box<dyn Ranges>,
        shape: Shape,
        limits: &Limits,
    ) -> std::result::Result<Self, FileError> {
        let blocks = Blocks::new(source);
        let reader = contained(|| Ok(SerializedFileReader::new(blocks.clone())))?;
        let reader = reader.map_err(|error| {
            let message = "Parquet footer could not be parsed. Are you sure this is valid parquet?";
            sort(&blocks, &error, |_| message.to_owned())
        })?;
        let columns = Columns::find(reader.metadata().file_metadata().schema_descr(), shape)?;
        let groups = reader
            .metadata()
            .row_groups()
            .iter()
            .map(|group| u64::try_from(group.num_rows()))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| damaged(&"a row group has fewer than no rows"))?;
        let limits = limits.clone();
        Ok(Self { reader, blocks, columns, shape, limits, groups, group: 0, done: 0, open: None })
    }

    /// Rows of the whole file.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.groups.iter().fold(0, |sum, rows| sum.saturating_add(*rows))
    }

    /// The number of the row that is read next.
    #[must_use]
    pub fn next_row(&self) -> u64 {
        let before = self.groups.iter().take(self.group);
        before.fold(self.done, |sum, rows| sum.saturating_add(*rows))
    }

    /// Goes to a row, before anything was read; to the end when there are fewer rows.
    ///
    /// # Errors
    /// As [`Self::next_batch`].
    pub fn skip_to(&mut self, row: u64) -> std::result::Result<(), FileError> {
        let mut left = row;
        while let Some(&rows) = self.groups.get(self.group)
            && left >= rows
        {
            left -= rows;
            self.group += 1;
        }
        if self.group < self.groups.len() && left > 0 {
            contained(|| self.skip(left).map_err(|error| self.failed(&error)))?;
        }
        Ok(())
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        let mut open = self.open_group()?;
        open.skip(usize::try_from(rows).map_err(|error| ParquetError::External(error.into()))?)?;
        self.done = rows;
        self.open = Some(open);
        Ok(())
    }

    /// The next rows; `None` at the end of the file.
    ///
    /// # Errors
    /// [`FileError::Invalid`] when pages are damaged or in a form that cannot be read,
    /// [`FileError::Unreadable`] when the source fails. The file cannot be read on after either.
    pub fn next_batch(&mut self) -> std::result::Result<Option<Batch>, FileError> {
        contained(|| self.batch().map_err(|error| self.failed(&error)))
    }

    fn batch(&mut self) -> Result<Option<Batch>> {
        while self.groups.get(self.group).is_some_and(|rows| self.done >= *rows) {
            self.group += 1;
            self.done = 0;
            self.open = None;
        }
        let Some(&rows) = self.groups.get(self.group) else { return Ok(None) };
        let first_row = self.next_row();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_group()?,
        };
        let take = open.batch_rows.min(rows - self.done);
        let count = usize::try_from(take).map_err(|error| ParquetError::External(error.into()))?;
        open.read(count)?;
        let row = |row| open.cells(row).record(self.shape, &self.limits);
        let rows = (0..count).map(row).collect();
        self.done += take;
        self.open = Some(open);
        Ok(Some(Batch { first_row, rows }))
    }

    fn open_group(&self) -> Result<OpenGroup> {
        let group = self.reader.get_row_group(self.group)?;
        let column = |number| group.get_column_reader(number);
        let Columns { id, values, sparse, metadata } = self.columns;
        let values =
            values.map(|leaf| Ok::<_, ParquetError>(Lists::new(column(leaf.column)?, leaf)));
        let sparse = sparse.map(|(indices, values)| {
            let indices = Lists::new(column(indices.column)?, indices);
            Ok::<_, ParquetError>((indices, Lists::new(column(values.column)?, values)))
        });
        let metadata =
            metadata.map(|leaf| Ok::<_, ParquetError>(Texts::new(column(leaf.column)?, leaf)));
        Ok(OpenGroup {
            id: Texts::new(column(id.column)?, id),
            values: values.transpose()?,
            sparse: sparse.transpose()?,
            metadata: metadata.transpose()?,
            batch_rows: batch_rows(group.metadata(), &self.columns),
        })
    }

    fn failed(&self, error: &ParquetError) -> FileError {
        sort(&self.blocks, error, |error| format!("The file is damaged or not supported: {error}"))
    }
}

impl OpenGroup {
    fn read(&mut self, count: usize) -> Result<()> {
        self.id.read(count)?;
        if let Some(values) = &mut self.values {
            values.read(count)?;
        }
        if let Some((indices, values)) = &mut self.sparse {
            indices.read(count)?;
            values.read(count)?;
        }
        self.metadata.as_mut().map_or(Ok(()), |metadata| metadata.read(count))
    }

    fn skip(&mut self, count: usize) -> Result<()> {
        self.id.skip(count)?;
        if let Some(values) = &mut self.values {
            values.skip(count)?;
        }
        if let Some((indices, values)) = &mut self.sparse {
            indices.skip(count)?;
            values.skip(count)?;
        }
        self.metadata.as_mut().map_or(Ok(()), |metadata| metadata.skip(count))
    }

    fn cells(&self, row: usize) -> Cells<'_> {
        let sparse = self.sparse.as_ref();
        Cells {
            id: self.id.row(row),
            values: self.values.as_ref().map_or(List::Null, |column| column.row(row)),
            sparse_indices: sparse.map_or(List::Null, |(indices, _)| indices.row(row)),
            sparse_values: sparse.map_or(List::Null, |(_, values)| values.row(row)),
            metadata: self.metadata.as_ref().and_then(|column| column.row(row)),
        }
    }
}

/// Rows that fit into the bounds of a batch, going by what the group has on average.
fn batch_rows(group: &RowGroupMetaData, columns: &Columns) -> u64 {
    let rows = u64::try_from(group.num_rows()).unwrap_or(1).max(1);
    let chunk = |number: usize| group.columns().get(number);
    let numbers = |number: usize| {
        chunk(number).map_or(0, |chunk| u64::try_from(chunk.num_values()).unwrap_or(u64::MAX))
    };
    let bytes = |number: usize| {
        chunk(number)
            .map_or(0, |chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or(u64::MAX))
    };
    let dense = columns.values.map_or(0, |leaf| numbers(leaf.column));
    let sparse = columns.sparse.map_or(0, |(indices, values)| {
        numbers(indices.column).saturating_add(numbers(values.column))
    });
    let texts = bytes(columns.id.column)
        .saturating_add(columns.metadata.map_or(0, |leaf| bytes(leaf.column)));
    let fitting = |total: u64, max: u64| max.saturating_mul(rows) / total.max(1);
    fitting(dense.saturating_add(sparse), BATCH_NUMBERS_MAX)
        .min(fitting(texts, BATCH_TEXT_BYTES_MAX))
        .clamp(1, BATCH_ROWS_MAX)
}

/// Whose fault an error is: the source's if it failed, else the file's.
fn sort(
    blocks: &Blocks,
    error: &ParquetError,
    message: impl FnOnce(&ParquetError) -> String,
) -> FileError {
    match blocks.take_failure() {
        Some(failure) => FileError::Unreadable(failure),
        None => FileError::Invalid(message(error)),
    }
}

/// Reads a part of the file. Where the library finds a number that cannot be, it may end the thread:
/// that says of the file what its errors say.
fn contained<T>(
    read: impl FnOnce() -> std::result::Result<T, FileError>,
) -> std::result::Result<T, FileError> {
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged(&"a number in it cannot be")))
}

fn damaged(what: &dyn fmt::Display) -> FileError {
    FileError::Invalid(format!("The file is damaged or not supported: {what}"))
}
