//! Goal: data that has no row yet is never taken for something that a crash left. Method: an index is
//! created while the store refuses what the catalog writes, the reaper goes round for an hour, and the
//! store recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lodgepole_storage::fault::{Action, FaultStore, OperationKind, Retry, Timing, Verdict};
use lodgepole_storage::object_store::memory::InMemory;
use lodgepole_storage::{ShiftedClock, SystemClock};
use lodgepole_types::{Clock, SeededRng};

use super::{Bench, ctx, index_body};

/// How long the store refuses, in real time.
const REFUSED: Duration = Duration::from_millis(500);
/// Real time that nothing here needs.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_index_in_the_making_is_no_stray_however_long_its_row_takes() {
    let clock = Arc::new(ShiftedClock::new(Arc::new(SystemClock::new())));
    let store = FaultStore::new(Arc::new(InMemory::new()), Arc::clone(&clock) as _);
    let bench = Bench::over(Arc::new(store.clone()), clock, Arc::new(SeededRng::new(7))).await;
    let (refuses, refused) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (asked, told) = (Arc::clone(&refuses), Arc::clone(&refused));
    store.judge_by(move |operation| {
        let is_put = operation.kind.is_change() && operation.kind != OperationKind::Delete;
        if !(asked.load(Ordering::SeqCst) && is_put && operation.path.starts_with("sys/catalog")) {
            return Verdict::Pass;
        }
        told.store(true, Ordering::SeqCst);
        Verdict::Fault(Action::Fail(Retry::Invited), Timing::Before)
    });
    let (context, body) = (ctx(), index_body("slow").to_string());
    let making = bench.service.create_index(&context, body.as_bytes());
    let reaping = async {
        let is_refused = async {
            while !refused.load(Ordering::SeqCst) {
                bench.clock.sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, is_refused).await.unwrap();
        for _ in 0..3 {
            bench.advance(Duration::from_secs(1_200));
            let reaped = bench.service.reap_once().await.unwrap();
            assert_eq!(reaped.strays, 0);
        }
    };
    // The reaper may have to wait for the catalog itself.
    let recovering = async {
        bench.clock.sleep(REFUSED).await;
        refuses.store(false, Ordering::SeqCst);
    };
    let all = Box::pin(async { tokio::join!(making, reaping, recovering) });
    let (made, (), ()) = tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(made.is_ok());
    let bench = bench.restarted().await;
    bench.fill("slow", 0..10).await;
    assert_eq!(bench.count("slow").await, 10);
}
