//! Goal: messages are Pinecone's on both transports. Method: literals, and random messages there
//! and back.

use proptest::prelude::*;
use prost::Message;

use super::*;

fn alias() -> NamespaceAliasDescription {
    NamespaceAliasDescription {
        name: "live".to_owned(),
        target_namespace: "v1".to_owned(),
        created_at: Some(Timestamp(1_750_000_000_250).into()),
        updated_at: Some(Timestamp(1_750_000_001_000).into()),
    }
}

#[test]
fn an_alias_prints_its_times_as_text() {
    assert_eq!(
        serde_json::to_string(&alias()).unwrap(),
        r#"{"name":"live","target_namespace":"v1","created_at":"2025-06-15T15:06:40.250Z","updated_at":"2025-06-15T15:06:41.000Z"}"#
    );
    let list = ListNamespaceAliasesResponse { total_count: Some(0), ..Default::default() };
    let json = serde_json::to_string(&list).unwrap();
    assert_eq!(json, r#"{"namespace_aliases":[],"total_count":0}"#);
    assert_eq!(serde_json::to_string(&DeleteNamespaceAliasResponse {}).unwrap(), "{}");
}

#[test]
fn messages_have_the_tags_of_the_field_table() {
    let moment = Moment { seconds: 3, nanos: 5 };
    assert_eq!(moment.encode_to_vec(), [1 << 3, 3, 2 << 3, 5]);
    let one = NamespaceAliasDescription {
        name: "a".to_owned(),
        target_namespace: "b".to_owned(),
        created_at: Some(moment),
        updated_at: Some(moment),
    };
    let time = moment.encode_to_vec();
    let field = |tag: u8, bytes: &[u8]| {
        [&[tag << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let bytes = [field(1, b"a"), field(2, b"b"), field(3, &time), field(4, &time)].concat();
    assert_eq!(one.encode_to_vec(), bytes);
    let list = ListNamespaceAliasesRequest {
        pagination_token: Some("t".to_owned()),
        limit: Some(9),
        prefix: Some("p".to_owned()),
        target_namespace: Some("n".to_owned()),
    };
    let bytes = [field(1, b"t"), vec![2 << 3, 9], field(3, b"p"), field(4, b"n")].concat();
    assert_eq!(list.encode_to_vec(), bytes);
    let repoint = RepointNamespaceAliasRequest {
        alias_name: "a".to_owned(),
        target_namespace: "b".to_owned(),
    };
    assert_eq!(repoint.encode_to_vec(), [field(1, b"a"), field(2, b"b")].concat());
}

proptest! {
    #[test]
    fn messages_read_back_from_json_and_protobuf(
        name in "\\PC{0,8}",
        target_namespace in "\\PC{0,8}",
        times in prop::option::of((0_i64..4_000_000_000_000, 0_i64..4_000_000_000_000)),
        next in prop::option::of("[a-z]{1,4}"),
        total_count in prop::option::of(any::<i32>()),
    ) {
        let description = NamespaceAliasDescription {
            name: name.clone(),
            target_namespace: target_namespace.clone(),
            created_at: times.map(|(at, _)| Timestamp(at).into()),
            updated_at: times.map(|(_, at)| Timestamp(at).into()),
        };
        let list = ListNamespaceAliasesResponse {
            namespace_aliases: vec![description; 2],
            pagination: next.map(|next| Pagination { next }),
            total_count,
        };
        let json = serde_json::to_string(&list).unwrap();
        let read: ListNamespaceAliasesResponse = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &list);
        let read = ListNamespaceAliasesResponse::decode(&*list.encode_to_vec()).unwrap();
        prop_assert_eq!(read, list);
        let create = CreateNamespaceAliasRequest { name, target_namespace };
        let json = serde_json::to_string(&create).unwrap();
        let read: CreateNamespaceAliasRequest = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &create);
        let read = CreateNamespaceAliasRequest::decode(&*create.encode_to_vec()).unwrap();
        prop_assert_eq!(read, create);
    }
}
