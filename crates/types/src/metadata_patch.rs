//! A change of some keys of a record's metadata.
//!
//! Keys that the patch sets are added or replaced, keys that it removes are dropped, all others
//! stay. Pinecone cannot remove a key; here a null does it. Invariant: applying a patch to valid
//! metadata gives valid metadata or an error, and applying it twice changes nothing more.

use crate::{Limits, Metadata, MetadataError, Struct};

/// A checked patch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetadataPatch {
    set: Metadata,
    remove: Vec<String>,
    /// What the merged metadata may take, as compact JSON.
    bytes_max: usize,
}

impl MetadataPatch {
    /// Checks and takes a patch; a null removes its key. The limit on metadata is kept in it, for
    /// what it is merged with later.
    ///
    /// # Errors
    /// [`MetadataError`] as for metadata itself.
    pub fn parse(fields: Struct, limits: &Limits) -> Result<Self, MetadataError> {
        let removed = fields.fields.iter().filter(|(_, value)| value.is_null());
        let remove = removed.map(|(key, _)| key.clone()).collect();
        let set = Metadata::parse(fields, limits)?;
        Ok(Self { set, remove, bytes_max: limits.metadata_bytes_max })
    }

    /// Whether it changes nothing, whatever it is applied to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// The metadata after the change.
    ///
    /// # Errors
    /// [`MetadataError`] when it would exceed the limit that the patch was parsed with.
    pub fn apply(&self, metadata: &Metadata) -> Result<Metadata, MetadataError> {
        let mut merged = metadata.as_struct().clone();
        for key in &self.remove {
            merged.fields.remove(key);
        }
        for (key, value) in &self.set.as_struct().fields {
            merged.fields.insert(key.clone(), value.clone());
        }
        let limits = Limits { metadata_bytes_max: self.bytes_max, ..Limits::default() };
        Metadata::parse(merged, &limits)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a patch merges key by key. Method: cases, and the laws of merging over generated maps.
    use std::collections::BTreeMap;

    use super::*;
    use crate::Value;

    fn fields(text: &str) -> Struct {
        serde_json::from_str(text).unwrap()
    }

    fn metadata(text: &str) -> Metadata {
        Metadata::parse(fields(text), &Limits::default()).unwrap()
    }

    fn patch(text: &str) -> MetadataPatch {
        MetadataPatch::parse(fields(text), &Limits::default()).unwrap()
    }

    #[test]
    fn keys_are_added_replaced_and_removed_and_the_rest_stays() {
        let before = metadata(r#"{"a":"x","b":1,"c":true}"#);
        let after = patch(r#"{"b":["y"],"c":null,"d":2,"unknown":null}"#).apply(&before);
        assert_eq!(after, Ok(metadata(r#"{"a":"x","b":["y"],"d":2}"#)));
    }

    #[test]
    fn a_patch_without_keys_is_empty() {
        assert!(patch("{}").is_empty());
        assert!(!patch(r#"{"a":null}"#).is_empty());
        assert!(!patch(r#"{"a":1}"#).is_empty());
    }

    #[test]
    fn values_are_checked_like_metadata() {
        for text in [r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#, r#"{"$a":1}"#] {
            assert!(MetadataPatch::parse(fields(text), &Limits::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_limit_holds_for_the_merged_metadata() {
        let limits = Limits { metadata_bytes_max: 40, ..Limits::default() };
        let before = metadata(r#"{"a":"0123456789"}"#);
        let grow =
            MetadataPatch::parse(fields(r#"{"b":"01234567890123456789"}"#), &limits).unwrap();
        assert!(grow.apply(&before).unwrap_err().0.contains("exceeds the limit of 40 bytes"));
        let swap = fields(r#"{"a":null,"b":"01234567890123456789"}"#);
        assert!(MetadataPatch::parse(swap, &limits).unwrap().apply(&before).is_ok());
    }

    /// All maps over two keys whose values are absent, null or one of two numbers.
    fn small_maps() -> Vec<BTreeMap<String, Value>> {
        let choices =
            [None, Some(Value::default()), Some(Value::from(1.0)), Some(Value::from(2.0))];
        let mut all = Vec::new();
        for a in &choices {
            for b in &choices {
                let entries = [("a", a), ("b", b)];
                all.push(
                    entries
                        .into_iter()
                        .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
                        .collect(),
                );
            }
        }
        all
    }

    #[test]
    fn applying_twice_is_applying_once_and_the_later_patch_wins() {
        let limits = Limits::default();
        for start in small_maps() {
            let start = Metadata::parse(Struct { fields: start }, &limits).unwrap();
            for first in small_maps() {
                let one = MetadataPatch::parse(Struct { fields: first.clone() }, &limits).unwrap();
                let once = one.apply(&start).unwrap();
                assert_eq!(one.apply(&once).unwrap(), once);
                for second in small_maps() {
                    let mut joined = first.clone();
                    joined.extend(second.clone());
                    let parse = |fields| MetadataPatch::parse(Struct { fields }, &limits).unwrap();
                    let (two, joined) = (parse(second), parse(joined));
                    assert_eq!(two.apply(&once).unwrap(), joined.apply(&start).unwrap());
                }
            }
        }
    }
}
