//! Goal: every layout, codec and page division that writers use reads back exactly; every broken
//! rule has its documented message. Method: files written value by value, read in batches, from the
//! start and from the middle.

use std::io;

use bytes::Bytes;
use lodgepole_types::{Limits, Record, SparseVector};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};

use crate::testing::{
    Format, ID, InMemory, Layout, METADATA, PLAIN, Row, dense, file, list, sparse_field,
    values_field,
};
use crate::{FileError, ParquetFile, Ranges, RowError, Shape, SparseRule};

const DENSE: Shape = Shape { dimension: Some(3), sparse: SparseRule::Forbidden };
const HYBRID: Shape = Shape { dimension: Some(3), sparse: SparseRule::Optional };
const SPARSE: Shape = Shape { dimension: None, sparse: SparseRule::Required };

fn open(bytes: &Bytes, shape: Shape) -> Result<ParquetFile, FileError> {
    ParquetFile::open(Box::new(InMemory(bytes.clone())), shape, &Limits::default())
}

fn read_on(mut file: ParquetFile) -> Vec<Result<Record, RowError>> {
    let mut all = Vec::new();
    let first = file.next_row();
    while let Some(batch) = file.next_batch().unwrap() {
        assert_eq!(batch.first_row, first + all.len() as u64);
        all.extend(batch.rows);
    }
    assert_eq!(file.next_row(), file.row_count());
    all
}

fn dense_fields(layout: Layout) -> Vec<String> {
    vec![ID.to_owned(), values_field(layout), METADATA.to_owned()]
}

fn dense_rows(count: usize) -> Vec<Row> {
    let row = |i: usize| {
        let metadata = format!("{{\"n\":{i},\"tags\":[\"a\",\"{i}\"]}}");
        let values = [i as f32, 1.0, -0.5];
        dense(&format!("r{i}"), &values, (!i.is_multiple_of(3)).then_some(&metadata))
    };
    (0..count).map(row).collect()
}

fn assert_is_row(record: &Record, i: usize) {
    assert_eq!(record.id.as_str(), format!("r{i}"));
    assert_eq!(record.values, [i as f32, 1.0, -0.5]);
    assert_eq!(record.sparse, None);
    assert_eq!(record.metadata.is_empty(), i.is_multiple_of(3));
    if !i.is_multiple_of(3) {
        let json = serde_json::to_string(record.metadata.as_struct()).unwrap();
        assert_eq!(json, format!("{{\"n\":{i},\"tags\":[\"a\",\"{i}\"]}}"));
    }
}

fn first_error(rows: &[Row], fields: &[String], shape: Shape) -> String {
    let mut found = read_on(open(&file(fields, rows, PLAIN), shape).unwrap());
    found.remove(0).unwrap_err().0
}

fn refusal(fields: &[&str], shape: Shape) -> String {
    let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
    let Err(FileError::Invalid(message)) = open(&file(&fields, &[], PLAIN), shape) else {
        panic!("the file was taken");
    };
    message
}

#[test]
fn every_layout_codec_and_division_reads_back() {
    let rows = dense_rows(5_000);
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ];
    for (i, compression) in codecs.into_iter().enumerate() {
        for layout in [Layout::ThreeLevels, Layout::TwoLevels] {
            let (group_rows, page_rows) = [(5_000, 5_000), (700, 33), (1, 1)][i % 3];
            let format = Format { layout, compression, group_rows, page_rows };
            let rows = &rows[..if group_rows == 1 { 50 } else { 5_000 }];
            let opened = open(&file(&dense_fields(layout), rows, format), DENSE).unwrap();
            assert_eq!(opened.row_count(), rows.len() as u64);
            let found = read_on(opened);
            assert_eq!(found.len(), rows.len());
            for (i, record) in found.iter().enumerate() {
                assert_is_row(record.as_ref().unwrap(), i);
            }
        }
    }
}

