//! Goal: the fast reader never differs from serde_json. Method: both read generated bodies in every
//! spelling, the same bodies damaged at random places, and numbers near every border of rounding.

use lodgepole_types::{Struct, Value};
use proptest::prelude::*;
use prost::Message;

use super::number::{Decimal, Number};
use super::*;
use crate::wire::vectors::{QueryRequest, UpsertRequest};

/// What the fast reader makes of a body, after checking that serde_json makes the same of it.
fn checked<T>(body: &[u8]) -> Option<T>
where
    T: Message + Default + PartialEq + for<'de> Deserialize<'de>,
{
    let fast = Reader::read::<T>(body).ok()?;
    let slow = serde_json::from_slice::<T>(body);
    let shown = String::from_utf8_lossy(body);
    let slow = slow.unwrap_or_else(|error| panic!("only the fast reader takes {shown}: {error}"));
    // Bytes and not values, so that 0 and -0 are two.
    assert_eq!(fast.encode_to_vec(), slow.encode_to_vec(), "{shown}");
    Some(fast)
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 2 => Just(" "), 1 => Just("\r\n\t ")]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f32>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:?}")),
        (-1.0..1.0_f32).prop_map(|n| format!("{:?}", f64::from(n))),
        (-1.0..1.0_f32).prop_map(|n| format!("{n:e}")),
        (-1.0..1.0_f64, -45..38_i32).prop_map(|(n, power)| format!("{:?}", n * 10_f64.powi(power))),
        any::<i64>().prop_map(|n| n.to_string()),
        (0..10_000_000_000_000_000_000_u64).prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,24})\\.[0-9]{1,30}([eE][+-]?[0-3]?[0-9])?"
            .prop_filter("not too large", |text| text.parse::<f32>().is_ok_and(f32::is_finite)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "[a-z0-9ü#\u{1f332}]{0,20}".prop_map(|text| format!("\"{text}\"")),
        "(\\\\(u00[0-7][0-9a-f]|ud83c\\\\udf32|n|/|\\\\|\")|x){1,9}"
            .prop_map(|text| format!("\"{text}\"")),
    ]
}

/// Any JSON value.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        text(),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let pair = (text(), inner.clone());
        prop_oneof![
            (prop::collection::vec(inner, 0..4), space()).prop_map(|(all, s)| list(&all, s)),
            (prop::collection::vec(pair, 0..4), space()).prop_map(|(all, s)| object(&all, s)),
        ]
    })
}

fn list(all: &[String], s: &str) -> String {
    format!("[{s}{}{s}]", all.join(&format!("{s},{s}")))
}

fn object(all: &[(String, String)], s: &str) -> String {
    let pairs: Vec<_> = all.iter().map(|(key, value)| format!("{key}{s}:{s}{value}")).collect();
    format!("{{{s}{}{s}}}", pairs.join(&format!("{s},{s}")))
}

fn numbers() -> impl Strategy<Value = String> {
    let list = (prop::collection::vec(number(), 0..9), space()).prop_map(|(all, s)| list(&all, s));
    prop_oneof![5 => list, 1 => Just("null".to_owned())]
}

fn metadata() -> impl Strategy<Value = String> {
    let fields = prop::collection::vec((text(), value()), 0..4);
    (fields, space()).prop_map(|(all, s)| object(&all, s))
}

/// Some of these fields, each once.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    let each: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            prop::option::weighted(0.8, value).prop_map(move |value| (format!("\"{name}\""), value))
        })
        .collect();
    (each, space()).prop_map(|(all, s)| {
        let there: Vec<_> = all.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
        object(&there, s)
    })
}

fn vector() -> impl Strategy<Value = String> {
    let indices = prop::collection::vec(any::<u32>(), 0..4).prop_map(|all| format!("{all:?}"));
    let sparse = some_of(vec![("indices", indices.boxed()), ("values", numbers().boxed())]);
    some_of(vec![
        ("id", text().boxed()),
        ("values", numbers().boxed()),
        ("metadata", metadata().boxed()),
        ("sparse_values", sparse.boxed()),
        ("unknown", value().boxed()),
    ])
}

