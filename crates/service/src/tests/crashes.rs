//! Goal: a crash at any change of the store loses nothing that was answered, and what was not
//! answered can be repeated. Method: a workload runs over a store that dies at its change number k,
//! before or after that change takes effect; a second service opens what is left, and the call that
//! was cut off is made again. k goes over all changes of the workload.

use std::sync::Arc;

use lodgepole_api::PageQuery;
use lodgepole_storage::fault::{FaultStore, Timing};
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::{ShiftedClock, SystemClock};
use lodgepole_types::{Backup, BackupStatus, RestoreStatus, SeededRng};
use serde_json::json;

use super::{Bench, ctx, status, to_json, upserted_range};

/// The calls of the workload, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Create,
    Fill,
    Backup,
    Collect,
    FillMore,
    Restore,
    FromCollection,
    DeleteIndex,
    DeleteBackup,
    DeleteCollection,
}

const CALLS: [Call; 10] = [
    Call::Create,
    Call::Fill,
    Call::Backup,
    Call::Collect,
    Call::FillMore,
    Call::Restore,
    Call::FromCollection,
    Call::DeleteIndex,
    Call::DeleteBackup,
    Call::DeleteCollection,
];

/// A pod index, so that collections can be made of it.
fn pod_body(name: &str, source_collection: Option<&str>) -> String {
    let mut body = super::index_body(name);
    body["spec"] = json!({"pod": {"environment": "e", "pod_type": "p1.x1",
        "source_collection": source_collection}});
    body.to_string()
}

async fn call(bench: &Bench, call: Call) -> u16 {
    let service = &bench.service;
    let newest = || ready_backups(bench).first().map(|backup| backup.id.to_string());
    let fill = async |numbers| {
        let request = upserted_range(numbers);
        status(service.upsert(&ctx(), &bench.index("a"), request).await)
    };
    match call {
        Call::Create => status(service.create_index(&ctx(), pod_body("a", None).as_bytes()).await),
        Call::Fill => fill(0..10).await,
        Call::Backup => status(service.create_backup(&ctx(), "a", b"{}").await),
        Call::Collect => {
            let body = br#"{"name":"films","source":"a"}"#;
            status(service.create_collection(&ctx(), body).await)
        }
        Call::FillMore => fill(10..20).await,
        Call::FromCollection => {
            let body = pod_body("c", Some("films"));
            status(service.create_index(&ctx(), body.as_bytes()).await)
        }
        Call::Restore => status(bench.restore(&newest().unwrap(), "b").await),
        Call::DeleteIndex => status(service.delete_index(&ctx(), "a").await),
        Call::DeleteBackup => {
            let id = newest().unwrap_or_default();
            status(service.delete_backup(&ctx(), &id).await)
        }
        Call::DeleteCollection => status(service.delete_collection(&ctx(), "films").await),
    }
}

fn ready_backups(bench: &Bench) -> Vec<Arc<Backup>> {
    let mut backups = bench.catalog.contents().listed_backups();
    backups.retain(|backup| backup.status == BackupStatus::Ready);
    backups
}

fn has(bench: &Bench, name: &str) -> bool {
    bench.catalog.indexes().iter().any(|index| index.config.name.as_str() == name)
}