#[test]
fn reading_goes_on_from_any_row() {
    let format = Format { group_rows: 700, page_rows: 33, ..PLAIN };
    let bytes = file(&dense_fields(Layout::ThreeLevels), &dense_rows(2_500), format);
    for start in [0, 1, 699, 700, 701, 1_399, 2_100, 2_499, 2_500, 9_999] {
        let mut opened = open(&bytes, DENSE).unwrap();
        opened.skip_to(start).unwrap();
        let start = usize::try_from(start).unwrap().min(2_500);
        assert_eq!(opened.next_row(), start as u64);
        let found = read_on(opened);
        assert_eq!(found.len(), 2_500 - start);
        for (i, record) in found.iter().enumerate() {
            assert_is_row(record.as_ref().unwrap(), start + i);
        }
    }
}

#[test]
fn large_vectors_come_in_small_batches() {
    let row = |i: usize| dense(&format!("r{i}"), &vec![1.0; 5_000], None);
    let rows: Vec<_> = (0..600).map(row).collect();
    let bytes = file(&dense_fields(Layout::ThreeLevels), &rows, PLAIN);
    let shape = Shape { dimension: Some(5_000), ..DENSE };
    let mut opened = open(&bytes, shape).unwrap();
    let batch = opened.next_batch().unwrap().unwrap();
    assert!((100..=210).contains(&batch.rows.len()), "{}", batch.rows.len());
    assert!(batch.rows.iter().all(Result::is_ok));
}

#[test]
fn sparse_values_come_with_or_without_dense_ones() {
    let sparse_row = |id: &str, indices, weights| Row {
        id: Some(id.to_owned()),
        indices,
        weights,
        values: list(&[1.0, 2.0, 3.0]),
        metadata: None,
    };
    let rows = [
        sparse_row("a", list(&[7, -1]), list(&[0.5, 1.5])),
        sparse_row("b", None, None),
        sparse_row("c", list(&[]), list(&[])),
        sparse_row("d", list(&[3]), list(&[2.0])),
    ];
    let expected = SparseVector { indices: vec![7, u32::MAX], values: vec![0.5, 1.5] };
    for layout in [Layout::ThreeLevels, Layout::TwoLevels] {
        let format = Format { layout, ..PLAIN };
        let fields = [sparse_field(layout), values_field(layout), ID.to_owned()];
        let found = read_on(open(&file(&fields, &rows, format), HYBRID).unwrap());
        let sparse: Vec<_> =
            found.iter().map(|record| record.as_ref().unwrap().sparse.clone()).collect();
        assert_eq!(sparse[0], Some(expected.clone()));
        assert_eq!((&sparse[1], &sparse[2]), (&None, &None));
        assert_eq!(sparse[3].as_ref().unwrap().indices, [3]);

        let fields = [ID.to_owned(), sparse_field(layout)];
        let found = read_on(open(&file(&fields, &rows, format), SPARSE).unwrap());
        assert_eq!(found[0].as_ref().unwrap().sparse, Some(expected.clone()));
        assert!(found[0].as_ref().unwrap().values.is_empty());
        for row in [1, 2] {
            let error = found[row].as_ref().unwrap_err();
            assert_eq!(error.0, "missing required values in column \"sparse_values\"");
        }
    }
}

#[test]
fn columns_that_are_missing_or_too_many_are_named() {
    let values = &values_field(Layout::ThreeLevels);
    let sparse = &sparse_field(Layout::ThreeLevels);
    assert_eq!(refusal(&[values], DENSE), "Missing required column \"id\"");
    assert_eq!(refusal(&[ID], DENSE), "Missing required column \"values\"");
    assert_eq!(refusal(&[ID], SPARSE), "Missing required column \"sparse_values\"");
    let extra = "optional int64 __index_level_0__;";
    assert_eq!(refusal(&[ID, values, extra], DENSE), "Unsupported column \"__index_level_0__\"");
    assert_eq!(refusal(&[ID, values, sparse], DENSE), "Unsupported column \"sparse_values\"");
    assert_eq!(refusal(&[ID, values, values], DENSE), "Unsupported column \"values\"");
    assert_eq!(
        refusal(&[ID, values, sparse], SPARSE),
        "Upserting dense vectors is not supported for sparse indexes"
    );
}

