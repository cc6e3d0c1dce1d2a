//! Goal: messages are Pinecone's, byte for byte and name for name. Method: JSON and protobuf
//! literals, the latter written out by hand from the field table.

use prost::Message;

use super::*;

fn json<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap()
}

fn map(text: &str) -> Option<Struct> {
    Some(serde_json::from_str(text).unwrap())
}

/// A length-delimited field.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    field.extend_from_slice(bytes);
    field
}

/// A field with a small number.
fn varint(tag: u8, value: u8) -> Vec<u8> {
    vec![tag << 3, value]
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn fixed(tag: u8, value: f32) -> Vec<u8> {
    let mut field = vec![tag << 3 | 5];
    field.extend_from_slice(&value.to_le_bytes());
    field
}

fn vector() -> Vector {
    Vector {
        id: "a".to_owned(),
        values: vec![0.5, -1.0],
        metadata: map(r#"{"k":true}"#),
        sparse_values: Some(SparseValues { indices: vec![7, 3], values: vec![0.5, 0.25] }),
    }
}

/// `{"k": true}` as a protobuf `Struct`.
fn struct_bytes() -> Vec<u8> {
    let entry = [field(1, b"k"), field(2, &varint(4, 1))].concat();
    field(1, &entry)
}

fn sparse_bytes() -> Vec<u8> {
    [field(1, &[7, 3]), field(2, &floats(&[0.5, 0.25]))].concat()
}

fn vector_bytes() -> Vec<u8> {
    [
        field(1, b"a"),
        field(2, &floats(&[0.5, -1.0])),
        field(3, &struct_bytes()),
        field(4, &sparse_bytes()),
    ]
    .concat()
}

#[test]
fn requests_have_the_tags_of_the_field_table() {
    let upsert = UpsertRequest { vectors: vec![vector()], namespace: "n".to_owned() };
    assert_eq!(upsert.encode_to_vec(), [field(1, &vector_bytes()), field(2, b"n")].concat());

    let delete = DeleteRequest {
        ids: vec!["a".to_owned(), "b".to_owned()],
        delete_all: true,
        namespace: "n".to_owned(),
        filter: map(r#"{"k":true}"#),
    };
    assert_eq!(
        delete.encode_to_vec(),
        [field(1, b"a"), field(1, b"b"), varint(2, 1), field(3, b"n"), field(4, &struct_bytes())]
            .concat()
    );

    let fetch = FetchRequest { ids: vec!["a".to_owned()], namespace: "n".to_owned() };
    assert_eq!(fetch.encode_to_vec(), [field(1, b"a"), field(2, b"n")].concat());

    let list = ListRequest {
        prefix: Some("p".to_owned()),
        limit: Some(9),
        pagination_token: Some("t".to_owned()),
        namespace: "n".to_owned(),
    };
    assert_eq!(
        list.encode_to_vec(),
        [field(1, b"p"), varint(2, 9), field(3, b"t"), field(4, b"n")].concat()
    );

    let stats = DescribeIndexStatsRequest { filter: map(r#"{"k":true}"#) };
    assert_eq!(stats.encode_to_vec(), field(1, &struct_bytes()));
}

#[test]
fn a_query_has_the_tags_of_the_field_table() {
    let query = QueryRequest {
        namespace: "n".to_owned(),
        top_k: 10,
        filter: map(r#"{"k":true}"#),
        include_values: true,
        include_metadata: true,
        queries: vec![QueryVector {
            values: vec![0.5],
            top_k: 2,
            namespace: "m".to_owned(),
            filter: map(r#"{"k":true}"#),
            sparse_values: vector().sparse_values,
        }],
        vector: vec![0.5],
        id: "a".to_owned(),
        sparse_vector: vector().sparse_values,
        scan_factor: Some(2.0),
        max_candidates: Some(100),
    };
    let old = [
        field(1, &floats(&[0.5])),
        varint(2, 2),
        field(3, b"m"),
        field(4, &struct_bytes()),
        field(5, &sparse_bytes()),
    ]
    .concat();
    let bytes = [
        field(1, b"n"),
        varint(2, 10),
        field(3, &struct_bytes()),
        varint(4, 1),
        varint(5, 1),
        field(6, &old),
        field(7, &floats(&[0.5])),
        field(8, b"a"),
        field(9, &sparse_bytes()),
        fixed(10, 2.0),
        varint(11, 100),
    ]
    .concat();
    assert_eq!(query.encode_to_vec(), bytes);
    assert_eq!(QueryRequest::decode(&*bytes).unwrap(), query);
}

#[test]
fn replies_have_the_tags_of_the_field_table() {
    let usage = field(4, &varint(1, 5));
    let scored = ScoredVector {
        id: "a".to_owned(),
        score: 0.5,
        values: vec![0.5],
        metadata: map(r#"{"k":true}"#),
        sparse_values: vector().sparse_values,
    };
    let scored_bytes = [
        field(1, b"a"),
        fixed(2, 0.5),
        field(3, &floats(&[0.5])),
        field(4, &struct_bytes()),
        field(5, &sparse_bytes()),
    ]
    .concat();
    let query = QueryResponse {
        matches: vec![scored],
        namespace: "n".to_owned(),
        usage: Some(Usage { read_units: Some(5), egress_bytes: None }),
    };
    let bytes = [field(2, &scored_bytes), field(3, b"n"), usage.clone()].concat();
    assert_eq!(query.encode_to_vec(), bytes);

    let fetch = FetchResponse {
        vectors: [("a".to_owned(), vector())].into(),
        namespace: "n".to_owned(),
        usage: Some(Usage { read_units: Some(5), egress_bytes: None }),
    };
    let entry = [field(1, b"a"), field(2, &vector_bytes())].concat();
    let bytes = [field(1, &entry), field(2, b"n"), field(3, &varint(1, 5))].concat();
    assert_eq!(fetch.encode_to_vec(), bytes);

    let list = ListResponse {
        vectors: vec![ListItem { id: "a".to_owned() }],
        pagination: Some(Pagination { next: "t".to_owned() }),
        namespace: "n".to_owned(),
        usage: Some(Usage { read_units: Some(5), egress_bytes: None }),
    };
    let bytes =
        [field(1, &field(1, b"a")), field(2, &field(1, b"t")), field(3, b"n"), usage].concat();
    assert_eq!(list.encode_to_vec(), bytes);

    assert_eq!(UpsertResponse { upserted_count: 3 }.encode_to_vec(), varint(1, 3));
    assert_eq!(DeleteResponse {}.encode_to_vec(), [0_u8; 0]);
}

#[test]
fn updates_and_fetches_by_metadata_have_the_tags_of_the_field_table() {
    let update = UpdateRequest {
        id: "a".to_owned(),
        values: vec![0.5],
        set_metadata: map(r#"{"k":true}"#),
        namespace: "n".to_owned(),
        sparse_values: vector().sparse_values,
        filter: map(r#"{"k":true}"#),
        dry_run: Some(true),
    };
    let bytes = [
        field(1, b"a"),
        field(2, &floats(&[0.5])),
        field(3, &struct_bytes()),
        field(4, b"n"),
        field(5, &sparse_bytes()),
        field(6, &struct_bytes()),
        varint(7, 1),
    ]
    .concat();
    assert_eq!(update.encode_to_vec(), bytes);
    // A count of zero is sent all the same: it is not the same as none.
    assert_eq!(UpdateResponse { matched_records: Some(0) }.encode_to_vec(), varint(1, 0));
    assert_eq!(UpdateResponse::default().encode_to_vec(), [0_u8; 0]);

    let fetch = FetchByMetadataRequest {
        namespace: "n".to_owned(),
        filter: map(r#"{"k":true}"#),
        limit: Some(9),
        pagination_token: Some("t".to_owned()),
    };
    let bytes = [field(1, b"n"), field(2, &struct_bytes()), varint(3, 9), field(4, b"t")].concat();
    assert_eq!(fetch.encode_to_vec(), bytes);
    let fetched = FetchByMetadataResponse {
        vectors: [("a".to_owned(), vector())].into(),
        namespace: "n".to_owned(),
        usage: Some(Usage { read_units: Some(5), egress_bytes: Some(7) }),
        pagination: Some(Pagination { next: "t".to_owned() }),
    };
    let entry = [field(1, b"a"), field(2, &vector_bytes())].concat();
    let usage = [varint(1, 5), varint(2, 7)].concat();
    let bytes =
        [field(1, &entry), field(2, b"n"), field(3, &usage), field(4, &field(1, b"t"))].concat();
    assert_eq!(fetched.encode_to_vec(), bytes);
}

#[test]
fn updates_print_and_read_in_both_spellings() {
    assert_eq!(json(&UpdateResponse::default()), "{}");
    assert_eq!(json(&UpdateResponse { matched_records: Some(0) }), r#"{"matchedRecords":0}"#);
    let usage = Usage { read_units: Some(1), egress_bytes: Some(2) };
    assert_eq!(json(&usage), r#"{"readUnits":1,"egressBytes":2}"#);
    let update: UpdateRequest = serde_json::from_str(
        r#"{"filter":{"k":true},"set_metadata":{"k":null},"dry_run":false,"values":null}"#,
    )
    .unwrap();
    assert_eq!((update.dry_run, update.values.len()), (Some(false), 0));
    assert!(update.set_metadata.unwrap().fields["k"].is_null());
    let fetch: FetchByMetadataRequest =
        serde_json::from_str(r#"{"filter":{},"pagination_token":"t","limit":3}"#).unwrap();
    assert_eq!((fetch.limit, fetch.pagination_token.as_deref()), (Some(3), Some("t")));
    let count = CountResponse { count: 3, namespace: "n".to_owned() };
    assert_eq!(json(&count), r#"{"count":3,"namespace":"n"}"#);
}

#[test]
fn stats_have_the_tags_of_the_field_table() {
    let stats = DescribeIndexStatsResponse {
        namespaces: [("n".to_owned(), NamespaceSummary { vector_count: 2 })].into(),
        dimension: Some(3),
        index_fullness: 0.5,
        total_vector_count: 2,
        metric: Some("cosine".to_owned()),
        vector_type: Some("dense".to_owned()),
        memory_fullness: Some(0.25),
        storage_fullness: Some(0.75),
    };
    let entry = [field(1, b"n"), field(2, &varint(1, 2))].concat();
    let bytes = [
        field(1, &entry),
        varint(2, 3),
        fixed(3, 0.5),
        varint(4, 2),
        field(5, b"cosine"),
        field(6, b"dense"),
        fixed(7, 0.25),
        fixed(8, 0.75),
    ]
    .concat();
    assert_eq!(stats.encode_to_vec(), bytes);
}

#[test]
fn both_spellings_integers_nulls_and_unknown_names_are_read() {
    let wanted = QueryRequest {
        top_k: 3,
        include_values: true,
        include_metadata: true,
        vector: vec![1.0, 2.5],
        namespace: "n".to_owned(),
        ..QueryRequest::default()
    };
    for text in [
        r#"{"topK":3,"includeValues":true,"includeMetadata":true,"vector":[1,2.5],"namespace":"n"}"#,
        r#"{"top_k":3,"include_values":true,"include_metadata":true,"vector":[1,2.5],
            "namespace":"n","filter":null,"id":null,"queries":null,"sparseVector":null,"new":[{}]}"#,
    ] {
        assert_eq!(serde_json::from_str::<QueryRequest>(text).unwrap(), wanted, "{text}");
    }
    let delete: DeleteRequest =
        serde_json::from_str(r#"{"delete_all":true,"ids":null,"namespace":null}"#).unwrap();
    assert_eq!(delete, DeleteRequest { delete_all: true, ..DeleteRequest::default() });
    let vector: Vector =
        serde_json::from_str(r#"{"id":"a","sparse_values":{"indices":[4294967295],"values":[1]}}"#)
            .unwrap();
    assert_eq!(vector.sparse_values.unwrap().indices, [u32::MAX]);
}

#[test]
fn an_upsert_survives_both_transports() {
    let text = r#"{"vectors":[{"id":"a","values":[0.1,0.4],"metadata":{"k":["x"],"n":2020},"sparseValues":{"indices":[9,1],"values":[0.4,1.0]}}],"namespace":"n"}"#;
    let from_json: UpsertRequest = serde_json::from_str(text).unwrap();
    let from_proto = UpsertRequest::decode(&*from_json.encode_to_vec()).unwrap();
    assert_eq!(from_proto, from_json);
    assert_eq!(json(&from_proto), text);
}

#[test]
fn replies_print_as_clients_expect_them() {
    assert_eq!(json(&UpsertResponse { upserted_count: 2 }), r#"{"upsertedCount":2}"#);
    assert_eq!(json(&DeleteResponse {}), "{}");
    assert_eq!(json(&QueryResponse::default()), r#"{"matches":[],"namespace":""}"#);
    let hit = ScoredVector { id: "a".to_owned(), score: 0.4, ..ScoredVector::default() };
    assert_eq!(json(&hit), r#"{"id":"a","score":0.4,"values":[]}"#);
    let sparse_only = Vector {
        id: "a".to_owned(),
        sparse_values: Some(SparseValues { indices: vec![1], values: vec![0.1] }),
        ..Vector::default()
    };
    let fetch = FetchResponse {
        vectors: [("a".to_owned(), sparse_only)].into(),
        namespace: "__default__".to_owned(),
        usage: Some(Usage { read_units: Some(1), egress_bytes: None }),
    };
    assert_eq!(
        json(&fetch),
        r#"{"vectors":{"a":{"id":"a","values":[],"sparseValues":{"indices":[1],"values":[0.1]}}},"namespace":"__default__","usage":{"readUnits":1}}"#
    );
    let list = ListResponse {
        vectors: vec![ListItem { id: "a".to_owned() }],
        pagination: Some(Pagination { next: "t".to_owned() }),
        ..ListResponse::default()
    };
    assert_eq!(json(&list), r#"{"vectors":[{"id":"a"}],"pagination":{"next":"t"},"namespace":""}"#);
    assert_eq!(
        json(&DescribeIndexStatsResponse {
            namespaces: [("".to_owned(), NamespaceSummary { vector_count: 1 })].into(),
            dimension: Some(2),
            index_fullness: 0.0,
            total_vector_count: 1,
            metric: Some("cosine".to_owned()),
            vector_type: Some("dense".to_owned()),
            ..DescribeIndexStatsResponse::default()
        }),
        r#"{"namespaces":{"":{"vectorCount":1}},"dimension":2,"indexFullness":0.0,"totalVectorCount":1,"metric":"cosine","vectorType":"dense"}"#
    );
}

#[test]
fn a_score_beyond_numbers_is_still_a_number() {
    for (score, text) in
        [(f32::INFINITY, "3.4028235e+38"), (f32::NEG_INFINITY, "-3.4028235e+38"), (f32::NAN, "0.0")]
    {
        let hit = ScoredVector { score, ..ScoredVector::default() };
        assert_eq!(json(&hit), format!(r#"{{"id":"","score":{text},"values":[]}}"#));
    }
}
