//! Goal: faults come exactly where they were asked for, with the effect that was asked for.
//! Method: a fixed workload over memory; what the store answered is compared with what memory holds.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use lodgepole_types::{Clock, ManualClock};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use parking_lot::Mutex;
use slatedb_common::retry::should_retry;

use super::*;

fn store() -> (FaultStore, Arc<InMemory>) {
    let memory = Arc::new(InMemory::new());
    let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&memory);
    (FaultStore::new(inner, Arc::new(ManualClock::new(Duration::ZERO))), memory)
}

async fn put(store: &dyn ObjectStore, name: &str) -> object_store::Result<()> {
    store.put(&Path::from(name), name.to_owned().into()).await.map(|_| ())
}

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let mut names: Vec<String> =
        store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    names.sort();
    names
}

fn injected(error: &Error) -> Injected {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<Injected>() {
            return found.clone();
        }
        current = error.source();
    }
    panic!("not injected: {error}");
}

/// One change of each kind.
async fn workload(store: &dyn ObjectStore) -> object_store::Result<()> {
    let path = |name: &str| Path::from(name);
    store.put_opts(&path("a"), "1".into(), PutMode::Create.into()).await?;
    let e_tag = store.head(&path("a")).await?.e_tag;
    let version = UpdateVersion { e_tag, version: None };
    store.put_opts(&path("a"), "2".into(), PutMode::Update(version).into()).await?;
    put(store, "b").await?;
    let mut upload = store.put_multipart(&path("c")).await?;
    upload.put_part("3".into()).await?;
    upload.complete().await?;
    store.copy(&path("c"), &path("d")).await?;
    store.rename(&path("d"), &path("e")).await?;
    store.delete(&path("b")).await
}

#[tokio::test]
async fn operations_are_numbered_and_named() {
    let (store, _) = store();
    workload(&store).await.unwrap();
    names(&store).await;
    let seen: Vec<String> = store.operations().iter().map(ToString::to_string).collect();
    let expected = [
        "change 1: create a",
        "read 1: get a",
        "change 2: update a",
        "change 3: put b",
        "change 4: complete upload c",
        "change 5: copy d",
        "change 6: rename e",
        "change 7: delete b",
        "read 2: list ",
    ];
    assert_eq!(seen, expected);
    assert_eq!((store.changes(), store.reads()), (7, 2));
    assert_eq!(store.change(3).unwrap().path, "b");
    assert_eq!(store.change(8), None);
}

#[tokio::test]
async fn a_crash_before_or_after_each_change_applies_exactly_the_changes_up_to_it() {
    // What memory holds after each number of changes.
    let mut states = vec![Vec::new()];
    for changes in 1..=7 {
        let (store, memory) = store();
        store.crash_at(changes, Timing::After);
        workload(&store).await.unwrap_err();
        states.push(names(memory.as_ref()).await);
    }
    assert_eq!(states[7], ["a", "c", "e"]);
    for at in 1..=7 {
        for (timing, applied) in [(Timing::Before, at - 1), (Timing::After, at)] {
            let (store, memory) = store();
            store.crash_at(at, timing);
            let error = workload(&store).await.unwrap_err();
            assert_eq!(injected(&error), Injected::Crash(store.change(at).unwrap()));
            assert!(!should_retry(&error));
            assert!(store.is_crashed());
            let expected = &states[usize::try_from(applied).unwrap()];
            assert_eq!(&names(memory.as_ref()).await, expected, "{at} {timing:?}");
        }
    }
}

