//! Filters over metadata.
//!
//! A filter is compiled once ([`Filter::parse`]) and then asked about any number of records. One by
//! one it reads the stored bytes of metadata ([`Filter::matches`]): a scan over many records decodes
//! none of them into a map. Of records that have an index it asks for sets of them, one a condition,
//! and how to combine these ([`Filter::evaluate`]). Both give the same answer for every record.
//!
//! # Meaning
//!
//! Several keys of one map must all hold. A value is compared only with its own type: the text
//! `"2019"` is not the number 2019. A list of texts equals whatever one of its elements equals.
//! `$ne` and `$nin` hold exactly where `$eq` and `$in` do not, so they hold for a record without the
//! field; the comparisons `$gt`, `$gte`, `$lt` and `$lte` hold for numbers only.
//!
//! INVARIANT: the answer depends on the entries of the metadata, not on their order in the bytes.
//! DamagedMetadata bytes match nothing.

mod evaluate;
mod parse;
mod stored;

use std::fmt;

pub use self::evaluate::FilterSets;
pub use self::stored::{DamagedMetadata, StoredMetadata, StoredValue};
use crate::{Limits, Struct};

/// Fields whose values are kept on the stack while a record is looked at. A filter that names more
/// allocates once for each record.
const FIELDS_INLINE: usize = 8;

/// Why a filter was refused. The message is meant for the caller of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(pub String);

/// A compiled filter. Share it in an `Arc`.
#[derive(Clone, PartialEq)]
pub struct Filter {
    /// By name; with the place where the value of the field is looked for while evaluating.
    fields: Box<[(Box<str>, usize)]>,
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Not(Box<Self>),
    Test { field: usize, condition: Condition },
}

/// What the value of a field must be. The negative operators are these under a [`Node::Not`].
#[derive(Debug, Clone, PartialEq)]
enum Condition {
    Equal(Scalar),
    Among(Values),
    Compare(Comparison, f64),
    Exists,
}

#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Text(Box<str>),
    Number(f64),
    Flag(bool),
}

/// How a number is compared with the bound that a filter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `$gt`
    Greater,
    /// `$gte`
    GreaterOrEqual,
    /// `$lt`
    Less,
    /// `$lte`
    LessOrEqual,
}

/// A set of values; each part is sorted.
#[derive(Debug, Clone, PartialEq, Default)]
struct Values {
    texts: Box<[Box<str>]>,
    /// Without -0.0, which equals 0.0 but sorts before it.
    numbers: Box<[f64]>,
    has_false: bool,
    has_true: bool,
}

impl Filter {
    /// Compiles a filter. `{}` is one that everything matches.
    ///
    /// # Errors
    /// [`FilterError`] for an unknown operator, an operand of the wrong type, an empty clause, or a
    /// filter beyond the limits; the message names the operator and the field.
    pub fn parse(source: &Struct, limits: &Limits) -> Result<Self, FilterError> {
        parse::compile(source, limits)
    }

    /// Whether the metadata of a record matches. DamagedMetadata bytes do not.
    #[must_use]
    pub fn matches(&self, metadata: StoredMetadata<'_>) -> bool {
        if self.is_empty() {
            return true;
        }
        let count = self.fields.len();
        if count <= FIELDS_INLINE {
            self.matches_with(metadata, &mut [StoredValue::Absent; FIELDS_INLINE][..count])
        } else {
            self.matches_with(metadata, &mut vec![StoredValue::Absent; count])
        }
    }

    /// Every field that the filter names, once each, by name.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| &**name)
    }

    /// Whether it is `{}`, which everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.root, Node::All(clauses) if clauses.is_empty())
    }

    /// One pass over the bytes finds the values of all fields; then the conditions are looked at.
    fn matches_with<'a>(
        &self,
        metadata: StoredMetadata<'a>,
        found: &mut [StoredValue<'a>],
    ) -> bool {
        match self.find(metadata, found) {
            Ok(()) => self.root.holds(found),
            Err(DamagedMetadata) => false,
        }
    }

    fn find<'a>(
        &self,
        metadata: StoredMetadata<'a>,
        found: &mut [StoredValue<'a>],
    ) -> Result<(), DamagedMetadata> {
        for entry in metadata.entries() {
            let (key, value) = entry?;
            let at = self.fields.binary_search_by(|(name, _)| name.as_bytes().cmp(key));
            if let Ok(at) = at {
                // Of two entries with one key the last one counts, as in every protobuf map.
                found[self.fields[at].1] = StoredValue::read_checked(value)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The conditions may hold ten thousand values each.
        f.debug_struct("Filter").field("fields", &self.fields().collect::<Vec<_>>()).finish()
    }
}

impl Node {
    fn holds(&self, found: &[StoredValue<'_>]) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(found)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(found)),
            Self::Not(node) => !node.holds(found),
            Self::Test { field, condition } => condition.holds(found[*field]),
        }
    }
}

impl Condition {
    fn holds(&self, found: StoredValue<'_>) -> bool {
        match self {
            Self::Equal(scalar) => found.is_any(|value| scalar.equals(value)),
            Self::Among(values) => found.is_any(|value| values.contain(value)),
            Self::Compare(comparison, bound) => match found {
                StoredValue::Number(number) => comparison.holds(number, *bound),
                StoredValue::Absent
                | StoredValue::Text(_)
                | StoredValue::Flag(_)
                | StoredValue::List(_) => false,
            },
            Self::Exists => !matches!(found, StoredValue::Absent),
        }
    }
}

impl Comparison {
    /// Whether `number` stands so to `bound`. Never for NaN.
    #[must_use]
    pub fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
        }
    }
}

impl Scalar {
    #[expect(clippy::float_cmp, reason = "equality of filters is exact")]
    fn equals(&self, value: StoredValue<'_>) -> bool {
        match (self, value) {
            (Self::Text(own), StoredValue::Text(text)) => own.as_bytes() == text,
            (Self::Number(own), StoredValue::Number(number)) => *own == number,
            (Self::Flag(own), StoredValue::Flag(flag)) => *own == flag,
            (
                Self::Text(_) | Self::Number(_) | Self::Flag(_),
                StoredValue::Absent
                | StoredValue::Text(_)
                | StoredValue::Number(_)
                | StoredValue::Flag(_)
                | StoredValue::List(_),
            ) => false,
        }
    }
}

impl Values {
    fn contain(&self, value: StoredValue<'_>) -> bool {
        match value {
            StoredValue::Text(text) => {
                self.texts.binary_search_by(|own| own.as_bytes().cmp(text)).is_ok()
            }
            StoredValue::Number(number) => {
                // WHY plus zero: it turns -0 into 0.
                self.numbers.binary_search_by(|own| own.total_cmp(&(number + 0.0))).is_ok()
            }
            StoredValue::Flag(flag) => {
                if flag {
                    self.has_true
                } else {
                    self.has_false
                }
            }
            StoredValue::Absent | StoredValue::List(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
