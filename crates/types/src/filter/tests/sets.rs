//! An index of records that is none: each condition is asked of each record, without a filter.

use std::convert::Infallible;

use crate::filter::stored::StoredValue;
use crate::{Comparison, FilterSets, StoredMetadata};

/// Records as stored, and for a set, whether each of them is in it.
pub(super) struct Records(pub(super) Vec<Vec<u8>>);

impl Records {
    /// `test` sees the value of the field that counts.
    fn having(&self, field: &str, test: impl Fn(StoredValue<'_>) -> bool) -> Vec<bool> {
        let values = |record: &Vec<u8>| {
            let entries = StoredMetadata::new(record).entries().filter_map(Result::ok);
            let last = entries.filter(|(key, _)| *key == field.as_bytes()).last();
            last.is_some_and(|(_, value)| StoredValue::read_checked(value).is_ok_and(&test))
        };
        self.0.iter().map(values).collect()
    }

    fn equal(&self, field: &str, wanted: StoredValue<'_>) -> Vec<bool> {
        self.having(field, |value| value == wanted || value.elements().any(|own| own == wanted))
    }
}

impl FilterSets for Records {
    type Set = Vec<bool>;
    type Field = String;
    type Error = Infallible;

    fn field(&self, name: &str) -> Result<String, Infallible> {
        Ok(name.to_owned())
    }

    fn all(&self) -> Vec<bool> {
        vec![true; self.0.len()]
    }

    fn and(&self, sets: Vec<Vec<bool>>) -> Vec<bool> {
        (0..self.0.len()).map(|at| sets.iter().all(|set| set[at])).collect()
    }

    fn or(&self, sets: Vec<Vec<bool>>) -> Vec<bool> {
        (0..self.0.len()).map(|at| sets.iter().any(|set| set[at])).collect()
    }

    fn not(&self, set: Vec<bool>) -> Vec<bool> {
        set.iter().map(|is_in| !is_in).collect()
    }

    fn damaged(&self) -> Result<Vec<bool>, Infallible> {
        let breaks_off =
            |record: &Vec<u8>| StoredMetadata::new(record).entries().any(|e| e.is_err());
        Ok(self.0.iter().map(breaks_off).collect())
    }

    fn damaged_in(&self, field: &String) -> Result<Vec<bool>, Infallible> {
        let is_damaged = |record: &Vec<u8>| {
            let mut entries = StoredMetadata::new(record).entries().filter_map(Result::ok);
            entries.any(|(key, value)| {
                key == field.as_bytes() && StoredValue::read_checked(value).is_err()
            })
        };
        Ok(self.0.iter().map(is_damaged).collect())
    }

    fn equal_text(&self, field: &String, text: &str) -> Result<Vec<bool>, Infallible> {
        Ok(self.equal(field, StoredValue::Text(text.as_bytes())))
    }

    fn equal_number(&self, field: &String, number: f64) -> Result<Vec<bool>, Infallible> {
        Ok(self.equal(field, StoredValue::Number(number)))
    }

    fn equal_flag(&self, field: &String, flag: bool) -> Result<Vec<bool>, Infallible> {
        Ok(self.equal(field, StoredValue::Flag(flag)))
    }

    fn compare(
        &self,
        field: &String,
        comparison: Comparison,
        bound: f64,
    ) -> Result<Vec<bool>, Infallible> {
        Ok(self.having(
            field,
            |value| matches!(value, StoredValue::Number(own) if comparison.holds(own, bound)),
        ))
    }

    fn exists(&self, field: &String) -> Result<Vec<bool>, Infallible> {
        Ok(self.having(field, |value| value != StoredValue::Absent))
    }
}