#[test]
fn columns_of_another_type_are_named_with_both_types() {
    let values = &values_field(Layout::ThreeLevels);
    let wrong = |column: &str, expected: &str, given: &str| {
        format!(
            "The expected data type for column \"{column}\" is \"{expected}\", but got \"{given}\""
        )
    };
    for (field, given) in [
        ("optional int64 id;", "INT64"),
        ("optional binary id;", "BYTE_ARRAY"),
        ("repeated binary id (UTF8);", "LIST<STRING>"),
    ] {
        assert_eq!(refusal(&[field, values], DENSE), wrong("id", "STRING", given));
    }
    let layout = Layout::ThreeLevels;
    let doubles = layout.field("values", "double element");
    let nested = "optional group values (LIST) { repeated group list { optional group element \
                  (LIST) { repeated group list { optional float element; } } } }";
    for (field, given) in [
        (&*doubles, "LIST<DOUBLE>"),
        (&*layout.field("values", "int32 element"), "LIST<INT32>"),
        ("optional float values;", "FLOAT"),
        ("optional binary values (UTF8);", "STRING"),
        ("optional group values { optional float x; }", "STRUCT<x FLOAT>"),
        (nested, "LIST<LIST<FLOAT>>"),
        (&*Layout::TwoLevels.field("values", "double array"), "LIST<DOUBLE>"),
    ] {
        assert_eq!(refusal(&[ID, field], DENSE), wrong("values", "LIST<FLOAT>", given));
    }
    let signed = format!(
        "optional group sparse_values {{ {} {} }}",
        layout.field("indices", "int64 element"),
        layout.field("values", "float element")
    );
    assert_eq!(
        refusal(&[ID, &signed], SPARSE),
        wrong(
            "sparse_values",
            "STRUCT<indices LIST<UINT_32>, values LIST<FLOAT>>",
            "STRUCT<indices LIST<INT64>, values LIST<FLOAT>>"
        )
    );
    assert_eq!(
        refusal(&[ID, values, "optional group metadata { optional binary genre (UTF8); }"], DENSE),
        "The expected data type for metadata is a JSON encoded string in UTF-8 format, but got \
         \"STRUCT<genre STRING>\""
    );
}

#[test]
fn rows_that_break_a_rule_say_which() {
    let fields = dense_fields(Layout::ThreeLevels);
    let good = dense("a", &[1.0, 2.0, 3.0], None);
    let with_metadata = |json: &str| Row { metadata: Some(json.to_owned()), ..good.clone() };
    let cases = [
        (Row { id: None, ..good.clone() }, "missing required values in column \"id\""),
        (Row { values: None, ..good.clone() }, "missing required values in column \"values\""),
        (
            Row { values: Some(vec![Some(1.0), None, Some(2.0)]), ..good.clone() },
            "missing required values in column \"values\"",
        ),
        (
            Row { values: list(&[1.0]), ..good.clone() },
            "Vector dimension 1 does not match the dimension of the index 3",
        ),
        (
            Row { values: list(&[]), ..good.clone() },
            "Vector dimension 0 does not match the dimension of the index 3",
        ),
        (
            Row { values: list(&[1.0, f32::NAN, 1.0]), ..good.clone() },
            "Vector values must be finite 32-bit numbers, but value 1 is not",
        ),
        (
            Row { values: list(&[0.0; 3]), ..good.clone() },
            "Dense vectors must contain at least one non-zero value.",
        ),
        (Row { id: Some(String::new()), ..good.clone() }, "Vector ID must not be empty"),
        (with_metadata("[1]"), "Failed to parse metadata: it must be a JSON object"),
        (with_metadata(""), "Failed to parse metadata: it must be a JSON object"),
        (
            with_metadata("{\"a\":{\"b\":1}}"),
            "Failed to parse metadata: Metadata value must be a string, number, boolean or list \
             of strings, got '{\"b\":1.0}' for field 'a'",
        ),
    ];
    for (row, message) in cases {
        assert_eq!(first_error(&[row], &fields, DENSE), message);
    }
    let broken = first_error(&[with_metadata("{\"a\":")], &fields, DENSE);
    assert!(broken.starts_with("Failed to parse metadata: EOF"), "{broken}");
    let long = Row { id: Some("é".to_owned()), ..good.clone() };
    assert!(first_error(&[long], &fields, DENSE).starts_with("Vector ID must be ASCII"));
    // A null written as JSON is no metadata, as a null row is.
    let found = read_on(open(&file(&fields, &[with_metadata(" null ")], PLAIN), DENSE).unwrap());
    assert!(found[0].as_ref().unwrap().metadata.is_empty());
}