fn upsert() -> impl Strategy<Value = String> {
    let vectors = prop::collection::vec(vector(), 0..4).prop_map(|all| list(&all, " ")).boxed();
    some_of(vec![("namespace", text().boxed()), ("vectors", vectors), ("x", value().boxed())])
}

fn query() -> impl Strategy<Value = String> {
    some_of(vec![
        ("topK", any::<u32>().prop_map(|n| n.to_string()).boxed()),
        ("include_values", Just("true".to_owned()).boxed()),
        ("filter", metadata().boxed()),
        ("vector", numbers().boxed()),
        ("scanFactor", number().boxed()),
    ])
}

/// What is done to a byte of a body.
#[derive(Debug, Clone)]
enum Damage {
    Replace(u8),
    Insert(u8),
    Remove,
    CutOff,
    /// A piece of so many bytes is there twice.
    Repeat(usize),
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let byte = prop_oneof![
        prop::sample::select(&b"[]{}\",:.-+eE0123456789ntf\\u \n\x00\x1f\x7f\x80\xff"[..]),
        any::<u8>(),
    ];
    let damage = prop_oneof![
        byte.clone().prop_map(Damage::Replace),
        byte.prop_map(Damage::Insert),
        Just(Damage::Remove),
        Just(Damage::CutOff),
        (1..20_usize).prop_map(Damage::Repeat),
    ];
    (any::<prop::sample::Index>(), damage)
}

