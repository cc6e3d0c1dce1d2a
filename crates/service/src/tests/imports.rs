//! Goal: an import brings exactly what its files hold, or leaves nothing. Method: Parquet files in a
//! folder, the service over a store in memory, restarts and cancellations in the middle.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_api::wire::imports::StartImportRequest;
use lodgepole_api::wire::vectors::{FetchRequest, FetchResponse};
use lodgepole_api::{ApiVersion, PageQuery};
use lodgepole_types::{Clock, ImportStatus};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Bench, at, ctx, status, text, to_json};
use crate::service::shard_of;

const SCHEMA: &str = "message schema { required binary id (UTF8); required group values (LIST) { \
                      repeated group list { required float element; } } optional binary metadata \
                      (UTF8); }";

struct Row {
    id: String,
    values: Vec<f32>,
    metadata: Option<String>,
}

fn row(id: &str, values: &[f32], metadata: Option<&str>) -> Row {
    let metadata = metadata.map(str::to_owned);
    Row { id: id.to_owned(), values: values.to_vec(), metadata }
}

/// Rows named `r0`, `r1`, … with two values.
fn rows(numbers: std::ops::Range<u32>) -> Vec<Row> {
    numbers.map(|n| row(&format!("r{n}"), &[1.0, n as f32], None)).collect()
}

