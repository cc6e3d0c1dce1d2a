//! Tags of an index: a small map of text to text.
//!
//! Invariant: keys and values obey the limits of [`Limits`]; an empty value is never stored (in a
//! change it means "remove the key").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Limits;

/// Tags in key order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, String>);

/// Why tags were refused. The message is meant for the caller of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TagError(pub String);

impl Tags {
    /// Checks and takes tags; entries with an empty value are dropped.
    ///
    /// # Errors
    /// [`TagError`] when a key or value breaks a limit, or there are too many.
    pub fn parse(tags: BTreeMap<String, String>, limits: &Limits) -> Result<Self, TagError> {
        Self::default().merged(tags, limits)
    }

    /// These tags with `change` laid over them: an empty value removes the key.
    ///
    /// # Errors
    /// [`TagError`] when a key or value breaks a limit, or the result has too many.
    pub fn merged(
        &self,
        change: BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Self, TagError> {
        let mut tags = self.0.clone();
        for (key, value) in change {
            check(&key, &value, limits)?;
            if value.is_empty() {
                tags.remove(&key);
            } else {
                tags.insert(key, value);
            }
        }
        if tags.len() > limits.tags_max {
            return Err(TagError(format!(
                "An index can have at most {} tags, got {}",
                limits.tags_max,
                tags.len()
            )));
        }
        Ok(Self(tags))
    }

    /// The tags in key order.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check(key: &str, value: &str, limits: &Limits) -> Result<(), TagError> {
    let key_fits = !key.is_empty() && key.len() <= limits.tag_key_bytes_max;
    if !key_fits || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err(TagError(format!(
            "Tag key '{}' must be 1 to {} characters of letters, digits, '_' and '-'",
            key.escape_default(),
            limits.tag_key_bytes_max
        )));
    }
    let value_fits = value.len() <= limits.tag_value_bytes_max;
    if !value_fits || !value.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(TagError(format!(
            "Value of tag '{key}' must be at most {} printable ASCII characters",
            limits.tag_value_bytes_max
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Goal: the limits of tags. Method: the edges of each rule.
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_empty_value_removes_the_key() {
        let limits = Limits::default();
        let before = Tags::parse(tags(&[("a", "1"), ("b", "2")]), &limits).unwrap();
        let after = before.merged(tags(&[("a", ""), ("c", "3")]), &limits).unwrap();
        assert_eq!(after.as_map(), &tags(&[("b", "2"), ("c", "3")]));
    }

    #[test]
    fn keys_values_and_counts_are_limited() {
        let limits = Limits::default();
        for (key, value) in
            [("", "x"), ("a b", "x"), ("é", "x"), (&*"k".repeat(81), "x"), ("a", &*"v".repeat(121))]
        {
            assert!(Tags::parse(tags(&[(key, value)]), &limits).is_err(), "{key} {value}");
        }
        assert!(Tags::parse(tags(&[(&"k".repeat(80), &"v".repeat(120))]), &limits).is_ok());
        let many = (0..21).map(|i| (format!("k{i}"), "v".to_owned())).collect();
        assert!(Tags::parse(many, &limits).is_err());
    }
}
