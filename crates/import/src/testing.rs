//! Files for tests, written value by value.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::Ranges;

/// A file in memory.
#[derive(Debug)]
pub(crate) struct InMemory(pub(crate) Bytes);

impl Ranges for InMemory {
    fn bytes(&self) -> u64 {
        self.0.len().try_into().unwrap()
    }

    fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let start = usize::try_from(start).unwrap();
        Ok(self.0.slice(start..start + length))
    }
}

/// A list in a row: null, or values of which some are null.
pub(crate) type List<T> = Option<Vec<Option<T>>>;

/// A row to write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) id: Option<String>,
    pub(crate) values: List<f32>,
    pub(crate) indices: List<i32>,
    pub(crate) weights: List<f32>,
    pub(crate) metadata: Option<String>,
}

pub(crate) fn list<T: Copy>(values: &[T]) -> List<T> {
    Some(values.iter().map(|value| Some(*value)).collect())
}

pub(crate) fn dense(id: &str, values: &[f32], metadata: Option<&str>) -> Row {
    let metadata = metadata.map(str::to_owned);
    Row { id: Some(id.to_owned()), values: list(values), metadata, ..Row::default() }
}

/// The physical form of lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Layout {
    /// `values (LIST) { repeated group list { optional float element } }`
    ThreeLevels,
    /// `values (LIST) { repeated float array }`
    TwoLevels,
}

impl Layout {
    pub(crate) fn field(self, name: &str, kind: &str) -> String {
        match self {
            Self::ThreeLevels => format!(
                "optional group {name} (LIST) {{ repeated group list {{ optional {kind}; }} }}"
            ),
            Self::TwoLevels => format!("optional group {name} (LIST) {{ repeated {kind}; }}"),
        }
    }

    /// Values with their definition and repetition levels; `above` is the level of the struct
    /// around it.
    fn levels<T: Copy>(self, rows: &[List<T>], above: i16) -> (Vec<T>, Vec<i16>, Vec<i16>) {
        let full = above + if self == Self::ThreeLevels { 3 } else { 2 };
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let Some(entries) = row else {
                definitions.push(0);
                repetitions.push(0);
                continue;
            };
            if entries.is_empty() {
                definitions.push(above + 1);
                repetitions.push(0);
            }
            for (place, entry) in entries.iter().enumerate() {
                definitions.push(if entry.is_some() { full } else { above + 2 });
                repetitions.push(i16::from(place > 0));
                values.extend(*entry);
            }
        }
        (values, definitions, repetitions)
    }
}

pub(crate) const ID: &str = "optional binary id (UTF8);";
pub(crate) const METADATA: &str = "optional binary metadata (UTF8);";

pub(crate) fn values_field(layout: Layout) -> String {
    layout.field("values", "float element")
}

pub(crate) fn sparse_field(layout: Layout) -> String {
    format!(
        "optional group sparse_values {{ {} {} }}",
        layout.field("indices", "int32 element (UINT_32)"),
        layout.field("values", "float element"),
    )
}

/// How to write a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) layout: Layout,
    pub(crate) compression: Compression,
    pub(crate) group_rows: usize,
    pub(crate) page_rows: usize,
}

pub(crate) const PLAIN: Format = Format {
    layout: Layout::ThreeLevels,
    compression: Compression::UNCOMPRESSED,
    group_rows: 1_000,
    page_rows: 1_000,
};

/// A file with these fields, of those that are known by name.
pub(crate) fn file(fields: &[String], rows: &[Row], format: Format) -> Bytes {
    let schema = format!("message schema {{ {} }}", fields.join(" "));
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(format.compression)
        .set_data_page_row_count_limit(format.page_rows)
        .set_write_batch_size(format.page_rows.min(64))
        .build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::clone(&schema), Arc::new(properties)).unwrap();
    for rows in rows.chunks(format.group_rows) {
        let mut group = writer.next_row_group().unwrap();
        for field in schema.get_fields() {
            match field.name() {
                "id" => texts(&mut group, rows.iter().map(|row| row.id.as_deref())),
                "metadata" => texts(&mut group, rows.iter().map(|row| row.metadata.as_deref())),
                "values" => {
                    let lists: Vec<_> = rows.iter().map(|row| row.values.clone()).collect();
                    floats(&mut group, format.layout, &lists, 0);
                }
                "sparse_values" => sparse(&mut group, format.layout, rows),
                other => panic!("no values for {other}"),
            }
        }
        group.close().unwrap();
    }
    Bytes::from(writer.into_inner().unwrap())
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn texts<'a>(group: &mut Group<'_>, rows: impl Iterator<Item = Option<&'a str>>) {
    let rows: Vec<_> = rows.collect();
    let values: Vec<_> = rows.iter().flatten().map(|text| ByteArray::from(*text)).collect();
    let levels: Vec<_> = rows.iter().map(|row| i16::from(row.is_some())).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
}

fn floats(group: &mut Group<'_>, layout: Layout, rows: &[List<f32>], above: i16) {
    let (values, definitions, repetitions) = layout.levels(rows, above);
    let mut column = group.next_column().unwrap().unwrap();
    let writer = column.typed::<FloatType>();
    writer.write_batch(&values, Some(&definitions), Some(&repetitions)).unwrap();
    column.close().unwrap();
}

fn sparse(group: &mut Group<'_>, layout: Layout, rows: &[Row]) {
    let indices: Vec<_> = rows.iter().map(|row| row.indices.clone()).collect();
    let (values, definitions, repetitions) = layout.levels(&indices, 1);
    let mut column = group.next_column().unwrap().unwrap();
    let writer = column.typed::<Int32Type>();
    writer.write_batch(&values, Some(&definitions), Some(&repetitions)).unwrap();
    column.close().unwrap();
    let weights: Vec<_> = rows.iter().map(|row| row.weights.clone()).collect();
    floats(group, layout, &weights, 1);
}
