//! The oracle: filters evaluated over the decoded map, by the letter of the documentation, and
//! generators whose names and values are few enough to meet.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::value::{Kind, ListValue, Struct, Value};

/// Whether a record matches.
pub(super) fn matches(filter: &Struct, record: &Struct) -> bool {
    filter.fields.iter().all(|(key, operand)| match key.as_str() {
        "$and" => list(operand).iter().all(|filter| matches(map(filter), record)),
        "$or" => list(operand).iter().any(|filter| matches(map(filter), record)),
        "$not" => !matches(map(operand), record),
        field => {
            let value = record.fields.get(field);
            match &operand.kind {
                Some(Kind::Struct(operators)) => all_hold(operators, value),
                _ => equals(value, operand),
            }
        }
    })
}

fn all_hold(operators: &Struct, value: Option<&Value>) -> bool {
    operators.fields.iter().all(|(operator, operand)| match operator.as_str() {
        "$eq" => equals(value, operand),
        "$ne" => !equals(value, operand),
        "$in" => list(operand).iter().any(|operand| equals(value, operand)),
        "$nin" => !list(operand).iter().any(|operand| equals(value, operand)),
        "$gt" => numbers(value, operand).is_some_and(|(a, b)| a > b),
        "$gte" => numbers(value, operand).is_some_and(|(a, b)| a >= b),
        "$lt" => numbers(value, operand).is_some_and(|(a, b)| a < b),
        "$lte" => numbers(value, operand).is_some_and(|(a, b)| a <= b),
        "$exists" => value.is_some() == (operand == &Value::from(true)),
        "$not" => !all_hold(map(operand), value),
        other => panic!("no such operator: {other}"),
    })
}

fn equals(value: Option<&Value>, operand: &Value) -> bool {
    let Some(value) = value else { return false };
    match (&value.kind, &operand.kind) {
        (Some(Kind::List(list)), _) => list.values.iter().any(|value| equals(Some(value), operand)),
        (Some(Kind::String(a)), Some(Kind::String(b))) => a == b,
        (Some(Kind::Number(a)), Some(Kind::Number(b))) => a == b,
        (Some(Kind::Bool(a)), Some(Kind::Bool(b))) => a == b,
        _ => false,
    }
}

fn numbers(value: Option<&Value>, operand: &Value) -> Option<(f64, f64)> {
    match (&value?.kind, &operand.kind) {
        (Some(Kind::Number(a)), Some(Kind::Number(b))) => Some((*a, *b)),
        _ => None,
    }
}

fn list(value: &Value) -> &[Value] {
    let Some(Kind::List(list)) = &value.kind else { panic!("a list: {value:?}") };
    &list.values
}

fn map(value: &Value) -> &Struct {
    let Some(Kind::Struct(map)) = &value.kind else { panic!("a map: {value:?}") };
    map
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "1", "0", "true", "é", "e\u{301}", "東京", "🎈"])
        .prop_map(str::to_owned)
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "b", "aa", "é", "_", "year", "genre", "tags", "x", "y", "z"])
        .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => prop::sample::select(vec![-0.0, 0.0, 1.0, -1.0, 0.5, 2020.0]),
        1 => prop::sample::select(vec![
            f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 9_007_199_254_740_992.0,
            9_007_199_254_740_993.0, 0.1 + 0.2, 0.3,
        ]),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => text().prop_map(|text| Value::of(Kind::String(text))),
        3 => number().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
    ]
}

/// Metadata of a record.
pub(super) fn metadata() -> impl Strategy<Value = Struct> {
    let value = prop_oneof![3 => scalar(), 1 => vec(text(), 0..4).prop_map(Value::from)];
    btree_map(field(), value, 0..10).prop_map(|fields| Struct { fields })
}

fn condition() -> impl Strategy<Value = (String, Value)> {
    let operator = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        prop::sample::select(names)
    };
    let set = vec(scalar(), 0..5).prop_map(|values| Value::of(Kind::List(ListValue { values })));
    prop_oneof![
        3 => (operator(&["$eq", "$ne"]), scalar()),
        3 => (operator(&["$gt", "$gte", "$lt", "$lte"]), number().prop_map(Value::from)),
        3 => (operator(&["$in", "$nin"]), set),
        1 => (Just("$exists".to_owned()), any::<bool>().prop_map(Value::from)),
    ]
}

fn map_of(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::of(Kind::Struct(Struct { fields: entries.into_iter().collect::<BTreeMap<_, _>>() }))
}

fn operators() -> impl Strategy<Value = Value> {
    vec(condition(), 1..3).prop_map(map_of).prop_recursive(3, 6, 2, |inner| {
        (inner, prop::option::of(condition())).prop_map(|(negated, beside)| {
            map_of([("$not".to_owned(), negated)].into_iter().chain(beside))
        })
    })
}

/// Filters of every form.
pub(super) fn filters() -> impl Strategy<Value = Struct> {
    let clause = (field(), prop_oneof![scalar(), operators()]);
    let leaf = vec(clause, 1..4).prop_map(map_of);
    let nested = leaf.prop_recursive(4, 24, 4, |inner| {
        let several = || {
            vec(inner.clone(), 1..4).prop_map(|values| Value::of(Kind::List(ListValue { values })))
        };
        let clause = (field(), scalar()).boxed();
        prop_oneof![
            (several(), prop::option::of(clause.clone())).prop_map(|(filters, beside)| {
                map_of([("$and".to_owned(), filters)].into_iter().chain(beside))
            }),
            (several(), several()).prop_map(|(all, any)| {
                map_of([("$and".to_owned(), all), ("$or".to_owned(), any)])
            }),
            (inner.clone(), prop::option::of(clause)).prop_map(|(negated, beside)| {
                map_of([("$not".to_owned(), negated)].into_iter().chain(beside))
            }),
        ]
    });
    nested.prop_map(|filter| map(&filter).clone())
}
