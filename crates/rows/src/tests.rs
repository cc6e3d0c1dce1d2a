//! Goal: rows read back as they were written, and damaged ones are refused. Method: round trips of
//! generated rows, and every truncation of one.

use bytes::Bytes;
use lodgepole_types::{IndexId, Limits, Metadata, NamespaceName, SparseVector, Struct};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// All shorter forms of a value must be refused.
fn refuses_cuts<T>(bytes: &[u8], fixed: usize, decode: impl Fn(&[u8]) -> Result<T, RowError>) {
    for end in 0..fixed.min(bytes.len()) {
        assert!(decode(&bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
    }
}

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
        let count = CountRow { record_count: a, bytes: b };
        prop_assert_eq!(CountRow::decode(&count.encode()), Ok(count));
        let staged = StagedRow { id: NamespaceId(c), count };
        prop_assert_eq!(StagedRow::decode(&staged.encode()), Ok(staged));
        for schema in [None, Some(Bytes::from_static(b"{}"))] {
            let namespace = NamespaceRow { id: NamespaceId(a), created_ms: ms, schema };
            let bytes = namespace.encode();
            refuses_cuts(&bytes, 17, NamespaceRow::decode);
            prop_assert_eq!(NamespaceRow::decode(&bytes), Ok(namespace));
        }
    }

    #[test]
    fn aliases_and_jobs_round_trip(
        created_ms: i64,
        updated_ms: i64,
        target in "[ -~]{0,40}",
        owner: u128,
        progress: Vec<u8>,
    ) {
        let target = NamespaceName::parse(&target).unwrap();
        let alias = AliasRow { created_ms, updated_ms, target };
        let bytes = alias.encode();
        refuses_cuts(&bytes, 17, AliasRow::decode);
        prop_assert_eq!(AliasRow::decode(&bytes), Ok(alias));
        let owner = IndexId::from_uuid(Uuid::from_u128(owner));
        let job = JobRow { owner, progress };
        let bytes = job.encode();
        refuses_cuts(&bytes, 17, JobRow::decode);
        prop_assert_eq!(JobRow::decode(&bytes), Ok(job));
    }

    #[test]
    fn records_round_trip(docid: u64, vector_docid: u64, bytes: u32, own_vectors: bool) {
        let fields: Struct = serde_json::from_str(r#"{"a":[ "x" ],"b":1.5}"#).unwrap();
        let metadata = Metadata::parse(fields, &Limits::default()).unwrap();
        let vector_docid = if own_vectors { docid } else { vector_docid };
        let head = RecordHead { docid, vector_docid, bytes };
        let stored = metadata.to_stored();
        let row = RecordRow::encode(head, &stored);
        prop_assert_eq!(RecordRow::split(&row), Ok((head, &stored[..])));
        let read = RecordRow { docid, vector_docid, bytes, metadata };
        prop_assert_eq!(RecordRow::decode(&row), Ok(read));
        refuses_cuts(&row, if docid == vector_docid { 13 } else { 21 }, RecordRow::decode);
    }
}

#[test]
fn a_record_row_of_the_first_format_still_reads() {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&7_u64.to_le_bytes());
    bytes.extend_from_slice(&99_u32.to_le_bytes());
    let head = RecordHead { docid: 7, vector_docid: 7, bytes: 99 };
    assert_eq!(RecordRow::split(&bytes), Ok((head, &[][..])));
    assert_eq!(RecordRow::encode(head, &[]), bytes, "and is what is written where it suffices");
}

#[test]
fn a_newer_format_is_refused() {
    let mut bytes = MetaRow::default().encode();
    bytes[0] = 2;
    assert!(MetaRow::decode(&bytes).is_err());
    let head = RecordHead { docid: 1, vector_docid: 1, bytes: 1 };
    let mut bytes = RecordRow::encode(head, &[]);
    bytes[0] = 3;
    assert!(RecordRow::decode(&bytes).is_err());
}

#[test]
fn keys_of_the_whole_shard_tell_what_they_are_of() {
    let (job, name) = (Uuid::from_u128(5), NamespaceName::parse("n/1").unwrap());
    assert_eq!(alias_of_key(&alias_key("latest")), Ok("latest"));
    assert_eq!(job_of_key(&job_key(job)), Ok(job));
    let staged = staged_key(job, &name);
    assert_eq!(job_of_key(&staged), Ok(job));
    assert_eq!(staged_of_key(&staged), Ok(name));
    assert!(staged.starts_with(&staged_prefix(job)) && staged.starts_with(&all_staged_prefix()));
    for key in [alias_key("a"), job_key(job), staged] {
        assert_eq!(namespace_of_key(&key), None);
        assert_eq!(dead_of_key(&key), None);
    }
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
