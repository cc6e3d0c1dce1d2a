//! Goal: JSON and protobuf carry the same values. Method: round trips through both.

use prost::Message;

use super::*;

#[test]
fn json_survives_the_protobuf_form() {
    let text = r#"{"a":1,"b":2.5,"c":"ü","d":true,"e":["x","y"],"f":{"g":null},"h":-0.25}"#;
    let parsed: Struct = serde_json::from_str(text).unwrap();
    let decoded = Struct::decode(parsed.encode_to_vec().as_slice()).unwrap();
    assert_eq!(decoded, parsed);
    assert_eq!(serde_json::to_string(&decoded).unwrap(), text);
}

#[test]
fn whole_numbers_print_without_a_fraction() {
    let print = |number: f64| serde_json::to_string(&Value::from(number)).unwrap();
    assert_eq!(print(2020.0), "2020");
    assert_eq!(print(-3.0), "-3");
    assert_eq!(print(0.1), "0.1");
    assert_eq!(print(1e300), "1e+300");
}

#[test]
fn the_last_of_two_equal_keys_wins() {
    let parsed: Struct = serde_json::from_str(r#"{"a":1,"a":2}"#).unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), r#"{"a":2}"#);
}

#[test]
fn a_map_is_not_read_from_anything_else() {
    for text in ["[]", "1", "\"a\"", "null"] {
        assert!(serde_json::from_str::<Struct>(text).is_err(), "{text}");
    }
}
