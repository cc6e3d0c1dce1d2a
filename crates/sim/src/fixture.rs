//! Data of released versions, which every later one must open.
//!
//! `tests/fixtures/data-<version>` holds what a version wrote: the files of a data directory, and
//! `holds.json`, which says what is in them: every record of every index and backup, and some answers.
//! [`check`] opens a copy with today's code and compares all of it. [`make`] writes a new one, at a
//! release, and never over an old one (tests/fixtures/README.md says when).
//!
//! WHY what it holds is stored, and not computed again: the code that computes it changes too.
#![expect(
    clippy::disallowed_methods,
    reason = "fixtures are files of the repository, and no data of a product"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lodgepole_engine::{AuditDepth, Effort, Near, Query, ShardRef};
use lodgepole_service::Service;
use lodgepole_storage::local::LocalOptions;
use lodgepole_storage::{ShiftedClock, Storage, SystemClock};
use lodgepole_types::{
    Limits, Metadata, NamespaceName, Record, RecordId, SeededRng, SparseVector, Struct, causes,
};
use serde_json::{Value, json};

use crate::rot::fixture_parts::{Contents, Holding, Image, Read, Server, context, read};

/// Where the files of the data directory are, below a fixture.
const STORE: &str = "store";
const HOLDS: &str = "holds.json";
/// Answers kept for each namespace.
const TOP: u32 = 5;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// Indexes and backups.
    pub holdings: usize,
    /// Their records.
    pub records: usize,
    /// Answers to queries.
    pub answers: usize,
}

/// Writes a fixture of this build to `folder`, which must not exist.
///
/// # Errors
/// A text that says what is wrong.
pub fn make(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        return Err(format!(
            "{} exists; what a version has written is never written again",
            folder.display()
        ));
    }
    let image = Image::for_fixture().map_err(|error| error.to_string())?;
    for (path, bytes) in image.objects() {
        let file = folder.join(STORE).join(path);
        let parent = file.parent().ok_or("a path without a folder")?;
        fs::create_dir_all(parent).map_err(text)?;
        fs::write(&file, bytes).map_err(text)?;
    }
    let holds = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "indexes": holdings_to_json(image.indexes())?,
        "backups": holdings_to_json(image.backups())?,
    });
    fs::write(folder.join(HOLDS), format!("{holds}\n")).map_err(text)?;
    // The answers are those of this build over the files just written.
    let answers = with_copy(folder, |store| Box::pin(answers_of(store, holds.clone())))?;
    let mut holds = holds;
    holds["answers"] = answers;
    fs::write(folder.join(HOLDS), format!("{holds}\n")).map_err(text)
}

/// Opens a copy of a fixture, twice, and compares everything with what it is to hold.
///
/// # Errors
/// What differs, or cannot be read.
pub fn check(folder: &Path) -> Result<Checked, String> {
    let holds = fs::read(folder.join(HOLDS)).map_err(text)?;
    let holds: Value = serde_json::from_slice(&holds).map_err(text)?;
    with_copy(folder, |store| Box::pin(check_copy(store, holds)))
}

type Work<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, String>> + 'a>>;