fn damaged(body: &str, all: &[(prop::sample::Index, Damage)]) -> Vec<u8> {
    let mut body = body.as_bytes().to_vec();
    for (place, damage) in all {
        if body.is_empty() {
            return body;
        }
        let at = place.index(body.len());
        match damage {
            Damage::Replace(byte) => body[at] = *byte,
            Damage::Insert(byte) => body.insert(at, *byte),
            Damage::Remove => {
                body.remove(at);
            }
            Damage::CutOff => body.truncate(at),
            Damage::Repeat(length) => {
                let piece = body[at..(at + length).min(body.len())].to_vec();
                body.splice(at..at, piece);
            }
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn sound_bodies_are_read_by_the_fast_reader(upsert in upsert(), query in query()) {
        let sound = serde_json::from_str::<UpsertRequest>(&upsert).is_ok();
        prop_assert_eq!(checked::<UpsertRequest>(upsert.as_bytes()).is_some(), sound, "{}", upsert);
        let sound = serde_json::from_str::<QueryRequest>(&query).is_ok();
        prop_assert_eq!(checked::<QueryRequest>(query.as_bytes()).is_some(), sound, "{}", query);
    }

    #[test]
    fn damaged_bodies_are_read_alike(
        upsert in upsert(),
        value in metadata(),
        damage in prop::collection::vec(damage(), 1..4),
    ) {
        checked::<UpsertRequest>(&damaged(&upsert, &damage));
        checked::<QueryRequest>(&damaged(&upsert, &damage));
        checked::<Struct>(&damaged(&value, &damage));
    }

    #[test]
    fn numbers_are_rounded_correctly(text in number()) {
        check_number(&text);
    }

    #[test]
    fn numbers_in_the_middle_of_two_are_rounded_correctly(bits in 0..0x7f7f_ffff_u32) {
        let (below, above) = (f64::from(f32::from_bits(bits)), f64::from(f32::from_bits(bits + 1)));
        let middle = f64::midpoint(below, above);
        let exact = format!("{middle:.200}");
        let exact = exact.trim_end_matches('0');
        let shortest = format!("{middle:?}");
        for text in [exact, &format!("{exact}1"), &shortest] {
            if !text.ends_with('.') {
                check_number(text);
            }
        }
        for neighbour in [middle.next_up(), middle.next_down()] {
            check_number(&format!("{neighbour:?}"));
        }
    }
}

/// A number and what follows it in a list: read to its end, rounded as the standard library does.
fn check_number(text: &str) {
    for padding in ["", ",", "]", ", 0.123456789, 0.123456789"] {
        let padded = format!("{text}{padding}");
        let decimal = Decimal::scan(padded.as_bytes()).unwrap();
        assert_eq!(decimal.len(), text.len(), "{padded}");
        let expected: f32 = text.parse().unwrap();
        let got = decimal.to_f32();
        let is_same = got.is_ok_and(|value| value.to_bits() == expected.to_bits());
        assert!(is_same || (got.is_err() && expected.is_infinite()), "{text}: {got:?}");
        let any: serde_json::Result<serde_json::Number> = serde_json::from_str(text);
        match (decimal.to_any(), any) {
            (Ok(Number::Unsigned(number)), Ok(any)) => assert_eq!(any.as_u64(), Some(number)),
            (Ok(Number::Signed(number)), Ok(any)) => assert_eq!(any.as_i64(), Some(number)),
            (Ok(Number::Float(number)), Ok(any)) => {
                assert!(any.is_f64(), "{text}");
                assert_eq!(any.as_f64().map(f64::to_bits), Some(number.to_bits()), "{text}");
            }
            (Ok(number), Err(error)) => panic!("{text}: {number:?} {error}"),
            // Out of range, or a long integer, which is left to serde_json.
            (Err(Declined), any) => assert!(any.is_err() || text.len() > 19, "{text}: {any:?}"),
        }
    }
}

#[test]
fn numbers_at_the_borders_are_rounded_correctly() {
    for text in [
        "0",
        "-0",
        "0.0",
        "-0e5",
        "0e999999999999",
        "1e-999999999999",
        "16777217",
        "-16777219",
        "3.4028235e38",
        "3.4028235677973366e38",
        "3.4028235677973367e38",
        "1e39",
        "1.1754943e-38",
        "1.1754942807573643e-38",
        "1e-45",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "1e-46",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "9007199254740993",
        "9007199254740993.0",
        "1e22",
        "1e23",
        "1.7e308",
        "0.00000000000000000000000000000000000000000000000001",
        "123456789012345678901234567890",
        "0.1234567890123456789",
        "0.12345678901234567890",
        "0.012345678901234567890",
    ] {
        check_number(text);
    }
    for text in ["", "-", "01", "-01", "00", ".5", "1.", "1.e5", "1e", "1e+", "+1", "NaN", "inf"] {
        assert!(Decimal::scan(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_is_refused_says_where() {
    for (body, place) in [
        ("{\"topK\":1,\n \"vector\":[0.5,NaN]}", "line 2 column 16"),
        (r#"{"vector":[1e39]}"#, "number out of range at line 1 column 15"),
        (r#"{"vector":[1.]}"#, "line 1 column 14"),
        (r#"{"vector":[01]}"#, "line 1 column 13"),
        (r#"{"vector":[1,]}"#, "line 1 column 14"),
        (r#"{"vector":[1]"#, "line 1 column 13"),
        (r#"{"vector":[1]} x"#, "trailing characters at line 1 column 16"),
        (r#"{"id":"\ud800"}"#, "line 1 column 14"),
        ("{\"id\":\"a\nb\"}", "control character"),
        (r#"{"id":"a","id":"b"}"#, "duplicate field `id` at line 1 column 14"),
        (r#"{"topK":-1}"#, "invalid value: integer `-1`, expected u32 at line 1 column 10"),
    ] {
        let error = decode::<QueryRequest>(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(place), "{body}: {error}");
    }
    let error = decode::<QueryRequest>(b"{\"id\":\"\xff\"}").unwrap_err().to_string();
    assert!(error.contains("invalid unicode code point"), "{error}");
}

#[test]
fn depth_is_bounded_as_by_serde_json() {
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"filter":{{"f":{open}{close}}},"x":1}}"#)
    };
    assert!(checked::<QueryRequest>(deep(124).as_bytes()).is_some());
    for depth in 120..135 {
        let body = deep(depth);
        let slow = serde_json::from_str::<QueryRequest>(&body).is_ok();
        assert_eq!(checked::<QueryRequest>(body.as_bytes()).is_some(), slow, "{depth}");
    }
    let error = decode::<QueryRequest>(deep(100_000).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("recursion limit exceeded"), "{error}");
}

#[test]
fn a_value_keeps_its_kind() {
    let body = r#"{"a":[1,-1,1.5,true,null,"x",{"b":"\u00fc"}],"a":{}}"#;
    let fast = Reader::read::<Value>(body.as_bytes()).unwrap();
    assert_eq!(fast, serde_json::from_str(body).unwrap());
    assert_eq!(serde_json::to_string(&fast).unwrap(), r#"{"a":{}}"#, "the last one counts");
}
