//! Goal: no file can end a thread or take memory out of proportion. Method: small files of every layout
//! and codec, mutated: footer, page heads and pages alike.

use bytes::Bytes;
use lodgepole_types::Limits;
use parquet::basic::{Compression, ZstdLevel};

#[path = "../../types/src/fuzz.rs"]
mod inputs;

use self::inputs::fuzz;
use crate::testing::{
    Format, ID, InMemory, Layout, METADATA, Row, dense, file, list, sparse_field, values_field,
};
use crate::{ParquetFile, Shape, SparseRule};

fn corpus() -> Vec<Vec<u8>> {
    let rows: Vec<Row> = (0..12_u8)
        .map(|number| Row {
            indices: list(&[i32::from(number), 40]),
            weights: list(&[0.5, 1.5]),
            ..dense(&format!("r{number}"), &[f32::from(number), 1.0, 2.0], Some(r#"{"a":1}"#))
        })
        .collect();
    let mut files = Vec::new();
    for layout in [Layout::ThreeLevels, Layout::TwoLevels] {
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd()] {
            let format = Format { layout, compression, group_rows: 5, page_rows: 2 };
            let dense = [ID.to_owned(), values_field(layout), METADATA.to_owned()];
            files.push(file(&dense, &rows, format).to_vec());
            let all = [&dense[..], &[sparse_field(layout)]].concat();
            files.push(file(&all, &rows, format).to_vec());
        }
    }
    files
}

fn zstd() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

fn read(bytes: &Bytes, shape: Shape) -> Option<usize> {
    const ROWS_MAX: usize = 10_000;
    let source = Box::new(InMemory(bytes.clone()));
    let mut opened = ParquetFile::open(source, shape, &Limits::default()).ok()?;
    let mut good = 0;
    let mut seen = 0;
    while let Some(batch) = opened.next_batch().ok()? {
        seen += batch.rows.len();
        good += batch.rows.iter().flatten().count();
        for record in batch.rows.into_iter().flatten() {
            assert!(record.values.iter().all(|value| value.is_finite()), "as an upsert checks");
        }
        if seen > ROWS_MAX {
            break;
        }
    }
    Some(good)
}

#[test]
fn parquet_files() {
    let shapes = [
        Shape { dimension: Some(3), sparse: SparseRule::Forbidden },
        Shape { dimension: Some(3), sparse: SparseRule::Optional },
    ];
    fuzz("parquet", &corpus(), |bytes| {
        let bytes = Bytes::copy_from_slice(bytes);
        shapes.iter().filter_map(|shape| read(&bytes, *shape)).any(|good| good > 0)
    });
}
