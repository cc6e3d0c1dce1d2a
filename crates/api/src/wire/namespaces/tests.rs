//! Goal: messages are Pinecone's on both transports and in both dialects. Method: literals, and
//! random descriptions there and back.

use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::*;

fn schema() -> MetadataSchema {
    let fields =
        ["a", "b"].map(|name| (name.to_owned(), MetadataFieldProperties { filterable: true }));
    MetadataSchema { fields: fields.into() }
}

#[test]
fn counters_are_numbers_until_the_size_is_named() {
    let old = NamespaceDescription {
        name: "n".to_owned(),
        record_count: 20_000,
        schema: Some(schema()),
        indexed_fields: Some(IndexedFields { fields: schema().filterable() }),
        size_bytes: None,
    };
    assert_eq!(
        serde_json::to_string(&old).unwrap(),
        r#"{"name":"n","record_count":20000,"schema":{"fields":{"a":{"filterable":true},"b":{"filterable":true}}},"indexed_fields":{"fields":["a","b"]}}"#
    );
    let new = NamespaceDescription {
        name: "n".to_owned(),
        record_count: 0,
        size_bytes: Some(7),
        ..NamespaceDescription::default()
    };
    let json = serde_json::to_string(&new).unwrap();
    assert_eq!(json, r#"{"name":"n","record_count":"0","size_bytes":"7"}"#);
    let list = ListNamespacesResponse { total_count: 3, ..ListNamespacesResponse::default() };
    assert_eq!(serde_json::to_string(&list).unwrap(), r#"{"namespaces":[],"total_count":3}"#);
}

#[test]
fn messages_have_the_tags_of_the_field_table() {
    let field = |tag: u8, bytes: &[u8]| {
        [&[tag << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let one = NamespaceDescription {
        name: "n".to_owned(),
        record_count: 5,
        schema: Some(MetadataSchema {
            fields: [("a".to_owned(), MetadataFieldProperties { filterable: true })].into(),
        }),
        indexed_fields: Some(IndexedFields { fields: vec!["a".to_owned()] }),
        size_bytes: Some(9),
    };
    let entry = [field(1, b"a"), field(2, &[1 << 3, 1])].concat();
    let bytes = [
        field(1, b"n"),
        vec![2 << 3, 5],
        field(3, &field(1, &entry)),
        field(4, &field(1, b"a")),
        vec![5 << 3, 9],
    ]
    .concat();
    assert_eq!(one.encode_to_vec(), bytes);
    let list = ListNamespacesRequest {
        pagination_token: Some("t".to_owned()),
        limit: Some(9),
        prefix: Some("p".to_owned()),
    };
    assert_eq!(list.encode_to_vec(), [field(1, b"t"), vec![2 << 3, 9], field(3, b"p")].concat());
    let reply = ListNamespacesResponse {
        namespaces: vec![one],
        pagination: Some(Pagination { next: "t".to_owned() }),
        total_count: 1,
    };
    let wanted = [field(1, &bytes), field(2, &field(1, b"t")), vec![3 << 3, 1]].concat();
    assert_eq!(reply.encode_to_vec(), wanted);
}

#[test]
fn a_schema_reads_back_from_its_stored_form() {
    assert_eq!(MetadataSchema::from_stored(&schema().to_stored()), schema());
    let typed = json!({"fields": {"a": {"type": "string"}, "b": {"filterable": false}}});
    assert_eq!(MetadataSchema::from_stored(&typed).filterable(), ["a"]);
    assert_eq!(MetadataSchema::from_stored(&json!("odd")).filterable(), [""; 0]);
}

#[test]
fn nulls_are_absent() {
    let request: CreateNamespaceRequest =
        serde_json::from_value(json!({"name": null, "schema": null, "new": 1})).unwrap();
    assert_eq!(request, CreateNamespaceRequest::default());
}

proptest! {
    #[test]
    fn a_description_reads_back_from_json_and_protobuf(
        name in "\\PC{0,8}",
        record_count in any::<u64>(),
        size_bytes in prop::option::of(any::<u64>()),
        fields in prop::option::of(prop::collection::btree_map("\\PC{0,4}", any::<bool>(), 0..3)),
    ) {
        let schema = fields.map(|fields| MetadataSchema {
            fields: fields
                .into_iter()
                .map(|(name, filterable)| (name, MetadataFieldProperties { filterable }))
                .collect(),
        });
        let indexed_fields =
            schema.as_ref().map(|schema| IndexedFields { fields: schema.filterable() });
        let one = NamespaceDescription { name, record_count, schema, indexed_fields, size_bytes };
        let json = serde_json::to_string(&one).unwrap();
        prop_assert_eq!(&serde_json::from_str::<NamespaceDescription>(&json).unwrap(), &one);
        let read = NamespaceDescription::decode(&*one.encode_to_vec()).unwrap();
        prop_assert_eq!(read, one);
    }
}