#[tokio::test]
async fn after_a_crash_nothing_is_answered_until_the_store_is_revived() {
    let (store, memory) = store();
    put(&store, "a").await.unwrap();
    let mut upload = store.put_multipart(&Path::from("upload")).await.unwrap();
    store.crash();
    let a = Path::from("a");
    let listed: object_store::Result<Vec<_>> = store.list(None).try_collect().await;
    let answers = [
        put(&store, "b").await,
        store.get(&a).await.map(|_| ()),
        store.get_ranges(&a, &[0..1, 0..2]).await.map(|_| ()),
        store.delete(&a).await,
        store.copy(&a, &Path::from("b")).await,
        store.rename(&a, &Path::from("b")).await,
        store.list_with_delimiter(None).await.map(|_| ()),
        listed.map(|_| ()),
        store.put_multipart(&a).await.map(|_| ()),
        upload.put_part("x".into()).await,
        upload.complete().await.map(|_| ()),
        upload.abort().await,
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        let error = answer.unwrap_err();
        assert!(!should_retry(&error) && matches!(injected(&error), Injected::Crash(_)), "{index}");
    }
    assert_eq!(names(memory.as_ref()).await, ["a"]);
    store.revive();
    put(&store, "b").await.unwrap();
    assert_eq!(names(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_successor_lives_while_the_dead_handle_stays_dead() {
    let (store, _) = store();
    put(&store, "a").await.unwrap();
    let background = store.clone();
    let next = store.successor();
    store.revive();
    put(&background, "late").await.unwrap_err();
    put(&next, "b").await.unwrap();
    assert_eq!(names(&next).await, ["a", "b"]);
    assert_eq!(next.change(1).unwrap().path, "b");
}

#[tokio::test]
async fn one_change_fails_once_with_or_without_effect() {
    for (timing, held) in [(Timing::Before, false), (Timing::After, true)] {
        for retry in [Retry::Invited, Retry::Refused] {
            let (store, memory) = store();
            store.fail_change(2, timing, retry);
            put(&store, "a").await.unwrap();
            let error = put(&store, "b").await.unwrap_err();
            assert_eq!(should_retry(&error), retry == Retry::Invited);
            assert_eq!(injected(&error), Injected::Failure(store.change(2).unwrap()));
            assert_eq!(names(memory.as_ref()).await.contains(&"b".to_owned()), held);
            assert!(!store.is_crashed());
            put(&store, "b").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_read_fails_once_and_faults_can_be_called_off() {
    let (store, _) = store();
    put(&store, "a").await.unwrap();
    store.fail_read(2, Retry::Invited);
    store.fail_read(4, Retry::Invited);
    let a = Path::from("a");
    store.get(&a).await.unwrap();
    assert!(should_retry(&store.get(&a).await.unwrap_err()));
    store.get(&a).await.unwrap();
    store.clear_faults();
    store.get(&a).await.unwrap();
}

#[tokio::test]
async fn a_held_change_waits_before_or_after_its_effect() {
    for (timing, is_there) in [(Timing::Before, false), (Timing::After, true)] {
        let (store, memory) = store();
        let held = store.hold_change(1, timing);
        let writer = store.clone();
        let writing = tokio::spawn(async move { put(&writer, "a").await });
        held.reached().await;
        assert_eq!(names(memory.as_ref()).await.contains(&"a".to_owned()), is_there);
        put(&store, "b").await.unwrap();
        assert!(!writing.is_finished());
        drop(held);
        writing.await.unwrap().unwrap();
        assert_eq!(names(memory.as_ref()).await, ["a", "b"]);
    }
}

#[tokio::test]
async fn a_judge_decides_about_what_has_no_fault_of_its_own() {
    let (store, memory) = store();
    store.judge_by(|operation| {
        if operation.path.starts_with("bad") {
            Verdict::Fault(Action::Fail(Retry::Refused), Timing::After)
        } else {
            Verdict::Pass
        }
    });
    put(&store, "good").await.unwrap();
    put(&store, "bad/1").await.unwrap_err();
    assert_eq!(names(memory.as_ref()).await, ["bad/1", "good"]);
}

#[tokio::test]
async fn latency_is_slept_on_the_clock() {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clock = Arc::new(ManualClock::new(Duration::ZERO));
    let store = FaultStore::new(memory, Arc::<ManualClock>::clone(&clock));
    let latency = Latency { change: Duration::from_millis(30), read: Duration::from_millis(10) };
    store.set_latency(latency);
    put(&store, "a").await.unwrap();
    store.get(&Path::from("a")).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_millis(40));
}

#[tokio::test]
async fn a_change_under_way_when_the_store_crashes_is_not_answered() {
    #[derive(Debug)]
    struct Gate(Mutex<Option<futures::channel::oneshot::Receiver<()>>>);
    impl Clock for Gate {
        fn now(&self) -> lodgepole_types::Timestamp {
            lodgepole_types::Timestamp(0)
        }
        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
        fn sleep(&self, _: Duration) -> lodgepole_types::BoxFuture<'static, ()> {
            let gate = self.0.lock().take();
            Box::pin(async move {
                if let Some(gate) = gate {
                    gate.await.unwrap();
                }
            })
        }
    }
    let memory = Arc::new(InMemory::new());
    let (open, gate) = futures::channel::oneshot::channel();
    let inner: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&memory);
    let store = FaultStore::new(inner, Arc::new(Gate(Mutex::new(Some(gate)))));
    store.set_latency(Latency { change: Duration::from_millis(1), read: Duration::ZERO });
    store.crash_at(2, Timing::Before);
    let first = put(&store, "first");
    let second = async {
        let answer = put(&store, "second").await;
        open.send(()).unwrap();
        answer
    };
    let (first, second) = futures::join!(first, second);
    first.unwrap_err();
    second.unwrap_err();
    assert_eq!(names(memory.as_ref()).await, ["first"], "it had reached the store before");
}
