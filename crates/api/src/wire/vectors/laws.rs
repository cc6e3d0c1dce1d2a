//! Goal: a message means the same on both transports. Method: random upserts and queries, through
//! JSON and through protobuf and back.

use lodgepole_types::{Kind, ListValue, Struct, Value};
use proptest::prelude::*;
use prost::Message;

use super::*;

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![any::<f32>().prop_filter("finite", |n| n.is_finite()), Just(0.4), Just(-0.0)]
}

fn value() -> impl Strategy<Value = Value> {
    let text = "\\PC{0,8}";
    prop_oneof![
        text.prop_map(|text| Value::of(Kind::String(text))),
        any::<bool>().prop_map(|flag| Value::of(Kind::Bool(flag))),
        (-1e15..1e15_f64).prop_map(|number| Value::of(Kind::Number(number))),
        prop::collection::vec(text, 0..3).prop_map(|texts| {
            let values = texts.into_iter().map(|text| Value::of(Kind::String(text))).collect();
            Value::of(Kind::List(ListValue { values }))
        }),
    ]
}

fn map() -> impl Strategy<Value = Option<Struct>> {
    let fields = prop::collection::btree_map("\\PC{0,8}", value(), 0..4);
    prop::option::of(fields.prop_map(|fields| Struct { fields }))
}

fn sparse() -> impl Strategy<Value = Option<SparseValues>> {
    let pairs = prop::collection::vec((any::<u32>(), number()), 1..5);
    prop::option::of(pairs.prop_map(|pairs| {
        let (indices, values) = pairs.into_iter().unzip();
        SparseValues { indices, values }
    }))
}

fn vector() -> impl Strategy<Value = Vector> {
    ("\\PC{0,8}", prop::collection::vec(number(), 0..5), map(), sparse()).prop_map(
        |(id, values, metadata, sparse_values)| Vector { id, values, metadata, sparse_values },
    )
}

proptest! {
    #[test]
    fn an_upsert_reads_back_from_json_and_protobuf(
        vectors in prop::collection::vec(vector(), 0..4),
        namespace in "\\PC{0,8}",
    ) {
        let request = UpsertRequest { vectors, namespace };
        let json = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(&serde_json::from_str::<UpsertRequest>(&json).unwrap(), &request);
        prop_assert_eq!(&UpsertRequest::decode(&*request.encode_to_vec()).unwrap(), &request);
    }

    #[test]
    fn an_update_and_a_fetch_by_metadata_read_back(
        changed in vector(),
        filter in map(),
        dry_run in prop::option::of(any::<bool>()),
        limit in prop::option::of(any::<u32>()),
        matched_records in prop::option::of(any::<i32>()),
        token in prop::option::of("[a-z]{0,4}"),
    ) {
        let Vector { id, values, metadata, sparse_values } = changed.clone();
        let namespace = id.clone();
        let update = UpdateRequest {
            id,
            values,
            set_metadata: metadata,
            namespace: namespace.clone(),
            sparse_values,
            filter: filter.clone(),
            dry_run,
        };
        let json = serde_json::to_string(&update).unwrap();
        prop_assert_eq!(&serde_json::from_str::<UpdateRequest>(&json).unwrap(), &update);
        prop_assert_eq!(&UpdateRequest::decode(&*update.encode_to_vec()).unwrap(), &update);
        let updated = UpdateResponse { matched_records };
        let json = serde_json::to_string(&updated).unwrap();
        prop_assert_eq!(&serde_json::from_str::<UpdateResponse>(&json).unwrap(), &updated);
        prop_assert_eq!(&UpdateResponse::decode(&*updated.encode_to_vec()).unwrap(), &updated);
        let fetch = FetchByMetadataRequest {
            namespace: namespace.clone(),
            filter: filter.clone(),
            limit,
            pagination_token: token.clone(),
        };
        let json = serde_json::to_string(&fetch).unwrap();
        prop_assert_eq!(&serde_json::from_str::<FetchByMetadataRequest>(&json).unwrap(), &fetch);
        prop_assert_eq!(&FetchByMetadataRequest::decode(&*fetch.encode_to_vec()).unwrap(), &fetch);
        let fetched = FetchByMetadataResponse {
            vectors: [(changed.id.clone(), changed)].into(),
            namespace: namespace.clone(),
            usage: limit.map(|units| Usage { read_units: Some(units), egress_bytes: limit }),
            pagination: token.map(|next| Pagination { next }),
        };
        let json = serde_json::to_string(&fetched).unwrap();
        let read: FetchByMetadataResponse = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &fetched);
        let read = FetchByMetadataResponse::decode(&*fetched.encode_to_vec()).unwrap();
        prop_assert_eq!(&read, &fetched);
        let count = CountRequest { filter, namespace };
        let json = serde_json::to_string(&count).unwrap();
        prop_assert_eq!(&serde_json::from_str::<CountRequest>(&json).unwrap(), &count);
    }

    #[test]
    fn values_print_as_the_shortest_decimal_that_reads_back(value in number()) {
        let json = serde_json::to_string(&[value]).unwrap();
        let text = json.trim_matches(['[', ']']);
        prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), value.to_bits());
        // Rust's own printing is the shortest too; as plain decimal both are the same number.
        let shortest = format!("{value:e}");
        let digits = |text: &str| {
            let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
            let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
            digits.trim_matches('0').len()
        };
        prop_assert_eq!(digits(text), digits(&shortest), "{}", text);
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = crate::parse::data_body::<QueryRequest>(&body);
        let _ = crate::parse::configure_index(&body, crate::ApiVersion::V2026_07);
        let _ = crate::query_string::pairs(&String::from_utf8_lossy(&body));
        let _ = QueryRequest::decode(&*body);
    }
}
