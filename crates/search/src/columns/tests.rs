//! Goal: the columns find exactly the rows whose metadata matches a filter, in every layout of a set
//! and of numbers, and for metadata that no checked request could bring.
//!
//! Method: generated metadata, as bytes, and filters; each row is also asked for itself. Small
//! segments are generated anew for every case. A large one has the layouts that small ones do not
//! have: bits, ranks, steps; its fields are made so that each occurs.

mod metadata;
mod speed;

use std::sync::{Arc, LazyLock};

use lodgepole_types::{Kind, Limits, ListValue, StoredMetadata, Struct, Value};
use proptest::collection::vec;
use proptest::prelude::*;

use self::metadata::{entry, flag, list, null, number, text};
use super::*;
use lodgepole_container::{AlignedBytes, SegmentHeader, SegmentWriter};

/// The columns of some rows, in chunks so short that most reads cross them.
pub(super) fn container_of<'m>(rows: impl IntoIterator<Item = &'m [u8]>) -> Container {
    let mut builder = ColumnsBuilder::new();
    for row in rows {
        builder.push(StoredMetadata::new(row)).unwrap();
    }
    let mut bytes = Vec::new();
    let header = SegmentHeader { chunk_bytes: 1_024 };
    let mut writer = SegmentWriter::new(&mut bytes, header).unwrap();
    builder.write(&mut writer).unwrap();
    writer.finish().unwrap();
    Container::open(Arc::new(AlignedBytes::copy_of(&bytes))).unwrap()
}

pub(super) fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Struct {
    Struct { fields: entries.into_iter().collect() }
}

pub(super) fn compile(filter: &Struct) -> Filter {
    Filter::parse(filter, &Limits::default()).unwrap()
}

impl FilterMatches {
    fn into_mask(self, rows: usize) -> Mask {
        match self {
            Self::Few(few) => {
                assert!(few.is_sorted());
                Mask::of_rows(rows, &few)
            }
            Self::Many(mask) => mask,
        }
    }
}

/// Compares what the columns find with what each row says.
fn check(container: &Container, rows: &[Vec<u8>], filter: &Filter) -> Result<(), TestCaseError> {
    let columns = Columns::open(container).unwrap();
    let found = columns.mask(filter, rows.len()).unwrap();
    let matching: Vec<u32> = (0..)
        .zip(rows)
        .filter(|(_, row)| filter.matches(StoredMetadata::new(row)))
        .map(|(number, _)| number)
        .collect();
    let is_few = matching.len() <= FilterMatches::few_max(rows.len());
    prop_assert_eq!(matches!(found, FilterMatches::Few(_)), is_few);
    let mask = found.into_mask(rows.len());
    prop_assert!(mask.iter().eq(matching));
    prop_assert_eq!(mask.ones(), mask.iter().count());
    Ok(())
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "c", "é"])
}

const TEXTS: [&str; 5] = ["", "x", "y", "1", "東京"];
const NUMBERS: [f64; 8] = [0.0, -0.0, 1.0, -1.0, 0.5, 7e300, -7e300, 5e-324];

/// A value as bytes, damaged ones and strange ones included.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let scalar = || {
        prop_oneof![
            4 => prop::sample::select(TEXTS.to_vec()).prop_map(text),
            4 => prop::sample::select(NUMBERS.to_vec()).prop_map(number),
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
                .prop_map(number),
            2 => any::<bool>().prop_map(flag),
            1 => Just(null()),
        ]
    };
    prop_oneof![
        8 => scalar(),
        2 => vec(prop::sample::select(TEXTS.to_vec()).prop_map(text), 0..4).prop_map(list),
        1 => vec(prop_oneof![scalar(), vec(scalar(), 0..3).prop_map(list)], 0..4).prop_map(list),
        1 => Just(metadata::damaged()),
    ]
}

fn row() -> impl Strategy<Value = Vec<u8>> {
    let entries = vec((name(), value()), 0..6);
    (entries, 0..12).prop_map(|(entries, cut)| {
        let mut bytes: Vec<u8> =
            entries.iter().flat_map(|(name, value)| entry(name, value)).collect();
        if cut == 0 {
            bytes.pop();
        }
        bytes
    })
}

