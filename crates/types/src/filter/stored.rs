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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// The value of a field. Texts and lists are bytes of the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found<'a> {
    /// There is none, or it is null.
    Absent,
    Number(f64),
    Text(&'a [u8]),
    Flag(bool),
    /// A message `ListValue`.
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

    /// Keys, and values as undecoded messages.
    pub(super) fn entries(self) -> impl Iterator<Item = Result<(&'a [u8], &'a [u8]), Damaged>> {
        const STRUCT_FIELDS: u64 = 1;
        Fields(self.0).filter_map(|field| match field {
            Ok((STRUCT_FIELDS, Content::Bytes(entry))) => Some(split_entry(entry)),
            Ok((STRUCT_FIELDS, _)) => Some(Err(Damaged)),
            Ok(_) => None,
            Err(Damaged) => Some(Err(Damaged)),
        })
    }
}

fn split_entry(entry: &[u8]) -> Result<(&[u8], &[u8]), Damaged> {
    const ENTRY_KEY: u64 = 1;
    const ENTRY_VALUE: u64 = 2;
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields(entry) {
        match field? {
            (ENTRY_KEY, Content::Bytes(bytes)) => key = bytes,
            (ENTRY_VALUE, Content::Bytes(bytes)) => value = bytes,
            (ENTRY_KEY | ENTRY_VALUE, _) => return Err(Damaged),
            _ => {}
        }
    }
    Ok((key, value))
}

impl<'a> Found<'a> {
    /// Reads a message `Value`, and the elements of a list with it.
    pub(super) fn read_checked(value: &'a [u8]) -> Result<Self, Damaged> {
        let found = Self::read(value)?;
        if let Self::List(list) = found {
            for element in elements(list) {
                element?;
            }
        }
        Ok(found)
    }

    /// Whether the value satisfies `test`, or one of its elements does when it is a list.
    pub(super) fn is_any(self, test: impl Fn(Self) -> bool) -> bool {
        match self {
            Self::List(list) => elements(list).any(|element| element.is_ok_and(&test)),
            Self::Absent | Self::Number(_) | Self::Text(_) | Self::Flag(_) => test(self),
        }
    }

    fn read(value: &'a [u8]) -> Result<Self, Damaged> {
        let mut found = Self::Absent;
        for field in Fields(value) {
            found = match field? {
                (1, Content::Varint(_)) => Self::Absent,
                (2, Content::Fixed64(bits)) => Self::Number(f64::from_bits(bits)),
                (3, Content::Bytes(text)) => Self::Text(text),
                (4, Content::Varint(flag)) => Self::Flag(flag != 0),
                (6, Content::Bytes(list)) => Self::List(list),
                // Metadata holds no maps; nor does any writer use another shape for these numbers.
                (1..=6, _) => return Err(Damaged),
                _ => found,
            };
        }
        Ok(found)
    }
}

fn elements(list: &[u8]) -> impl Iterator<Item = Result<Found<'_>, Damaged>> {
    const LIST_VALUES: u64 = 1;
    Fields(list).filter_map(|field| match field {
        Ok((LIST_VALUES, Content::Bytes(value))) => Some(Found::read(value)),
        Ok((LIST_VALUES, _)) => Some(Err(Damaged)),
        Ok(_) => None,
        Err(Damaged) => Some(Err(Damaged)),
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
    fn field(&mut self) -> Result<(u64, Content<'a>), Damaged> {
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(Damaged)?;
                self.0 = rest;
                Content::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Damaged)?;
                let (bytes, rest) = self.0.split_at_checked(len).ok_or(Damaged)?;
                self.0 = rest;
                Content::Bytes(bytes)
            }
            5 => {
                let (_, rest) = self.0.split_first_chunk::<4>().ok_or(Damaged)?;
                self.0 = rest;
                Content::Fixed32
            }
            _ => return Err(Damaged),
        };
        Ok((tag >> 3, content))
    }

    fn varint(&mut self) -> Result<u64, Damaged> {
        // PERF: nearly all are tags and lengths below 128.
        if let Some((&first, rest)) = self.0.split_first()
            && first < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(first));
        }
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Damaged)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Content<'a>), Damaged>;

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
