//! Goal: no bytes in a store can end a thread, and a row that is accepted means what it says. Method:
//! rows and keys of every kind, mutated; what decodes must decode again from what it encodes to.

use lodgepole_types::{IndexId, Limits, Metadata, NamespaceName, RecordId, SparseVector, Struct};
use uuid::Uuid;

#[path = "../../types/src/fuzz.rs"]
mod inputs;

use self::inputs::fuzz;
use super::*;

fn values() -> Vec<Vec<u8>> {
    let json = r#"{"a":1,"b":["x","ü"],"c":true}"#;
    let metadata: Struct = serde_json::from_str(json).unwrap();
    let metadata = Metadata::parse(metadata, &Limits::default()).unwrap().to_stored();
    let sparse = SparseVector { indices: vec![3, u32::MAX], values: vec![0.5, -1.0] };
    let segment = |number: u128| SegmentEntry {
        id: SegmentId {
            origin: IndexId::from_uuid(Uuid::from_u128(1)),
            id: Uuid::from_u128(number),
        },
        rows: 7,
        bytes: 4_096,
    };
    let born = vec![(5, RecordId::parse("a").unwrap()), (6, RecordId::parse("b").unwrap())];
    let head = |vector_docid| RecordHead { docid: 9, vector_docid, bytes: 30 };
    let namespace = |schema| {
        NamespaceRow { id: NamespaceId(3), created_ms: 1_700_000_000_000, schema }.encode()
    };
    let target = NamespaceName::parse("far away").unwrap();
    let count = CountRow { record_count: 4, bytes: 99 };
    let owner = IndexId::from_uuid(Uuid::from_u128(2));
    vec![
        MetaRow { next_docid: 10, ..MetaRow::default() }.encode(),
        namespace(None),
        namespace(Some(bytes::Bytes::from_static(b"{\"fields\":{}}"))),
        AliasRow { created_ms: 1, updated_ms: 2, target }.encode(),
        JobRow { owner, progress: b"note".to_vec() }.encode(),
        StagedRow { id: NamespaceId(4), count }.encode(),
        count.encode(),
        RecordRow::encode(head(9), &metadata),
        RecordRow::encode(head(4), &metadata),
        VectorRow::encode(9, &[0.5, -2.0, f32::MIN_POSITIVE], Some(&sparse)),
        VectorRow::encode(9, &[], None),
        DirectoryRow { segments: vec![segment(1), segment(2)] }.encode(),
        QueueRow { born, buried: vec![1, 2, 3] }.encode(),
    ]
}

/// Whether a row was read; then it is what its own bytes say.
fn is_read<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, RowError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> bool {
    let Ok(row) = decode(bytes) else { return false };
    let encoded = encode(&row);
    // Compared as bytes: a row may hold NaN.
    assert_eq!(encode(&decode(&encoded).unwrap()), encoded, "{row:?}");
    true
}

#[test]
fn values_of_every_kind() {
    fuzz("row", &values(), |bytes| {
        let record = RecordRow::split(bytes);
        if let Ok((head, metadata)) = record {
            let again = RecordRow::encode(head, metadata);
            assert_eq!(RecordRow::split(&again).unwrap(), (head, metadata));
        }
        QueueRow::versions(bytes).ok();
        let vector =
            |row: &VectorRow| VectorRow::encode(row.docid, &row.values, row.sparse.as_ref());
        [
            is_read(bytes, MetaRow::decode, |row| row.encode()),
            is_read(bytes, NamespaceRow::decode, NamespaceRow::encode),
            is_read(bytes, AliasRow::decode, AliasRow::encode),
            is_read(bytes, JobRow::decode, JobRow::encode),
            is_read(bytes, StagedRow::decode, |row| row.encode()),
            is_read(bytes, CountRow::decode, |row| row.encode()),
            is_read(bytes, VectorRow::decode, vector),
            is_read(bytes, DirectoryRow::decode, DirectoryRow::encode),
            is_read(bytes, QueueRow::decode, QueueRow::encode),
            RecordRow::decode(bytes).is_ok(),
        ]
        .contains(&true)
    });
}

#[test]
fn keys_of_every_kind() {
    let name = NamespaceName::parse("far away").unwrap();
    let place = Place { slot: slot_of(&name), id: NamespaceId(7) };
    let job = Uuid::from_u128(9);
    let corpus = vec![
        meta_key(),
        alias_key("live"),
        job_key(job),
        staged_key(job, &name),
        namespace_key(&name),
        count_key(place),
        dead_key(place),
        record_key(place, "id-1"),
        vector_key(place, "id-1"),
        directory_key(place),
        deletions_key(place, job),
        queue_key(place, 300),
        b"00000000-0000-0000-0000-000000000001/00000000-0000-0000-0000-000000000002".to_vec(),
    ];
    fuzz("key", &corpus, |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Some(id) = SegmentId::parse(text)
        {
            assert_eq!(SegmentId::parse(&id.to_string()), Some(id));
        }
        slot_and_kind(bytes);
        if let Some(name) = namespace_of_key(bytes) {
            assert_eq!(namespace_of_key(&namespace_key(&name)), Some(name));
        }
        [
            alias_of_key(bytes).is_ok(),
            job_of_key(bytes).is_ok(),
            staged_of_key(bytes).is_ok(),
            dead_of_key(bytes).is_some(),
            place_of_directory_key(bytes).is_some(),
            seq_of_queue_key(bytes).is_ok(),
            id_of_key(bytes).is_ok(),
            record_id_of_key(bytes).is_ok(),
        ]
        .contains(&true)
    });
}

/// What these tests are for: a reader that believes a length is found within moments, with the seed.
#[test]
#[should_panic(expected = "LODGEPOLE_FUZZ_SEED=")]
fn a_reader_that_believes_a_length_is_found() {
    let corpus = vec![vec![3, 1, 2, 3]];
    fuzz("believer", &corpus, |bytes| {
        let Some(length) = bytes.first() else { return false };
        bytes[1..=usize::from(*length)].len() > 2
    });
}