#[test]
fn sparse_rows_that_break_a_rule_say_which() {
    let fields = [ID.to_owned(), sparse_field(Layout::ThreeLevels)];
    let row =
        |indices, weights| Row { id: Some("a".to_owned()), indices, weights, ..Row::default() };
    let many: Vec<i32> = (0..2_049).collect();
    for (row, message) in [
        (row(list(&[1]), None), "missing required values in column \"sparse_values\""),
        (
            row(list(&[1, 2]), list(&[1.0])),
            "Sparse vector must have as many indices as values, got 2 and 1",
        ),
        (row(list(&[1, 1]), list(&[1.0, 2.0])), "Sparse vector has index 1 more than once"),
        (
            row(list(&[1]), list(&[f32::INFINITY])),
            "Vector values must be finite 32-bit numbers, but value 0 is not",
        ),
        (row(list(&many), list(&[1.0; 2_049])), "Sparse vector has 2049 values, the limit is 2048"),
    ] {
        assert_eq!(first_error(&[row], &fields, SPARSE), message);
    }
}

#[test]
fn what_is_no_parquet_file_is_refused() {
    let whole = file(&dense_fields(Layout::ThreeLevels), &dense_rows(10), PLAIN);
    let cut = whole.slice(..whole.len() - 5);
    let text = Bytes::from_static(b"id,values\n1,[1.0]\n");
    for bytes in [Bytes::new(), text, cut, Bytes::from_static(b"PAR1PAR1")] {
        let Err(FileError::Invalid(message)) = open(&bytes, DENSE) else { panic!("taken") };
        assert_eq!(
            message,
            "Parquet footer could not be parsed. Are you sure this is valid parquet?"
        );
    }
}

#[test]
fn damage_in_the_pages_is_an_error_never_a_wrong_end() {
    let whole = file(&dense_fields(Layout::ThreeLevels), &dense_rows(300), PLAIN);
    for place in (4..whole.len() / 2).step_by(97) {
        let mut damaged = whole.to_vec();
        for byte in &mut damaged[place..place + 8] {
            *byte ^= 0x5a;
        }
        let Ok(mut opened) = open(&damaged.into(), DENSE) else { continue };
        let mut rows = 0;
        let ended = loop {
            match opened.next_batch() {
                Ok(Some(batch)) => rows += batch.rows.len(),
                Ok(None) => break true,
                Err(FileError::Invalid(message)) => {
                    assert!(message.starts_with("The file is damaged"), "{message}");
                    break false;
                }
                Err(FileError::Unreadable(error)) => panic!("{error}"),
            }
        };
        assert!(!ended || rows == 300, "{rows} rows and a clean end");
    }
}

#[test]
fn a_source_that_fails_is_no_fault_of_the_file() {
    #[derive(Debug)]
    struct Failing(Bytes);
    impl Ranges for Failing {
        fn bytes(&self) -> u64 {
            self.0.len() as u64
        }
        fn read(&self, _: u64, _: usize) -> io::Result<Bytes> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let whole = file(&dense_fields(Layout::ThreeLevels), &dense_rows(10), PLAIN);
    let opened = ParquetFile::open(Box::new(Failing(whole)), DENSE, &Limits::default());
    let Err(FileError::Unreadable(error)) = opened else { panic!("read") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
