//! Goal: filters mean what they are documented to mean, and wrong ones are refused with a message
//! that says what is wrong.
//!
//! Method: cases by hand for each rule; and generated filters and records, drawn from few names and
//! values so that they collide, compared with an evaluator over the decoded map, written in the
//! plainest way.

mod naive;
mod sets;

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::Metadata;

fn parse(json: &str) -> Result<Filter, FilterError> {
    Filter::parse(&serde_json::from_str(json).unwrap(), &Limits::default())
}

fn refusal(json: &str) -> String {
    parse(json).unwrap_err().0
}

fn stored(json: &str) -> Vec<u8> {
    Metadata::parse(serde_json::from_str(json).unwrap(), &Limits::default()).unwrap().to_stored()
}

fn holds(filter: &str, metadata: &str) -> bool {
    parse(filter).unwrap().matches(StoredMetadata::new(&stored(metadata)))
}

#[test]
fn each_operator_compares_as_documented() {
    let metadata = r#"{"genre":"drama","year":2020,"seen":true,"tags":["a","b"],"none":[]}"#;
    for (filter, expected) in [
        (r#"{}"#, true),
        (r#"{"genre":"drama"}"#, true),
        (r#"{"genre":{"$eq":"drama"},"year":2020}"#, true),
        (r#"{"genre":"drama","year":2021}"#, false),
        (r#"{"year":{"$ne":2020}}"#, false),
        (r#"{"year":{"$gt":2019,"$lt":2021}}"#, true),
        (r#"{"year":{"$gt":2020}}"#, false),
        (r#"{"year":{"$gte":2020}}"#, true),
        (r#"{"year":{"$lt":2020}}"#, false),
        (r#"{"year":{"$lte":2020}}"#, true),
        (r#"{"year":{"$in":[1999,2020]}}"#, true),
        (r#"{"year":{"$nin":[1999,2020]}}"#, false),
        (r#"{"year":{"$in":[]}}"#, false),
        (r#"{"year":{"$nin":[]}}"#, true),
        (r#"{"seen":true}"#, true),
        (r#"{"seen":{"$in":[false,"x",7]}}"#, false),
        (r#"{"seen":{"$in":[true]}}"#, true),
        (r#"{"tags":"b"}"#, true),
        (r#"{"tags":{"$in":["c","a"]}}"#, true),
        (r#"{"$and":[{"tags":"a"},{"tags":"b"}]}"#, true),
        (r#"{"$and":[{"tags":"a"},{"tags":"c"}]}"#, false),
        (r#"{"tags":{"$ne":"a"}}"#, false),
        (r#"{"tags":{"$nin":["c"]}}"#, true),
        (r#"{"none":{"$ne":"a"}}"#, true),
        (r#"{"none":{"$exists":true}}"#, true),
        (r#"{"$or":[{"year":1},{"genre":"drama"}]}"#, true),
        (r#"{"$or":[{"year":1},{"genre":"x"}]}"#, false),
        (r#"{"$not":{"genre":"drama"}}"#, false),
        (r#"{"genre":{"$not":{"$in":["x","y"]}}}"#, true),
        (r#"{"genre":"drama","$or":[{"year":2020}]}"#, true),
        (r#"{"year":{"$exists":false}}"#, false),
    ] {
        assert_eq!(holds(filter, metadata), expected, "{filter}");
    }
}

#[test]
fn values_of_another_type_are_never_equal_nor_comparable() {
    for (filter, metadata) in [
        (r#"{"f":2019}"#, r#"{"f":"2019"}"#),
        (r#"{"f":"2019"}"#, r#"{"f":2019}"#),
        (r#"{"f":true}"#, r#"{"f":1}"#),
        (r#"{"f":1}"#, r#"{"f":true}"#),
        (r#"{"f":"true"}"#, r#"{"f":true}"#),
        (r#"{"f":{"$in":["1",true]}}"#, r#"{"f":1}"#),
        (r#"{"f":{"$gte":0}}"#, r#"{"f":"5"}"#),
        (r#"{"f":{"$gte":0}}"#, r#"{"f":true}"#),
        (r#"{"f":{"$gte":0}}"#, r#"{"f":["5"]}"#),
    ] {
        assert!(!holds(filter, metadata), "{filter} {metadata}");
        let negated = format!(r#"{{"$not":{filter}}}"#);
        assert!(holds(&negated, metadata), "{negated} {metadata}");
    }
}

#[test]
fn a_record_without_the_field_matches_the_negative_operators_only() {
    for (condition, expected) in [
        (r#"{"$ne":1}"#, true),
        (r#"{"$nin":[1,"a"]}"#, true),
        (r#"{"$exists":false}"#, true),
        (r#"{"$not":{"$gt":1}}"#, true),
        (r#"{"$eq":1}"#, false),
        (r#"{"$in":[1]}"#, false),
        (r#"{"$lt":1}"#, false),
        (r#"{"$exists":true}"#, false),
    ] {
        assert_eq!(
            holds(&format!(r#"{{"f":{condition}}}"#), r#"{"g":1}"#),
            expected,
            "{condition}"
        );
        assert_eq!(holds(&format!(r#"{{"f":{condition}}}"#), "{}"), expected, "{condition}");
    }
}

#[test]
fn numbers_and_texts_are_compared_exactly() {
    assert!(holds(r#"{"f":0}"#, r#"{"f":-0.0}"#));
    assert!(holds(r#"{"f":{"$in":[-0.0]}}"#, r#"{"f":0}"#));
    assert!(holds(r#"{"f":{"$in":[0]}}"#, r#"{"f":-0.0}"#));
    assert!(holds(r#"{"f":{"$gte":0,"$lte":0}}"#, r#"{"f":-0.0}"#));
    assert!(holds(r#"{"f":1.0}"#, r#"{"f":1}"#), "year may be sent as an integer");
    assert!(!holds(r#"{"f":9007199254740993}"#, r#"{"f":9007199254740995}"#));
    assert!(!holds(r#"{"f":0.30000000000000004}"#, r#"{"f":0.3}"#));
    assert!(holds(r#"{"名前":"東京 🎈 é"}"#, r#"{"名前":"東京 🎈 é"}"#));
    assert!(!holds(r#"{"f":"é"}"#, r#"{"f":"e\u0301"}"#), "no normalisation");
    assert!(!holds(r#"{"f":"A"}"#, r#"{"f":"a"}"#));
    assert!(holds(r#"{"":""}"#, r#"{"":""}"#), "the empty key and the empty text");
}

#[test]
fn wrong_filters_are_refused_with_a_message_that_names_operator_and_field() {
    for (filter, parts) in [
        (r#"{"f":{"$regex":"x"}}"#, ["'$regex'", "'f'", "$exists"]),
        (r#"{"f":{"eq":"x"}}"#, ["'eq'", "'f'", "$eq"]),
        (r#"{"$foo":[]}"#, ["'$foo'", "$and", "top level"]),
        (r#"{"$eq":1}"#, ["'$eq'", "$and", "top level"]),
        (r#"{"f":["a","b"]}"#, ["$eq", "'f'", r#"["a","b"]"#]),
        (r#"{"f":{"$eq":["a"]}}"#, ["$eq", "'f'", "string, number or boolean"]),
        (r#"{"f":{"$ne":null}}"#, ["$ne", "'f'", "null"]),
        (r#"{"f":null}"#, ["$eq", "'f'", "null"]),
        (r#"{"f":{"$gt":"2019"}}"#, ["$gt", "'f'", "a number"]),
        (r#"{"f":{"$lte":true}}"#, ["$lte", "'f'", "a number"]),
        (r#"{"f":{"$in":"a"}}"#, ["$in", "'f'", "a list"]),
        (r#"{"f":{"$nin":[["a"]]}}"#, ["$nin", "'f'", "a list"]),
        (r#"{"f":{"$exists":1}}"#, ["$exists", "'f'", "a boolean"]),
        (r#"{"f":{"$not":"x"}}"#, ["$not", "'f'", "operators"]),
        (r#"{"f":{}}"#, ["'f'", "no condition", "$eq"]),
        (r#"{"f":{"$eq":1,"g":2}}"#, ["'g'", "'f'", "$eq"]),
        (r#"{"$and":[]}"#, ["$and", "at least one", "[]"]),
        (r#"{"$or":[{"a":1},{}]}"#, ["$or", "none of them empty", "{}"]),
        (r#"{"$or":{"a":1}}"#, ["$or", "a list of filters", r#"{"a":1.0}"#]),
        (r#"{"$and":["a"]}"#, ["$and", "a list of filters", r#""a""#]),
        (r#"{"$not":{}}"#, ["$not", "not empty", "{}"]),
        (r#"{"$not":[{"a":1}]}"#, ["$not", "a filter", r#"[{"a":1.0}]"#]),
    ] {
        let message = refusal(filter);
        for part in parts {
            assert!(message.contains(part), "{filter}: {message}");
        }
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for operator in ["$eq", "$gt"] {
            let operand = [(operator.to_owned(), number.into())].into();
            let condition = crate::Kind::Struct(Struct { fields: operand });
            let filter = Struct { fields: [("f".to_owned(), crate::Value::of(condition))].into() };
            assert!(Filter::parse(&filter, &Limits::default()).is_err(), "{operator} {number}");
        }
    }
}

#[test]
fn the_limits_are_kept_to_the_last_one() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"$and":["#.repeat(levels - 1), "]}".repeat(levels - 1));
        format!(r#"{open}{{"a":1}}{close}"#)
    };
    assert!(parse(&nested(32)).is_ok());
    assert_eq!(
        refusal(&nested(33)),
        "the filter is nested more than 32 levels deep, which is the limit"
    );
    let negated = format!("{}{}{}", r#"{"$not":"#.repeat(40), r#"{"a":1}"#, "}".repeat(40));
    assert!(refusal(&negated).contains("nested"));
    let under_field =
        format!("{}{}{}", r#"{"a":{"$not":"#, r#"{"$not":"#.repeat(40), r#"{"$eq":1}"#)
            + &"}".repeat(42);
    assert!(refusal(&under_field).contains("nested"));

    let values = |count: usize| format!(r#"{{"f":{{"$in":{:?}}}}}"#, vec!["x"; count]);
    assert!(parse(&values(10_000)).is_ok());
    assert!(refusal(&values(10_001)).contains("10001 values, which exceeds the limit of 10000"));

    let conditions = |count: usize| {
        let all: Vec<_> = (0..count).map(|i| format!(r#"{{"f{i}":1}}"#)).collect();
        format!(r#"{{"$and":[{}]}}"#, all.join(","))
    };
    assert!(parse(&conditions(4_096)).is_ok());
    assert!(refusal(&conditions(4_097)).contains("more than 4096 conditions"));
}

#[test]
fn fields_are_named_once_each_and_only_the_empty_filter_is_empty() {
    let filter =
        parse(r#"{"b":1,"$or":[{"a":{"$gt":1}},{"$not":{"b":2}},{"c":{"$not":{"$eq":1}}}]}"#);
    let filter = filter.unwrap();
    assert_eq!(filter.fields().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(!filter.is_empty());
    assert!(parse("{}").unwrap().is_empty());
}

#[test]
fn damaged_bytes_match_nothing_not_even_a_negation() {
    let bytes = stored(r#"{"a":"text","f":["x","y"],"n":1.5}"#);
    let filters = [r#"{"zz":{"$ne":1}}"#, r#"{"f":{"$ne":"q"}}"#].map(|json| parse(json).unwrap());
    for filter in &filters {
        assert!(filter.matches(StoredMetadata::new(&bytes)));
        // Every cut inside of an entry is damage; the cuts between entries are shorter metadata.
        let ends: Vec<usize> =
            (0..bytes.len()).filter(|&len| Struct::decode(&bytes[..len]).is_ok()).collect();
        for len in (0..bytes.len()).filter(|len| !ends.contains(len)) {
            assert!(
                !filter.matches(StoredMetadata::new(&bytes[..len])),
                "{len} of {}",
                bytes.len()
            );
        }
    }
}

fn entry(key: &str, value: f64) -> Vec<u8> {
    Struct { fields: [(key.to_owned(), value.into())].into() }.encode_to_vec()
}

#[test]
fn entries_may_stand_in_any_order_and_the_last_of_one_key_counts() {
    let bytes = [entry("z", 1.0), entry("a", 2.0), entry("z", 3.0)].concat();
    let metadata = StoredMetadata::new(&bytes);
    assert!(parse(r#"{"a":2,"z":3}"#).unwrap().matches(metadata));
    assert!(!parse(r#"{"z":1}"#).unwrap().matches(metadata));
    assert_eq!(metadata.to_metadata().unwrap().as_struct().fields["z"], 3.0.into());
}

/// What to do to the bytes of a record, where, and with which byte.
fn damage() -> impl Strategy<Value = (u8, prop::sample::Index, u8)> {
    (0_u8..8, any::<prop::sample::Index>(), any::<u8>())
}

#[test]
fn the_sets_of_a_filter_with_thousands_of_values_are_those_that_match_one_by_one() {
    let texts: Vec<String> = (0..4_000).map(|i| format!("\"v{i}\",{i},-{i}.5")).collect();
    let filter =
        format!(r#"{{"f":{{"$in":[{}]}},"g":{{"$nin":[true,"x"]}}}}"#, texts[..3_000].join(","));
    let filter = parse(&filter).unwrap();
    let records = [
        r#"{"f":"v2999"}"#,
        r#"{"f":"v3000"}"#,
        r#"{"f":0}"#,
        r#"{"f":-0.0}"#,
        r#"{"f":-1.5}"#,
        r#"{"f":["a","v7"]}"#,
        r#"{"f":7,"g":true}"#,
        r#"{"f":7,"g":["y","x"]}"#,
        r#"{"g":1}"#,
        r#"{"f":"v1","g":[]}"#,
        "{}",
    ];
    let records = sets::Records(records.iter().map(|json| stored(json)).collect());
    let Ok(found) = filter.evaluate(&records);
    let matching: Vec<bool> =
        records.0.iter().map(|bytes| filter.matches(StoredMetadata::new(bytes))).collect();
    assert_eq!(found, matching);
    assert_eq!(found.iter().filter(|is_in| **is_in).count(), 6);
    let Ok(everything) = parse("{}").unwrap().evaluate(&sets::Records(vec![vec![0xff]]));
    assert_eq!(everything, [true], "damaged metadata is found without a filter");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_evaluator_agrees_with_a_naive_one(
        filter in naive::filters(),
        records in proptest::collection::vec(naive::metadata(), 1..8),
    ) {
        let limits = Limits { filter_depth_max: 100, ..Limits::default() };
        let compiled = Filter::parse(&filter, &limits).unwrap();
        for record in records {
            let metadata = Metadata::parse(record.clone(), &limits).unwrap();
            prop_assert_eq!(
                compiled.matches(StoredMetadata::new(&metadata.to_stored())),
                naive::matches(&filter, &record),
                "{:?}", record
            );
        }
    }

    #[test]
    fn the_sets_of_records_are_those_that_match_one_by_one(
        filter in naive::filters(),
        records in proptest::collection::vec((naive::metadata(), damage()), 1..12),
    ) {
        let limits = Limits { filter_depth_max: 100, ..Limits::default() };
        let compiled = Filter::parse(&filter, &limits).unwrap();
        let stored = records.into_iter().map(|(metadata, (damage, place, byte))| {
            let mut bytes = Metadata::parse(metadata, &limits).unwrap().to_stored();
            let place = place.index(bytes.len() + 1);
            match damage {
                0 => bytes.truncate(place),
                1 if place < bytes.len() => bytes[place] = byte,
                2 => bytes.extend(entry("a", f64::from(byte))),
                3 => bytes.extend([0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x0a, byte]),
                _ => {}
            }
            bytes
        });
        let records = sets::Records(stored.collect());
        let Ok(found) = compiled.evaluate(&records);
        let matching: Vec<bool> =
            records.0.iter().map(|bytes| compiled.matches(StoredMetadata::new(bytes))).collect();
        prop_assert_eq!(found, matching);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let filter = parse(r#"{"$or":[{"a":1},{"b":{"$ne":"x"}},{"":{"$exists":true}}]}"#).unwrap();
        if filter.matches(StoredMetadata::new(&bytes)) {
            // What is taken for metadata is at least made of whole fields.
            prop_assert!(StoredMetadata::new(&bytes).entries().all(|entry| entry.is_ok()));
        }
    }
}
