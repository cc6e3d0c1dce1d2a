//! Reading stored metadata in place: a protobuf `Struct`, walked over without decoding it.
//!
//! Only what a filter needs is read; what is skipped is still checked for its outline, so bytes that
//! are cut off are noticed. The rules are those of every protobuf reader: fields in any order, the
//! last one counts, unknown ones are skipped, an absent key is the empty one.

use crate::Metadata;

/// The stored form of one record's metadata, as [`Metadata::to_stored`] makes it. May be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMetadata<'a>(&'a [u8]);

/// Bytes that are no protobuf message of the expected shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored metadata is damaged")]
pub struct DamagedMetadata;

/// The value of a field. Texts and lists are bytes of the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StoredValue<'a> {
    /// There is none, or it is null.
    Absent,
    /// A number; in damaged bytes, maybe one that is not finite.
    Number(f64),
    /// A text, as UTF-8.
    Text(&'a [u8]),
    /// A boolean.
    Flag(bool),
    /// A list, as a message `ListValue`: see [`elements`](Self::elements).
    List(&'a [u8]),
}

impl<'a> StoredMetadata<'a> {
    /// Bytes that are believed to be stored metadata; they are not looked at yet.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Decodes all of it.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn to_metadata(self) -> Result<Metadata, prost::DecodeError> {
        Metadata::from_stored(self.0)
    }

    /// Keys, and values as undecoded messages ([`StoredValue::read_checked`]). Of two entries with
    /// one key the last one counts.
    pub fn entries(self) -> impl Iterator<Item = Result<(&'a [u8], &'a [u8]), DamagedMetadata>> {
        const STRUCT_FIELDS: u64 = 1;
        Fields(self.0).filter_map(|field| match field {
            Ok((STRUCT_FIELDS, Content::Bytes(entry))) => Some(split_entry(entry)),
            Ok((STRUCT_FIELDS, _)) => Some(Err(DamagedMetadata)),
            Ok(_) => None,
            Err(DamagedMetadata) => Some(Err(DamagedMetadata)),
        })
    }
}

fn split_entry(entry: &[u8]) -> Result<(&[u8], &[u8]), DamagedMetadata> {
    const ENTRY_KEY: u64 = 1;
    const ENTRY_VALUE: u64 = 2;
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields(entry) {
        match field? {
            (ENTRY_KEY, Content::Bytes(bytes)) => key = bytes,
            (ENTRY_VALUE, Content::Bytes(bytes)) => value = bytes,
            (ENTRY_KEY | ENTRY_VALUE, _) => return Err(DamagedMetadata),
            _ => {}
        }
    }
    Ok((key, value))
}

impl<'a> StoredValue<'a> {
    /// Reads a message `Value`, and the elements of a list with it.
    ///
    /// # Errors
    /// [`DamagedMetadata`] when the value or an element of it cannot be read.
    pub fn read_checked(value: &'a [u8]) -> Result<Self, DamagedMetadata> {
        let found = Self::read(value)?;
        if let Self::List(list) = found {
            for element in elements(list) {
                element?;
            }
        }
        Ok(found)
    }

    /// The elements of a list; none of another value, nor of what is damaged.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        let list: &[u8] = if let Self::List(list) = self { list } else { &[] };
        elements(list).filter_map(Result::ok)
    }

    /// Whether the value satisfies `test`, or one of its elements does when it is a list.
    pub(super) fn is_any(self, test: impl Fn(Self) -> bool) -> bool {
        match self {
            Self::List(list) => elements(list).any(|element| element.is_ok_and(&test)),
            Self::Absent | Self::Number(_) | Self::Text(_) | Self::Flag(_) => test(self),
        }
    }

    fn read(value: &'a [u8]) -> Result<Self, DamagedMetadata> {
        let mut found = Self::Absent;
        for field in Fields(value) {
            found = match field? {
                (1, Content::Varint(_)) => Self::Absent,
                (2, Content::Fixed64(bits)) => Self::Number(f64::from_bits(bits)),
                (3, Content::Bytes(text)) => Self::Text(text),
                (4, Content::Varint(flag)) => Self::Flag(flag != 0),
                (6, Content::Bytes(list)) => Self::List(list),
                // Metadata holds no maps; nor does any writer use another shape for these numbers.
                (1..=6, _) => return Err(DamagedMetadata),
                _ => found,
            };
        }
        Ok(found)
    }
}

fn elements(list: &[u8]) -> impl Iterator<Item = Result<StoredValue<'_>, DamagedMetadata>> {
    const LIST_VALUES: u64 = 1;
    Fields(list).filter_map(|field| match field {
        Ok((LIST_VALUES, Content::Bytes(value))) => Some(StoredValue::read(value)),
        Ok((LIST_VALUES, _)) => Some(Err(DamagedMetadata)),
        Ok(_) => None,
        Err(DamagedMetadata) => Some(Err(DamagedMetadata)),
    })
}

/// What a field of a message holds, by its wire type.
#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message. Ends after the first damage.
#[derive(Debug, Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Content<'a>), DamagedMetadata> {
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(DamagedMetadata)?;
                self.0 = rest;
                Content::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| DamagedMetadata)?;
                let (bytes, rest) = self.0.split_at_checked(len).ok_or(DamagedMetadata)?;
                self.0 = rest;
                Content::Bytes(bytes)
            }
            5 => {
                let (_, rest) = self.0.split_first_chunk::<4>().ok_or(DamagedMetadata)?;
                self.0 = rest;
                Content::Fixed32
            }
            _ => return Err(DamagedMetadata),
        };
        Ok((tag >> 3, content))
    }

    fn varint(&mut self) -> Result<u64, DamagedMetadata> {
        // PERF: nearly all are tags and lengths below 128.
        if let Some((&first, rest)) = self.0.split_first()
            && first < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(first));
        }
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(DamagedMetadata)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DamagedMetadata)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Content<'a>), DamagedMetadata>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
