//! Goal: rows read back as they were written, and damaged ones are refused. Method: round trips of
//! generated rows, and every truncation of one.

use lodgepole_types::{Limits, Struct};
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn vectors_round_trip(
        docid: u64,
        values in proptest::collection::vec(any::<f32>(), 0..40),
        sparse in proptest::collection::vec((any::<u32>(), any::<f32>()), 0..9),
    ) {
        let sparse = (!sparse.is_empty()).then(|| SparseVector {
            indices: sparse.iter().map(|entry| entry.0).collect(),
            values: sparse.iter().map(|entry| entry.1).collect(),
        });
        let bytes = VectorRow::encode(docid, &values, sparse.as_ref());
        let row = VectorRow::decode(&bytes).unwrap();
        prop_assert_eq!(row.docid, docid);
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&row.values), bits(&values));
        prop_assert_eq!(row.sparse.map(|s| (s.indices, bits(&s.values))),
            sparse.map(|s| (s.indices.clone(), bits(&s.values))));
        for end in 0..bytes.len() {
            prop_assert!(VectorRow::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn numbers_round_trip(a: u64, b: u64, c: u64, d: u64, e: u64, ms: i64) {
        let meta = MetaRow {
            next_docid: a, next_namespace: b, record_count: c, namespace_count: d, bytes: e,
        };
        prop_assert_eq!(MetaRow::decode(&meta.encode()), Ok(meta));
        let namespace = NamespaceRow { id: NamespaceId(a), created_ms: ms };
        prop_assert_eq!(NamespaceRow::decode(&namespace.encode()), Ok(namespace));
        let count = CountRow { record_count: a, bytes: b };
        prop_assert_eq!(CountRow::decode(&count.encode()), Ok(count));
    }
}

#[test]
fn records_round_trip() {
    let fields: Struct = serde_json::from_str(r#"{"a":[ "x" ],"b":1.5}"#).unwrap();
    let metadata = Metadata::parse(fields, &Limits::default()).unwrap();
    let bytes = RecordRow::encode(7, 99, &metadata.to_stored());
    assert_eq!(RecordRow::decode(&bytes), Ok(RecordRow { docid: 7, bytes: 99, metadata }));
    assert_eq!(RecordRow::decode_head(&bytes), Ok((7, 99)));
}

#[test]
fn a_newer_format_is_refused() {
    let mut bytes = MetaRow::default().encode();
    bytes[0] = 2;
    assert!(MetaRow::decode(&bytes).is_err());
}

#[test]
fn keys_tell_their_namespace_and_record() {
    let name = NamespaceName::parse("n/1").unwrap();
    assert_eq!(namespace_of_key(&namespace_key(&name)), Some(name.clone()));
    let place = Place { slot: slot_of(&name), id: NamespaceId(3) };
    assert_eq!(id_of_key(&record_key(place, "a/b")), Ok("a/b"));
    assert_eq!(dead_of_key(&dead_key(place)), Some(place));
    assert_eq!(namespace_of_key(&dead_key(place)), None);
}

#[test]
fn records_of_a_namespace_sort_by_id_bytes() {
    let place = Place { slot: 5, id: NamespaceId(3) };
    let mut keys: Vec<_> = ["b", "a", "a/", "aa", "B"].map(|id| record_key(place, id)).to_vec();
    keys.sort();
    let ids: Vec<_> = keys.iter().map(|key| id_of_key(key).unwrap()).collect();
    assert_eq!(ids, ["B", "a", "a/", "aa", "b"]);
}
