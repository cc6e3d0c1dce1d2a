//! Filters over sets of records.
//!
//! Where records have an index, a filter is not asked record by record: each of its conditions is
//! looked up as a set, and the sets are combined. What a set is, is up to the index ([`FilterSets`]):
//! rows, bits, or a plan of how to find them.
//!
//! INVARIANT: a record is in the set that [`Filter::evaluate`] returns exactly where
//! [`Filter::matches`] says so of its metadata, damaged bytes included.

use super::{Comparison, Condition, Filter, Node, Scalar};

/// Sets of records by what their metadata holds, and the algebra over them.
///
/// The sets of a condition need not be right for records in [`damaged`](Self::damaged), nor for
/// those in [`damaged_in`](Self::damaged_in) of the condition's field: a filter leaves them out.
pub trait FilterSets {
    /// Some of the records.
    type Set;
    /// A field, looked up once for all conditions on it.
    type Field;
    /// Why a set cannot be looked up.
    type Error;

    /// Looks up a field by name, whether or not any record has it.
    ///
    /// # Errors
    /// As the index says, here and below.
    fn field(&self, name: &str) -> Result<Self::Field, Self::Error>;

    /// All records, those with damaged metadata included.
    fn all(&self) -> Self::Set;

    /// What is in each of the sets; all records when there are no sets.
    fn and(&self, sets: Vec<Self::Set>) -> Self::Set;

    /// What is in one of the sets at least; nothing when there are no sets.
    fn or(&self, sets: Vec<Self::Set>) -> Self::Set;

    /// All records that are not in the set.
    fn not(&self, set: Self::Set) -> Self::Set;

    /// Records whose metadata breaks off: [`StoredMetadata::entries`](super::StoredMetadata::entries)
    /// has an error.
    ///
    /// # Errors
    /// As the index says.
    fn damaged(&self) -> Result<Self::Set, Self::Error>;

    /// Records one of whose entries of the field's name has a value that cannot be read
    /// ([`StoredValue::read_checked`](super::StoredValue::read_checked)).
    ///
    /// # Errors
    /// As the index says.
    fn damaged_in(&self, field: &Self::Field) -> Result<Self::Set, Self::Error>;

    /// Records whose field is this text, or a list with it.
    ///
    /// # Errors
    /// As the index says.
    fn equal_text(&self, field: &Self::Field, text: &str) -> Result<Self::Set, Self::Error>;

    /// Records whose field is this finite number, or a list with it. 0 and -0 are the same number.
    ///
    /// # Errors
    /// As the index says.
    fn equal_number(&self, field: &Self::Field, number: f64) -> Result<Self::Set, Self::Error>;

    /// Records whose field is this boolean, or a list with it.
    ///
    /// # Errors
    /// As the index says.
    fn equal_flag(&self, field: &Self::Field, flag: bool) -> Result<Self::Set, Self::Error>;

    /// Records whose field is a number, and not a list of them, for which
    /// [`Comparison::holds`] with the finite `bound`.
    ///
    /// # Errors
    /// As the index says.
    fn compare(
        &self,
        field: &Self::Field,
        comparison: Comparison,
        bound: f64,
    ) -> Result<Self::Set, Self::Error>;

    /// Records whose field is not [`StoredValue::Absent`](super::StoredValue::Absent).
    ///
    /// # Errors
    /// As the index says.
    fn exists(&self, field: &Self::Field) -> Result<Self::Set, Self::Error>;
}

impl Filter {
    /// The records that match.
    ///
    /// # Errors
    /// The first that the index reports.
    pub fn evaluate<S: FilterSets>(&self, sets: &S) -> Result<S::Set, S::Error> {
        if self.is_empty() {
            return Ok(sets.all());
        }
        let mut damaged = vec![sets.damaged()?];
        let mut in_order: Vec<_> = self.fields.iter().map(|(name, slot)| (*slot, name)).collect();
        in_order.sort_unstable();
        let mut fields = Vec::with_capacity(in_order.len());
        for (_, name) in in_order {
            let field = sets.field(name)?;
            damaged.push(sets.damaged_in(&field)?);
            fields.push(field);
        }
        let intact = sets.not(sets.or(damaged));
        Ok(sets.and(vec![self.root.evaluate(&fields, sets)?, intact]))
    }
}

impl Node {
    fn evaluate<S: FilterSets>(&self, fields: &[S::Field], sets: &S) -> Result<S::Set, S::Error> {
        let each = |nodes: &[Self]| {
            nodes.iter().map(|node| node.evaluate(fields, sets)).collect::<Result<Vec<_>, _>>()
        };
        match self {
            Self::All(nodes) => Ok(sets.and(each(nodes)?)),
            Self::Any(nodes) => Ok(sets.or(each(nodes)?)),
            Self::Not(node) => Ok(sets.not(node.evaluate(fields, sets)?)),
            Self::Test { field, condition } => condition.evaluate(&fields[*field], sets),
        }
    }
}

impl Condition {
    fn evaluate<S: FilterSets>(&self, field: &S::Field, sets: &S) -> Result<S::Set, S::Error> {
        match self {
            Self::Equal(Scalar::Text(text)) => sets.equal_text(field, text),
            Self::Equal(Scalar::Number(number)) => sets.equal_number(field, *number),
            Self::Equal(Scalar::Flag(flag)) => sets.equal_flag(field, *flag),
            Self::Among(values) => {
                let mut each = Vec::with_capacity(values.texts.len() + values.numbers.len());
                for text in &values.texts {
                    each.push(sets.equal_text(field, text)?);
                }
                for number in &values.numbers {
                    each.push(sets.equal_number(field, *number)?);
                }
                for (has, flag) in [(values.has_false, false), (values.has_true, true)] {
                    if has {
                        each.push(sets.equal_flag(field, flag)?);
                    }
                }
                Ok(sets.or(each))
            }
            Self::Compare(comparison, bound) => sets.compare(field, *comparison, *bound),
            Self::Exists => sets.exists(field),
        }
    }
}
