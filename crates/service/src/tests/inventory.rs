//! Goal: what an operator is told of backups, schedules and restores is true. Method: the calls of a
//! client, runs and jobs that are failed by hand, and a clock that is moved on.

use std::time::Duration;

use lodgepole_api::ApiVersion;
use lodgepole_catalog::{NewBackup, NewRestoreJob, Role};
use lodgepole_types::{
    BackupId, BackupPurpose, Clock as _, IndexId, IndexName, RestoreJobId, ScheduleId, SeededRng,
};
use serde_json::json;

use super::{Bench, at, text, to_json};
use crate::{Inventory, ScheduleTrouble};

const DAY: Duration = Duration::from_secs(86_400);

impl Bench {
    fn inventory(&self) -> Inventory {
        self.service.inventory()
    }

    fn troubles(&self) -> Vec<ScheduleTrouble> {
        self.inventory().schedule_problems.iter().map(|problem| problem.trouble).collect()
    }

    async fn daily(&self, index: &str) -> ScheduleId {
        let body = json!({
            "name": "nightly",
            "schedule": {"type": "time-based", "frequency": "daily"},
            "retention": {"expire_after_days": 9},
        });
        let (ctx, body) = (at(ApiVersion::V2026_07), body.to_string());
        let made = self.service.create_backup_schedule(&ctx, index, body.as_bytes()).await;
        ScheduleId::parse(&text(&to_json(&made.unwrap())["schedule_id"])).unwrap()
    }
}

#[tokio::test]
async fn the_last_complete_backup_of_each_index_is_told() {
    let bench = Bench::new().await;
    assert_eq!(bench.inventory(), Inventory::default());
    bench.create("b").await;
    bench.create("a").await;
    bench.backup("a").await;
    bench.advance(DAY);
    let last = bench.backup("a").await;
    let last = bench.catalog.backup(BackupId::parse(&last).unwrap()).unwrap().created_at;
    let cut_off = NewBackup {
        id: BackupId::random(&SeededRng::new(99)),
        source_index_id: bench.index("b").id,
        name: None,
        description: None,
        created_at: last,
        purpose: BackupPurpose::User,
        expires_at: None,
    };
    bench.catalog.insert_backup(cut_off).await.unwrap();
    let found = bench.inventory();
    let told: Vec<_> =
        found.indexes.iter().map(|index| (&*index.name, index.last_backup_at)).collect();
    assert_eq!(told, [("a", Some(last)), ("b", None)]);
    assert_eq!((found.newest_at, found.key_is_needed), (Some(last), false));
    bench.service.create_key(None, Role::ProjectEditor).await.unwrap();
    assert!(bench.inventory().key_is_needed);
}

#[tokio::test]
async fn a_run_that_failed_or_is_overdue_is_told_until_one_succeeds() {
    let bench = Bench::new().await;
    let index = bench.create("a").await;
    let id = bench.daily("a").await;
    assert_eq!((bench.inventory().schedules, bench.troubles()), (1, vec![]));
    bench.advance(2 * DAY);
    assert_eq!(bench.troubles(), [ScheduleTrouble::Overdue]);
    // The run that is due finds that its backup has failed.
    let schedule = bench.catalog.contents().schedule(id).unwrap();
    let failed = NewBackup {
        id: schedule.next_backup_id,
        source_index_id: index.id,
        name: None,
        description: None,
        created_at: bench.clock.now(),
        purpose: BackupPurpose::Schedule(id),
        expires_at: None,
    };
    bench.catalog.insert_backup(failed).await.unwrap();
    bench.catalog.fail_backup(schedule.next_backup_id).await.unwrap();
    assert_eq!(bench.service.run_schedules_once().await.unwrap().taken, 0);
    assert_eq!(bench.troubles(), [ScheduleTrouble::Failed]);
    // Without its row, the time of the next run alone tells.
    bench.catalog.delete_backup(schedule.next_backup_id).await.unwrap();
    assert_eq!(bench.troubles(), [ScheduleTrouble::Failed]);
    bench.advance(Duration::from_secs(601));
    assert_eq!(bench.service.run_schedules_once().await.unwrap().taken, 1);
    assert_eq!(bench.troubles(), []);
}

#[tokio::test]
async fn a_restore_that_failed_is_told_until_it_is_made_good_or_old() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let backup = bench.backup("a").await;
    for (name, seed) in [("b", 1), ("c", 2)] {
        let rng = SeededRng::new(seed);
        let job = NewRestoreJob {
            id: RestoreJobId::random(&rng),
            backup_id: BackupId::parse(&backup).unwrap(),
            target_index_name: IndexName::parse(name).unwrap(),
            target_index_id: IndexId::random(&rng),
            created_at: bench.clock.now(),
        };
        bench.catalog.begin_restore(job).await.unwrap();
    }
    let told = |bench: &Bench| -> Vec<String> {
        bench.inventory().failed_restores.iter().map(|job| job.index.clone()).collect()
    };
    assert_eq!(told(&bench), [""; 0], "they are under way");
    bench.service.settle().await.unwrap();
    let mut failed = told(&bench);
    failed.sort();
    assert_eq!(failed, ["b", "c"]);
    bench.advance(Duration::from_secs(1));
    bench.restore(&backup, "b").await.unwrap();
    assert_eq!(told(&bench), ["c"]);
    bench.advance(8 * DAY);
    assert_eq!(told(&bench), [""; 0]);
}