/// Runs `work` over a copy that is thrown away.
fn with_copy<'a, T>(
    folder: &Path,
    work: impl FnOnce(std::path::PathBuf) -> Work<'a, T>,
) -> Result<T, String> {
    let copy = tempfile::tempdir().map_err(text)?;
    copy_folder(&folder.join(STORE), copy.path()).map_err(text)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(text)?.block_on(work(copy.path().to_owned()))
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// When the disk fails.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A server over a folder, as the binary starts it.
pub(crate) async fn start(folder: &Path) -> Result<Server, String> {
    let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
    let rng = Arc::new(SeededRng::new(clock_seed()));
    let storage = Storage::open_local(
        folder,
        LocalOptions::default(),
        Arc::clone(&clock) as _,
        Arc::clone(&rng) as _,
        Server::storage_options(),
    );
    let storage = storage.map_err(|error| causes(&error))?;
    Server::start_over(storage, clock, rng).await
}

/// Ids that are drawn must not be those that the fixture drew, nor those of another start.
fn clock_seed() -> u64 {
    static STARTS: AtomicU64 = AtomicU64::new(0x6669_7874);
    STARTS.fetch_add(1, Ordering::Relaxed)
}

async fn check_copy(store: std::path::PathBuf, holds: Value) -> Result<Checked, String> {
    let mut checked = Checked::default();
    for round in 0..2 {
        let server = start(&store).await?;
        checked = Checked::default();
        for (name, held) in entries(&holds["indexes"])? {
            let shape = shape_of(&server, name)?;
            checked.add(compare(&server, shape, name, held).await?);
        }
        let answers = answers_of_server(&server, &holds).await?;
        if answers != holds["answers"] {
            return Err(format!("answers were {}, are {answers}", holds["answers"]));
        }
        checked.answers = answers.as_array().map_or(0, Vec::len);
        for (number, (backup, held)) in entries(&holds["backups"])?.into_iter().enumerate() {
            let name = format!("restored-{round}-{number}");
            restore(&server.service, backup, &name).await?;
            let shape = shape_of(&server, &name)?;
            checked.add(compare(&server, shape, &name, held).await?);
        }
        let report =
            server.service.verify(AuditDepth::Deep, &|_, _| {}, std::future::pending()).await;
        let report = report.map_err(|error| causes(&error))?;
        if !report.findings.is_empty() {
            return Err(format!("verify finds {:?}", report.findings));
        }
        server.service.shutdown().await;
    }
    Ok(checked)
}

impl Checked {
    fn add(&mut self, records: usize) {
        self.holdings += 1;
        self.records += records;
    }
}

async fn restore(service: &Service, backup: &str, name: &str) -> Result<(), String> {
    let body = format!(r#"{{"name":"{name}"}}"#);
    let made = service.create_index_from_backup(&context(), backup, body.as_bytes()).await;
    made.map(drop).map_err(|error| format!("backup {backup}: {}", causes(&error)))
}

pub(crate) fn shape_of(server: &Server, name: &str) -> Result<ShardRef, String> {
    let indexes = server.catalog.indexes();
    let index = indexes.iter().find(|index| index.config.name.as_str() == name);
    let index = index.ok_or_else(|| format!("index {name} is not there"))?;
    Ok(ShardRef { index: index.id, dense: index.config.dense })
}

async fn compare(
    server: &Server,
    shape: ShardRef,
    name: &str,
    held: &Value,
) -> Result<usize, String> {
    let wanted = contents_of_json(held)?;
    match read(&server.engine, shape).await {
        Read::Whole(found) if found == wanted => {}
        Read::Whole(found) => {
            let count = |contents: &Contents| -> Vec<usize> {
                contents.values().map(BTreeMap::len).collect()
            };
            let (found, wanted) = (count(&found), count(&wanted));
            return Err(format!("{name}: {found:?} records instead of {wanted:?}, or others"));
        }
        Read::Failed(text) | Read::Torn(text) => return Err(format!("{name}: {text}")),
    }
    Ok(wanted.values().map(BTreeMap::len).sum())
}

async fn answers_of(store: std::path::PathBuf, holds: Value) -> Result<Value, String> {
    let server = start(&store).await?;
    let answers = answers_of_server(&server, &holds).await?;
    server.service.shutdown().await;
    Ok(answers)
}

/// The nearest records of each namespace of each index, with their scores.
async fn answers_of_server(server: &Server, holds: &Value) -> Result<Value, String> {
    let mut answers = Vec::new();
    for (name, held) in entries(&holds["indexes"])? {
        let shape = shape_of(server, name)?;
        for (space, _) in entries(held)? {
            let space = NamespaceName::parse(space).map_err(text)?;
            let near = if shape.dimension() > 0 {
                Near::Dense((0..shape.dimension()).map(|at| 1.0 - at as f32 / 8.0).collect())
            } else {
                Near::Sparse(SparseVector { indices: vec![1, 3], values: vec![1.0, 0.5] })
            };
            let query = Query {
                near,
                top_k: TOP,
                filter: None,
                include_values: false,
                include_metadata: false,
                effort: Effort::default(),
            };
            let answer = server.engine.query(shape, &space, query).await;
            let answer = answer.map_err(|error| causes(&error))?;
            let hits: Vec<Value> = answer
                .hits
                .iter()
                .map(|hit| json!([hit.record.id.as_str(), format!("{:.4}", hit.score)]))
                .collect();
            answers.push(json!({"index": name, "namespace": space.as_str(), "top": hits}));
        }
    }
    Ok(Value::Array(answers))
}

fn holdings_to_json(holdings: &BTreeMap<String, Holding>) -> Result<Value, String> {
    let mut all = serde_json::Map::new();
    for (name, holding) in holdings {
        let mut spaces = serde_json::Map::new();
        for (space, records) in holding.now() {
            let records = records.iter().map(|(id, record)| Ok((id.clone(), to_json(record)?)));
            let records: Result<serde_json::Map<_, _>, String> = records.collect();
            spaces.insert(space, Value::Object(records?));
        }
        all.insert(name.clone(), Value::Object(spaces));
    }
    Ok(Value::Object(all))
}

fn to_json(record: &Record) -> Result<Value, String> {
    let metadata = serde_json::to_value(record.metadata.as_struct()).map_err(text)?;
    let sparse = record.sparse.as_ref();
    let sparse = sparse.map(|sparse| json!({"indices": sparse.indices, "values": sparse.values}));
    Ok(json!({"values": record.values, "sparse": sparse, "metadata": metadata}))
}

fn contents_of_json(held: &Value) -> Result<Contents, String> {
    let mut contents = Contents::new();
    for (space, records) in entries(held)? {
        let records = entries(records)?.into_iter();
        let records: Result<BTreeMap<_, _>, String> =
            records.map(|(id, record)| Ok((id.clone(), of_json(id, record)?))).collect();
        contents.insert(space.clone(), records?);
    }
    Ok(contents)
}

fn of_json(id: &str, held: &Value) -> Result<Record, String> {
    let fields: Struct = serde_json::from_value(held["metadata"].clone()).map_err(text)?;
    let sparse = match &held["sparse"] {
        Value::Null => None,
        sparse => Some(SparseVector {
            indices: serde_json::from_value(sparse["indices"].clone()).map_err(text)?,
            values: serde_json::from_value(sparse["values"].clone()).map_err(text)?,
        }),
    };
    Ok(Record {
        id: RecordId::parse(id).map_err(text)?,
        values: serde_json::from_value(held["values"].clone()).map_err(text)?,
        sparse,
        metadata: Metadata::parse(fields, &Limits::default()).map_err(text)?,
    })
}

fn entries(value: &Value) -> Result<Vec<(&String, &Value)>, String> {
    let map = value.as_object().ok_or("holds.json has another form")?;
    Ok(map.iter().collect())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