/// Everything that was answered is there. `cut_off` may be there or not.
async fn check(bench: &Bench, answered: &[Call], cut_off: Option<Call>) {
    let was = |call: Call| answered.contains(&call);
    let may = |call: Call| was(call) || cut_off == Some(call);
    for backup in bench.catalog.backups() {
        assert_ne!(backup.status, BackupStatus::Initializing);
    }
    for job in bench.catalog.restore_jobs() {
        assert_ne!(job.status, RestoreStatus::Pending);
    }
    assert!(has(bench, "a") || !was(Call::Create) || may(Call::DeleteIndex), "lost index a");
    assert!(!has(bench, "a") || !was(Call::DeleteIndex), "index a is back");
    if has(bench, "a") {
        let least = if was(Call::FillMore) { 20 } else { 10 * u32::from(was(Call::Fill)) };
        let most = if may(Call::FillMore) { 20 } else { 10 * u32::from(may(Call::Fill)) };
        let count = bench.count("a").await;
        assert!(count == least || count == most, "{count} records in index a");
    }
    if was(Call::Backup) && !may(Call::DeleteBackup) {
        assert!(!ready_backups(bench).is_empty(), "lost the backup");
    }
    assert!(has(bench, "b") || !was(Call::Restore), "lost index b");
    if has(bench, "b") {
        assert!(may(Call::Restore));
        assert_eq!(bench.count("b").await, 10);
    }
    let collections = to_json(&bench.service.list_collections(&ctx()))["collections"].take();
    let collections = collections.as_array().unwrap();
    if was(Call::Collect) && !may(Call::DeleteCollection) {
        assert_eq!(collections.len(), 1, "lost the collection");
    }
    for collection in collections {
        assert!(may(Call::Collect) && !was(Call::DeleteCollection));
        assert_eq!(collection["vector_count"], json!(10));
    }
    assert!(has(bench, "c") || !was(Call::FromCollection), "lost index c");
    if has(bench, "c") {
        assert!(may(Call::FromCollection));
        assert_eq!(bench.count("c").await, 10);
    }
    let freed = bench.catalog.contents().freed_ports();
    let live = bench.catalog.indexes().into_iter().map(|index| index.port);
    let open: std::collections::BTreeSet<u16> = live.chain(freed).collect();
    assert_eq!(*bench.ports.open.lock().unwrap(), open);
}

/// Repeats what was cut off and does the rest.
async fn finish(bench: &Bench, rest: &[Call]) {
    for (place, step) in rest.iter().enumerate() {
        let answer = call(bench, *step).await;
        let repeated = place == 0;
        // A repeated create or delete may find that it was done; a restore gets its answer.
        let done = match step {
            Call::Create | Call::Collect | Call::FromCollection => answer == 409,
            Call::DeleteIndex | Call::DeleteBackup | Call::DeleteCollection => answer == 404,
            Call::Fill | Call::Backup | Call::FillMore | Call::Restore => false,
        };
        assert!(answer == 200 || (repeated && done), "{step:?} answers {answer}");
    }
    assert_eq!((bench.count("b").await, bench.count("c").await), (10, 10));
    assert!(!has(bench, "a") && bench.catalog.contents().collections().is_empty());
    let jobs = bench.service.list_restore_jobs(&ctx(), &PageQuery::default()).unwrap();
    let jobs = to_json(&jobs)["data"].as_array().unwrap().clone();
    assert_eq!(jobs.iter().filter(|job| job["status"] == json!("Completed")).count(), 1);
}

fn in_own_runtime<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run)
}

/// One run; answers how many changes reached the store, and whether it crashed.
fn run(crash_at: Option<(u64, Timing)>) -> (u64, bool) {
    let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
    let rng = Arc::new(SeededRng::new(7));
    let store = FaultStore::new(Arc::new(InMemory::new()), Arc::clone(&clock) as _);
    if let Some((number, timing)) = crash_at {
        store.crash_at(number, timing);
    }
    let (first_store, first_clock, first_rng) =
        (Arc::new(store.clone()), Arc::clone(&clock), Arc::clone(&rng));
    let (answered, cut_off) = in_own_runtime(async move {
        let mut answered = Vec::new();
        let Some(bench) = Bench::try_over(first_store, first_clock, first_rng).await else {
            return (answered, None);
        };
        for step in CALLS {
            if call(&bench, step).await != 200 {
                return (answered, Some(step));
            }
            answered.push(step);
        }
        (answered, None)
    });
    let (changes, crashed) = (store.changes(), store.is_crashed());
    let second_store = Arc::new(store.successor());
    in_own_runtime(async move {
        let bench = Bench::over(second_store, clock, rng).await;
        check(&bench, &answered, cut_off).await;
        finish(&bench, &CALLS[answered.len()..]).await;
    });
    (changes, crashed)
}

#[test]
fn a_crash_at_any_change_loses_nothing_that_was_answered() {
    let (changes, crashed) = run(None);
    assert!(!crashed && changes > 30, "{changes} changes");
    let mut crashes = 0;
    for number in 1..=changes {
        for timing in [Timing::Before, Timing::After] {
            crashes += u32::from(run(Some((number, timing))).1);
        }
    }
    assert!(crashes > 60, "{crashes} crashes");
}