/// Filters over some fields, texts and numbers.
fn filters(
    fields: impl Strategy<Value = &'static str> + 'static,
    texts: Vec<&'static str>,
    numbers: Vec<f64>,
) -> impl Strategy<Value = Struct> {
    let bound = prop::sample::select(numbers.clone()).prop_map(Value::from);
    let scalar = prop_oneof![
        3 => prop::sample::select(texts).prop_map(Value::from),
        3 => prop::sample::select(numbers).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
    ];
    let set =
        vec(scalar.clone(), 0..6).prop_map(|values| Value::of(Kind::List(ListValue { values })));
    let one_of = |names: &[&'static str]| prop::sample::select(names.to_vec());
    let condition = prop_oneof![
        3 => (one_of(&["$eq", "$ne"]), scalar),
        4 => (one_of(&["$gt", "$gte", "$lt", "$lte"]), bound),
        2 => (one_of(&["$in", "$nin"]), set),
        1 => (Just("$exists"), any::<bool>().prop_map(Value::from)),
    ];
    let conditions = vec(condition, 1..3).prop_map(|all| {
        Value::of(Kind::Struct(map(all.into_iter().map(|(name, value)| (name.to_owned(), value)))))
    });
    let leaf = vec((fields, conditions), 1..4).prop_map(|clauses| {
        map(clauses.into_iter().map(|(name, conditions)| (name.to_owned(), conditions)))
    });
    leaf.prop_recursive(3, 16, 4, |inner| {
        let several = vec(inner.clone(), 1..4).prop_map(|filters| {
            let values = filters.into_iter().map(|filter| Value::of(Kind::Struct(filter)));
            Value::of(Kind::List(ListValue { values: values.collect() }))
        });
        prop_oneof![
            (prop::sample::select(vec!["$and", "$or"]), several),
            inner.prop_map(|filter| ("$not", Value::of(Kind::Struct(filter)))),
        ]
        .prop_map(|(operator, operand)| map([(operator.to_owned(), operand)]))
    })
}

const LARGE_ROWS: u32 = 5_000;

/// Rows whose fields have all layouts between them.
static LARGE: LazyLock<(Vec<Vec<u8>>, Container)> = LazyLock::new(|| {
    let row = |row: u32| {
        let mixed = row.wrapping_mul(2_654_435_761) >> 8;
        let spread = f64::from(mixed % 1_000) - 300.0;
        let mut entries = vec![
            entry("unique", &text(&format!("id{row}"))),
            entry("group", &text(&format!("g{}", mixed % 5))),
            entry("rare", &text(&format!("r{}", mixed % 100))),
            entry("price", &number(spread / 4.0)),
            entry("every", &text("all")),
        ];
        if row.is_multiple_of(2) {
            entries.push(entry("half", &number(f64::from(mixed % 7))));
            entries.push(entry("half_flag", &flag(mixed.is_multiple_of(3))));
        }
        if row.is_multiple_of(20) {
            entries.push(entry("seldom", &number(spread)));
        }
        let tag = text(&format!("g{}", mixed % 3));
        entries.push(match mixed % 16 {
            0 => entry("mixed", &metadata::damaged()),
            1..4 => entry("mixed", &number(spread)),
            4..6 => entry("mixed", &list([number(1.0), number(spread), number(1.0)])),
            6..10 => entry("mixed", &list([tag.clone(), text("all"), tag])),
            10..12 => entry("mixed", &null()),
            _ => entry("mixed", &flag(row.is_multiple_of(4))),
        });
        let mut bytes = entries.concat();
        if mixed.is_multiple_of(500) {
            bytes.pop();
        }
        bytes
    };
    let rows: Vec<_> = (0..LARGE_ROWS).map(row).collect();
    let container = container_of(rows.iter().map(Vec::as_slice));
    (rows, container)
});

fn large_filters() -> impl Strategy<Value = Struct> {
    let fields =
        ["unique", "group", "rare", "price", "every", "half", "half_flag", "seldom", "mixed", "no"];
    filters(
        prop::sample::select(fields.to_vec()),
        vec!["id7", "id4999", "g0", "g1", "g2", "r3", "r50", "r99", "all", "none"],
        vec![-75.0, -74.75, -10.5, 0.0, 1.0, 3.0, 6.0, 60.0, 100.0, 174.75, 500.0, 1e9],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn columns_find_what_each_row_says(
        rows in vec(row(), 0..30),
        filter in filters(name(), TEXTS.to_vec(), NUMBERS.to_vec()),
    ) {
        check(&container_of(rows.iter().map(Vec::as_slice)), &rows, &compile(&filter))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn columns_of_many_rows_find_what_each_row_says(filter in large_filters()) {
        let (rows, container) = &*LARGE;
        check(container, rows, &compile(&filter))?;
    }
}

#[test]
fn every_comparison_at_every_place_of_an_order_is_right() {
    let (rows, container) = &*LARGE;
    for step in 0..60 {
        for operator in ["$gt", "$gte", "$lt", "$lte", "$eq"] {
            let bound = -76.0 + 4.25 * f64::from(step);
            let condition = Kind::Struct(map([(operator.to_owned(), bound.into())]));
            let filter = compile(&map([("price".to_owned(), Value::of(condition))]));
            check(container, rows, &filter).unwrap();
        }
    }
}

/// One condition for each layout of a set, few rows and many, as a filter.
fn layouts() -> Vec<Value> {
    let texts = [("unique", "id7"), ("rare", "r3"), ("group", "g1"), ("every", "all"), ("no", "x")];
    let texts = texts.map(|(field, text)| (field, "$eq", Value::from(text)));
    let rest = [
        ("price", "$gt", Value::from(-20.0)),
        ("price", "$lt", Value::from(99.0)),
        ("price", "$eq", Value::from(-10.5)),
        ("half", "$lte", Value::from(2.0)),
        ("half", "$gt", Value::from(2.0)),
        ("seldom", "$gte", Value::from(1.0)),
        ("seldom", "$ne", Value::from(1.0)),
        ("half_flag", "$eq", Value::from(true)),
        ("mixed", "$eq", Value::from(1.0)),
        ("mixed", "$eq", Value::from("g1")),
        ("mixed", "$exists", Value::from(false)),
        ("rare", "$nin", vec!["r1".to_owned(), "r2".to_owned()].into()),
        ("rare", "$in", vec!["r1".to_owned(), "r2".to_owned()].into()),
    ];
    let condition = |(field, operator, operand): (&str, &str, Value)| {
        let condition = Value::of(Kind::Struct(map([(operator.to_owned(), operand)])));
        Value::of(Kind::Struct(map([(field.to_owned(), condition)])))
    };
    texts.into_iter().chain(rest).map(condition).collect()
}

#[test]
fn sets_of_all_layouts_are_combined_right() {
    let (rows, container) = &*LARGE;
    let operator = |operator: &str, operand: Value| {
        Value::of(Kind::Struct(map([(operator.to_owned(), operand)])))
    };
    let of = |name: &str, filters: [&Value; 2]| {
        let values = filters.into_iter().cloned().collect();
        operator(name, Value::of(Kind::List(ListValue { values })))
    };
    let all = layouts();
    for (i, first) in all.iter().enumerate() {
        for (j, second) in all.iter().enumerate() {
            let third = &all[(i + j) % all.len()];
            let combined = match (i + 2 * j) % 6 {
                0 => of("$and", [first, second]),
                1 => of("$or", [first, second]),
                2 => of("$and", [first, &operator("$not", second.clone())]),
                3 => of("$or", [first, &operator("$not", second.clone())]),
                4 => of("$and", [first, &of("$or", [second, third])]),
                _ => of("$and", [first, &operator("$not", of("$and", [second, third]))]),
            };
            let both = of("$and", [first, second]);
            for filter in [combined, both] {
                let Some(Kind::Struct(filter)) = filter.kind else { unreachable!() };
                check(container, rows, &compile(&filter)).unwrap();
            }
        }
    }
}

#[test]
fn thousands_of_values_are_found() {
    let (rows, container) = &*LARGE;
    let texts = (0..9_000).map(|id| Value::from(&*format!("id{}", id * 3)));
    let numbers = (0..1_000).map(|number| Value::from(f64::from(number)));
    let values: Vec<_> = texts.chain(numbers).collect();
    for (field, operator) in [("unique", "$in"), ("unique", "$nin"), ("mixed", "$in")] {
        let set = Value::of(Kind::List(ListValue { values: values.clone() }));
        let among = Value::of(Kind::Struct(map([(operator.to_owned(), set)])));
        let wide = map([(field.to_owned(), among.clone())]);
        check(container, rows, &compile(&wide)).unwrap();
        let narrow = map([(field.to_owned(), among), ("rare".to_owned(), "r3".into())]);
        check(container, rows, &compile(&narrow)).unwrap();
    }
}

#[test]
fn the_empty_filter_finds_all_rows_also_damaged_ones() {
    let (rows, container) = &*LARGE;
    check(container, rows, &compile(&map([]))).unwrap();
    let found = Columns::open(container).unwrap().mask(&compile(&map([])), rows.len()).unwrap();
    assert_eq!(found.into_mask(rows.len()).ones(), rows.len());
    check(&container_of([]), &[], &compile(&map([]))).unwrap();
}

#[test]
fn texts_of_one_hash_are_told_apart() {
    let texts: Vec<String> = (0..300)
        .map(|i| format!("{}{i}", if i % 2 == 0 { layout::ONE_HASH } else { "another" }))
        .collect();
    let rows: Vec<Vec<u8>> = (0..500).map(|row| entry("f", &text(&texts[row % 260]))).collect();
    let container = container_of(rows.iter().map(Vec::as_slice));
    for text in &texts {
        let filter = map([("f".to_owned(), Value::from(&**text))]);
        check(&container, &rows, &compile(&filter)).unwrap();
    }
}

#[test]
fn columns_of_another_segment_and_missing_ones_are_refused() {
    let (rows, container) = &*LARGE;
    let columns = Columns::open(container).unwrap();
    let damaged = columns.mask(&compile(&map([])), rows.len() + 1);
    assert!(matches!(damaged, Err(SegmentError::Damaged { section: Section::ColumnsMeta })));
    let mut bytes = Vec::new();
    SegmentWriter::new(&mut bytes, SegmentHeader::default()).unwrap().finish().unwrap();
    let empty = Container::open(Arc::new(AlignedBytes::copy_of(&bytes))).unwrap();
    assert!(Columns::open(&empty).is_err());
}