fn write(folder: &Path, path: &str, rows: &[Row]) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the files of a test need no sync")]
    let file = File::create(path).unwrap();
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(false).build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    for rows in rows.chunks(20_000) {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<_> = rows.iter().map(|row| ByteArray::from(row.id.as_str())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            values.extend_from_slice(&row.values);
            definitions.extend(std::iter::repeat_n(1, row.values.len()));
            repetitions.extend((0..row.values.len()).map(|i| i16::from(i > 0)));
        }
        let mut column = group.next_column().unwrap().unwrap();
        let floats = column.typed::<FloatType>();
        floats.write_batch(&values, Some(&definitions), Some(&repetitions)).unwrap();
        column.close().unwrap();
        let metadata: Vec<_> =
            rows.iter().flat_map(|row| row.metadata.as_deref()).map(ByteArray::from).collect();
        let levels: Vec<_> = rows.iter().map(|row| i16::from(row.metadata.is_some())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&metadata, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn uri(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

fn request(uri: &str, on_error: &str) -> StartImportRequest {
    serde_json::from_value(json!({ "uri": uri, "errorMode": { "onError": on_error } })).unwrap()
}

impl Bench {
    async fn start(&self, index: &str, uri: &str, on_error: &str) -> String {
        let index = self.index(index);
        let reply = self.service.start_import(&ctx(), &index, request(uri, on_error)).await;
        text(&to_json(&reply.unwrap())["id"])
    }

    fn describe(&self, index: &str, id: &str) -> Value {
        let index = self.index(index);
        to_json(&self.service.describe_import(&at(ApiVersion::V2026_07), &index, id).unwrap())
    }

    async fn cancel(&self, index: &str, id: &str) {
        let index = self.index(index);
        let reply = self.service.cancel_import(&ctx(), &index, id).await.unwrap();
        assert_eq!(to_json(&reply), json!({}));
    }

    async fn pause(&self) {
        self.clock.sleep(Duration::from_millis(2)).await;
    }

    /// Waits until an import has ended and nothing of it is left to do.
    async fn ended(&self, index: &str, id: &str) -> Value {
        for _ in 0..60_000 {
            let contents = self.catalog.contents();
            let imports = contents.imports_of(self.index(index).id);
            let row = imports.iter().find(|import| import.id.to_string() == id).unwrap();
            if row.has_ended() && !row.staged {
                // Not before: it may have ended in between.
                return self.describe(index, id);
            }
            self.pause().await;
        }
        panic!("the import does not end: {}", self.describe(index, id));
    }

    /// Lets imports stage so many batches more and no others, until they are let go on.
    fn hold_imports_after(&self, batches: usize) {
        self.import_batches.forget_permits(Semaphore::MAX_PERMITS);
        // A batch takes its permit once it is staged.
        self.import_batches.add_permits(batches - 1);
    }

    fn let_imports_go_on(&self) {
        self.import_batches.forget_permits(Semaphore::MAX_PERMITS);
        self.import_batches.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until some records of an import are staged.
    async fn under_way(&self, index: &str, id: &str) {
        while self.describe(index, id)["recordsImported"] == 0 {
            self.pause().await;
        }
    }

    async fn import(&self, index: &str, folder: &Path, on_error: &str) -> Value {
        let id = self.start(index, &uri(folder), on_error).await;
        self.ended(index, &id).await
    }

    async fn fetched(&self, index: &str, namespace: &str, id: &str) -> FetchResponse {
        let (namespace, ids) = (namespace.to_owned(), vec![id.to_owned()]);
        let request = FetchRequest { namespace, ids };
        self.service.fetch(&ctx(), &self.index(index), request).await.unwrap().message
    }

    async fn nothing_is_left(&self, index: &str) {
        let jobs = self.engine.staged_jobs(shard_of(&self.index(index))).await.unwrap();
        assert!(jobs.is_empty());
        assert_eq!(self.count(index).await, 0);
    }
}

async fn bench() -> (tempfile::TempDir, Bench) {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::importing(folder.path()).await;
    bench.create("a").await;
    (folder, bench)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_namespaces_of_an_import_are_there_when_it_is_completed() {
    let (folder, bench) = bench().await;
    let path = folder.path();
    write(path, "__default__/0.parquet", &rows(0..3_000));
    write(path, "ns1/0.parquet", &[row("x", &[1.0, 2.0], Some(r#"{"genre":"drama","n":1}"#))]);
    write(path, "ns1/1.parquet", &[row("y", &[3.0, 4.0], None)]);
    let ended = bench.import("a", path, "abort").await;
    assert_eq!(ended["status"], "Completed", "{ended}");
    assert_eq!(
        (&ended["percentComplete"], &ended["recordsImported"]),
        (&json!(100.0), &json!(3_002))
    );
    assert_eq!(ended["validationResult"], json!({"importSuccesses": 3_002, "importErrors": 0}));
    assert!(ended.get("error").is_none() && ended["uri"] == uri(path));
    assert_eq!(bench.count("a").await, 3_002);
    let x = bench.fetched("a", "ns1", "x").await;
    assert_eq!(x.vectors["x"].values, [1.0, 2.0]);
    let x = to_json(&x);
    assert_eq!(x["vectors"]["x"]["metadata"], json!({"genre": "drama", "n": 1}));
    assert_eq!(bench.fetched("a", "", "r2999").await.vectors["r2999"].values, [1.0, 2_999.0]);
    assert!(!bench.nearest("a").await.matches.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_a_place_that_is_not_there_waits_and_can_be_cancelled() {
    let (folder, bench) = bench().await;
    let missing = format!("{}/none/", uri(folder.path()));
    let (first, second) =
        (bench.start("a", &missing, "continue").await, bench.start("a", &missing, "abort").await);
    let described = bench.describe("a", &second);
    assert!(["Pending", "InProgress"].contains(&described["status"].as_str().unwrap()));
    assert_eq!(
        (&described["percentComplete"], &described["recordsImported"]),
        (&json!(0.0), &json!(0))
    );
    assert!(!text(&described["createdAt"]).is_empty());
    let index = bench.index("a");
    let list = |limit: Option<&str>, token: Option<&Value>| {
        let limit = limit.map(str::to_owned);
        let pagination_token = token.map(text);
        let query = PageQuery { limit, pagination_token, ..PageQuery::default() };
        to_json(&bench.service.list_imports(&ctx(), &index, &query).unwrap())
    };
    let all = list(None, None);
    assert_eq!(all["data"].as_array().unwrap().len(), 2);
    assert!(all.get("pagination").is_none());
    let page = list(Some("1"), None);
    let next = list(None, Some(&page["pagination"]["next"]));
    assert_eq!([&page["data"][0], &next["data"][0]], [&all["data"][0], &all["data"][1]]);

    bench.cancel("a", &second).await;
    assert_eq!(bench.ended("a", &second).await["status"], "Cancelled");
    bench.cancel("a", &second).await;
    assert_eq!(bench.describe("a", &second)["status"], "Cancelled");

    bench.advance(Duration::from_secs(11));
    let ended = bench.ended("a", &first).await;
    assert_eq!(ended["status"], "Failed");
    assert!(text(&ended["error"]).starts_with("User error: "), "{ended}");
    assert!(!text(&ended["finishedAt"]).is_empty());
    bench.cancel("a", &first).await;
    assert_eq!(bench.describe("a", &first)["status"], "Failed");
    bench.nothing_is_left("a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_folder_fails_after_a_while_and_a_late_file_is_found() {
    let (folder, bench) = bench().await;
    let (empty, late) = (folder.path().join("empty"), folder.path().join("late"));
    for path in [&empty, &late] {
        std::fs::create_dir_all(path).unwrap();
    }
    let (never, soon) = (
        bench.start("a", &uri(&empty), "abort").await,
        bench.start("a", &uri(&late), "abort").await,
    );
    let file = bench.start("a", &format!("{}/ns/0.parquet", uri(&empty)), "abort").await;
    write(&folder.path().join("hidden"), "ns/0.parquet", &rows(0..5));
    std::os::unix::fs::symlink(folder.path().join("hidden/ns"), late.join("ns")).unwrap();
    assert_eq!(bench.ended("a", &soon).await["status"], "Completed");
    bench.advance(Duration::from_secs(11));
    let message = text(&bench.ended("a", &never).await["error"]);
    assert!(message.starts_with("User error: No Parquet files found under \"file://"), "{message}");
    let message = text(&bench.ended("a", &file).await["error"]);
    assert!(message.contains("complete path to a parquet file"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_files_fails_the_import_and_leaves_nothing() {
    let (folder, bench) = bench().await;
    let good = || rows(0..2_500);
    let case = |name: &str| folder.path().join(name);
    let mut bad_row = good();
    bad_row[2_100].values.push(1.0);
    write(&case("row"), "ns/0.parquet", &bad_row);
    let mut bad_metadata = good();
    bad_metadata[7].metadata = Some("{".to_owned());
    write(&case("metadata"), "b/0.parquet", &bad_metadata);
    write(&case("metadata"), "a/0.parquet", &good());
    write(&case("duplicate"), "ns/0.parquet", &good());
    write(&case("duplicate"), "ns/1.parquet", &rows(2_499..2_502));
    write(&case("top"), "0.parquet", &good());
    std::fs::create_dir_all(case("text/ns")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the files of a test need no sync")]
    std::fs::write(case("text/ns/0.parquet"), "id,values").unwrap();
    for (name, message) in [
        (
            "row",
            "error reading record (file \"ns/0.parquet\", row 2100): Vector dimension 3 does not \
             match the dimension of the index 2",
        ),
        (
            "metadata",
            "error reading record (file \"b/0.parquet\", row 7): Failed to parse metadata: EOF",
        ),
        (
            "duplicate",
            "error reading record (file \"ns/1.parquet\", row 0): Duplicate vector ID \"r2499\"",
        ),
        ("top", "\"0.parquet\": No namespace detected."),
        (
            "text",
            "Parquet footer could not be parsed. Are you sure this is valid parquet? (file \
             \"ns/0.parquet\")",
        ),
    ] {
        let ended = bench.import("a", &case(name), "abort").await;
        assert_eq!(ended["status"], "Failed", "{name}");
        let error = text(&ended["error"]);
        assert!(error.starts_with(&format!("User error: {message}")), "{name}: {error}");
        assert_eq!(ended["recordsImported"], 0);
        bench.nothing_is_left("a").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_on_after_errors_passes_over_bad_rows_and_duplicates() {
    let (folder, bench) = bench().await;
    let some = folder.path().join("some");
    let mut mixed = rows(0..2_500);
    mixed[3].values.clear();
    mixed[3].values.push(1.0);
    mixed[2_400].id = "r5".to_owned();
    write(&some, "ns/0.parquet", &mixed);
    write(&some, "ns/1.parquet", &rows(2_490..2_510));
    let ended = bench.import("a", &some, "continue").await;
    assert_eq!(ended["status"], "Completed", "{ended}");
    assert_eq!(ended["validationResult"], json!({"importSuccesses": 2_508, "importErrors": 12}));
    assert_eq!(bench.count("a").await, 2_508);
    assert_eq!(bench.fetched("a", "ns", "r5").await.vectors["r5"].values, [1.0, 5.0]);

    let none = folder.path().join("none");
    write(&none, "bad/0.parquet", &[row("x", &[1.0], None)]);
    write(&none, "good/0.parquet", &rows(0..5));
    let ended = bench.import("a", &none, "continue").await;
    assert_eq!(
        ended["error"],
        "User error: No vectors added, all rows were skipped for namespace: bad"
    );
    assert_eq!(bench.count("a").await, 2_508);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_must_be_new() {
    let (folder, bench) = bench().await;
    write(folder.path(), "ns/0.parquet", &rows(0..5));
    assert_eq!(bench.import("a", folder.path(), "abort").await["status"], "Completed");
    for on_error in ["abort", "continue"] {
        let again = bench.import("a", folder.path(), on_error).await;
        assert_eq!(
            again["error"],
            "User error: The namespace \"ns\" already exists. Imports are only allowed into \
             nonexistent namespaces."
        );
    }
    bench.fill("a", 0..2).await;
    let default = folder.path().join("d");
    write(&default, "__default__/0.parquet", &rows(0..5));
    let refused = text(&bench.import("a", &default, "abort").await["error"]);
    assert!(refused.contains("The namespace \"__default__\" already exists."), "{refused}");
    assert_eq!(bench.count("a").await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_goes_on_after_a_restart_where_it_was() {
    let (folder, bench) = bench().await;
    for part in 0..4 {
        let path = format!("ns{}/{part}.parquet", part % 2);
        write(folder.path(), &path, &rows(part * 50_000..(part + 1) * 50_000));
    }
    bench.hold_imports_after(1);
    let id = bench.start("a", &uri(folder.path()), "continue").await;
    let mut bench = bench;
    for _ in 0..3 {
        bench.under_way("a", &id).await;
        let imports = bench.catalog.contents().imports_of(bench.index("a").id);
        assert_ne!(imports[0].status, ImportStatus::Completed, "there is a middle");
        assert_eq!(bench.count("a").await, 0, "nothing is visible yet");
        bench.hold_imports_after(4);
        bench = bench.restarted().await;
        bench.pause().await;
    }
    bench.let_imports_go_on();
    let ended = bench.ended("a", &id).await;
    assert_eq!(ended["status"], "Completed", "{ended}");
    assert_eq!(ended["validationResult"], json!({"importSuccesses": 200_000, "importErrors": 0}));
    assert_eq!(bench.count("a").await, 200_000);
    for (namespace, id) in [("ns0", "r49999"), ("ns1", "r50000"), ("ns1", "r199999")] {
        assert_eq!(bench.fetched("a", namespace, id).await.vectors.len(), 1, "{id}");
    }
    bench.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_change_during_a_stop_fail_the_import() {
    let (folder, bench) = bench().await;
    write(folder.path(), "ns/0.parquet", &rows(0..100_000));
    bench.hold_imports_after(1);
    let id = bench.start("a", &uri(folder.path()), "abort").await;
    bench.under_way("a", &id).await;
    bench.service.shutdown().await;
    write(folder.path(), "ns/1.parquet", &rows(0..5));
    let bench = bench.restarted().await;
    let error = text(&bench.ended("a", &id).await["error"]);
    assert!(error.starts_with("User error: The files were changed"), "{error}");
    bench.nothing_is_left("a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_import_leaves_nothing_and_its_namespaces_stay_free() {
    let (folder, bench) = bench().await;
    write(folder.path(), "ns/0.parquet", &rows(0..100_000));
    bench.hold_imports_after(1);
    let id = bench.start("a", &uri(folder.path()), "abort").await;
    bench.under_way("a", &id).await;
    bench.cancel("a", &id).await;
    let ended = bench.ended("a", &id).await;
    assert_eq!((&ended["status"], &ended["recordsImported"]), (&json!("Cancelled"), &json!(0)));
    let percent = ended["percentComplete"].as_f64().unwrap();
    assert!(percent > 0.0 && percent < 100.0, "{percent}");
    bench.let_imports_go_on();
    bench.nothing_is_left("a").await;
    assert_eq!(bench.import("a", folder.path(), "abort").await["status"], "Completed");
    assert_eq!(bench.count("a").await, 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_end_with_their_index() {
    let (folder, bench) = bench().await;
    write(folder.path(), "ns/0.parquet", &rows(0..100_000));
    bench.hold_imports_after(1);
    let id = bench.start("a", &uri(folder.path()), "abort").await;
    bench.under_way("a", &id).await;
    bench.delete_index("a").await;
    bench.service.settle().await.unwrap();
    assert_eq!(bench.catalog.contents().imports().count(), 0);
    bench.create("a").await;
    bench.nothing_is_left("a").await;
    let index = bench.index("a");
    let gone = bench.service.describe_import(&ctx(), &index, &id);
    assert_eq!(status(gone), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_meant_are_refused() {
    let (folder, bench) = bench().await;
    let index = bench.index("a");
    for uri in ["file:///etc", "gs://bucket/x", "nowhere", "", "s3://a@b/x"] {
        let reply = bench.service.start_import(&ctx(), &index, request(uri, "abort")).await;
        assert_eq!(status(reply), 400, "{uri}");
    }
    assert_eq!(status(bench.service.describe_import(&ctx(), &index, "101")), 404);
    let unknown = "00000000-0000-4000-8000-000000000001";
    assert_eq!(status(bench.service.cancel_import(&ctx(), &index, unknown).await), 404);
    let missing = format!("{}/none", uri(folder.path()));
    for _ in 0..100 {
        bench.start("a", &missing, "abort").await;
    }
    let reply = bench.service.start_import(&ctx(), &index, request(&missing, "abort")).await;
    assert_eq!(status(reply), 429);
    bench.service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_large_vectors_are_imported_in_seconds() {
    let (folder, bench) = bench().await;
    let body = json!({
        "name": "large",
        "dimension": 384,
        "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    });
    bench.service.create_index(&ctx(), body.to_string().as_bytes()).await.unwrap();
    for part in 0..4_u32 {
        let numbers = part * 25_000..(part + 1) * 25_000;
        let rows: Vec<_> = numbers
            .map(|n| {
                let values = (0..384).map(|i| ((n * 31 + i * 7) % 1_000) as f32 - 499.5).collect();
                let metadata = Some(format!("{{\"n\":{n},\"even\":{}}}", n.is_multiple_of(2)));
                Row { id: format!("r{n}"), values, metadata }
            })
            .collect();
        write(folder.path(), &format!("ns/{part}.parquet"), &rows);
    }
    let began = bench.clock.elapsed();
    let ended = bench.import("large", folder.path(), "abort").await;
    let took = bench.clock.elapsed() - began;
    println!("100,000 x 384 in {took:?}: {:.0} records/s", 100_000.0 / took.as_secs_f64());
    assert_eq!(ended["status"], "Completed", "{ended}");
    assert_eq!(bench.count("large").await, 100_000);
    let last = bench.fetched("large", "ns", "r99999").await;
    assert_eq!(last.vectors["r99999"].values.len(), 384);
    bench.service.shutdown().await;
}
