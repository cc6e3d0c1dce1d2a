//! Sets of rows of one segment.
//!
//! Two kinds, for two lives. [`RowSet`] holds the dead rows: it changes one row at a time while
//! readers hold earlier states, so it is copied on write, page by page, and a copy of the whole set
//! costs nothing. [`Mask`] holds the rows that one query may find: plain words, made and thrown away.
//!
//! INVARIANT: neither holds a row that its segment does not have, and bits past the last row are 0.

mod mask;

use std::sync::Arc;

use lodgepole_types::{Classify, ErrorKind};
use roaring::RoaringBitmap;

pub(crate) use self::mask::Mask;

/// Rows of a page.
const PAGE_ROWS: usize = 8_192;
const PAGE_WORDS: usize = PAGE_ROWS / 64;

type Page = [u64; PAGE_WORDS];

/// Bytes that are no set of rows of the segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowSetError {
    /// They are not the form that [`RowSet::encode`] makes.
    #[error("a set of rows cannot be read; the segment is rebuilt from the records")]
    Damaged,
    /// The set is one of another segment.
    #[error("a set names row {row} of a segment of {rows} rows")]
    Row {
        /// The highest row in the set.
        row: u32,
        /// Of the segment.
        rows: usize,
    },
}

impl Classify for RowSetError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged | Self::Row { .. } => ErrorKind::DataLoss,
        }
    }
}

/// A set of rows that grows. A clone costs two counters, and the first insert after it one page.
#[derive(Debug, Clone, Default)]
pub struct RowSet {
    rows: usize,
    len: usize,
    /// `None` for a page without rows; fewer than there are rows for, when the last are empty.
    pages: Arc<Vec<Option<Arc<Page>>>>,
}

impl RowSet {
    /// The empty set, for a segment of `rows` rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { rows, len: 0, pages: Arc::default() }
    }

    /// Adds a row. `false` when it is in the set already, or the segment has no such row.
    pub fn insert(&mut self, row: u32) -> bool {
        let row = row as usize;
        if row >= self.rows || self.has(row) {
            return false;
        }
        self.page_mut(row / PAGE_ROWS)[row % PAGE_ROWS / 64] |= 1 << (row % 64);
        self.len += 1;
        true
    }

    /// Whether the row is in the set.
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        self.has(row as usize)
    }

    /// How many rows are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many rows the segment has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows from 64 `at` on, lowest bit first; 0 past the end.
    #[must_use]
    pub fn word(&self, at: usize) -> u64 {
        match self.pages.get(at / PAGE_WORDS) {
            Some(Some(page)) => page[at % PAGE_WORDS],
            Some(None) | None => 0,
        }
    }

    /// Adds what is in `other`, as far as the segment has such rows.
    pub fn union(&mut self, other: &Self) {
        for row in other.iter() {
            self.insert(row);
        }
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let filled =
            self.pages.iter().enumerate().filter_map(|(at, page)| Some((at, page.as_ref()?)));
        filled.flat_map(|(at, page)| {
            let words = page.iter().enumerate();
            words.flat_map(move |(i, word)| mask::ones_of(at * PAGE_WORDS + i, *word))
        })
    }

    /// The portable form of roaring bitmaps: sparse and dense sets are both small.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bitmap: RoaringBitmap = self.iter().collect();
        bitmap.optimize();
        let mut bytes = Vec::with_capacity(bitmap.serialized_size());
        // WHY no error: a vector takes whatever is written.
        let _ = bitmap.serialize_into(&mut bytes);
        bytes
    }

    /// Reads what [`encode`](Self::encode) made, for a segment of `rows` rows.
    ///
    /// # Errors
    /// When the bytes are damaged or those of another segment.
    pub fn decode(bytes: &[u8], rows: usize) -> Result<Self, RowSetError> {
        let mut rest = bytes;
        let bitmap =
            RoaringBitmap::deserialize_from(&mut rest).map_err(|_| RowSetError::Damaged)?;
        if !rest.is_empty() {
            return Err(RowSetError::Damaged);
        }
        if let Some(row) = bitmap.max()
            && row as usize >= rows
        {
            return Err(RowSetError::Row { row, rows });
        }
        let mut set = Self::new(rows);
        for row in bitmap {
            set.insert(row);
        }
        Ok(set)
    }

    fn has(&self, row: usize) -> bool {
        self.word(row / 64) >> (row % 64) & 1 != 0
    }

    fn page_mut(&mut self, at: usize) -> &mut Page {
        let pages = Arc::make_mut(&mut self.pages);
        if pages.len() <= at {
            pages.resize(at + 1, None);
        }
        Arc::make_mut(pages[at].get_or_insert_with(|| Arc::new([0; PAGE_WORDS])))
    }
}

/// The same rows of a segment of the same size.
impl PartialEq for RowSet {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for RowSet {}

#[cfg(test)]
mod tests;
