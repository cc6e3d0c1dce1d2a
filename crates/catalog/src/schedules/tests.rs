//! Goal: an index has one enabled schedule, a run is claimed once, and schedules go with their
//! index. Method: the operations in every order that matters, over a store in memory.

use lodgepole_types::{Classify, Deployment, ErrorKind, PodSpec};
use uuid::Uuid;

use super::*;
use crate::testing::{at, backup_id, catalog, name, new_index, reopened};

const DAY_MS: i64 = 86_400_000;

fn schedule(n: u128, index: &str) -> NewSchedule {
    NewSchedule {
        id: ScheduleId::from_uuid(Uuid::from_u128(n)),
        index: name(index),
        name: "nightly".to_owned(),
        frequency: Frequency::Daily,
        expire_after_days: 7,
        created_at: at(1),
        next_backup_id: backup_id(n),
    }
}

fn enabled(on: bool) -> ScheduleChange {
    ScheduleChange { enabled: Some(on), ..ScheduleChange::default() }
}

#[tokio::test]
async fn an_index_has_at_most_one_enabled_schedule() {
    let (_storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let first = catalog.create_schedule(schedule(1, "a")).await.unwrap();
    let second = catalog.create_schedule(schedule(2, "a")).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AlreadyExists);
    let (off, enables) = catalog.update_schedule(first.id, enabled(false), at(2)).await.unwrap();
    assert!(!off.enabled && !enables);
    let second = catalog.create_schedule(schedule(2, "a")).await.unwrap();
    let again = catalog.update_schedule(first.id, enabled(true), at(3)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    catalog.delete_schedule(second.id).await.unwrap();
    let (on, enables) = catalog.update_schedule(first.id, enabled(true), at(3)).await.unwrap();
    assert!(on.enabled && enables);
    let (_, enables) = catalog.update_schedule(first.id, enabled(true), at(4)).await.unwrap();
    assert!(!enables, "it was enabled before");
}

#[tokio::test]
async fn a_run_is_ended_once_and_that_survives_a_crash() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let made = catalog.create_schedule(schedule(1, "a")).await.unwrap();
    assert!(catalog.contents().schedules_due(at(made.next_run.0 - 1)).is_empty());
    let due = catalog.contents().schedules_due(made.next_run);
    assert_eq!(due, [Arc::clone(&made)]);
    let next = at(made.next_run.0 + DAY_MS);
    let end = |next_id| catalog.advance_schedule(made.id, backup_id(1), next, backup_id(next_id));
    assert!(end(2).await.unwrap());
    assert!(!end(3).await.unwrap(), "another run is the next by now");
    let catalog = reopened(&storage, catalog).await;
    let later = catalog.contents().schedule(made.id).unwrap();
    assert_eq!((later.next_run, later.next_backup_id), (next, backup_id(2)));
    assert!(catalog.contents().schedules_due(made.next_run).is_empty());
}

#[tokio::test]
async fn a_disabled_schedule_is_never_due() {
    let (_storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let made = catalog.create_schedule(schedule(1, "a")).await.unwrap();
    catalog.update_schedule(made.id, enabled(false), at(2)).await.unwrap();
    let far = at(made.next_run.0 + 100 * DAY_MS);
    assert!(catalog.contents().schedules_due(far).is_empty());
}

#[tokio::test]
async fn schedules_go_with_their_index() {
    let (storage, catalog) = catalog().await;
    catalog.create_index(new_index(1, "a")).await.unwrap();
    let made = catalog.create_schedule(schedule(1, "a")).await.unwrap();
    catalog.delete_index(&name("a"), at(5)).await.unwrap();
    assert!(catalog.contents().schedule(made.id).is_none());
    let gone = catalog.delete_schedule(made.id).await.unwrap_err();
    assert_eq!(
        (gone.kind(), gone.to_string().as_str()),
        (ErrorKind::NotFound, "Backup schedule not found.")
    );
    let catalog = reopened(&storage, catalog).await;
    assert!(catalog.contents().schedule(made.id).is_none());
}

#[tokio::test]
async fn pod_indexes_and_unknown_ones_have_no_schedules() {
    let (_storage, catalog) = catalog().await;
    let missing = catalog.create_schedule(schedule(1, "a")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let mut pods = new_index(1, "a");
    pods.config.deployment = Deployment::Pod(PodSpec {
        environment: "us-east1-gcp".to_owned(),
        pod_type: "p1.x1".to_owned(),
        replicas: 1,
        shards: 1,
        pods: 1,
        metadata_config: None,
    });
    catalog.create_index(pods).await.unwrap();
    let refused = catalog.create_schedule(schedule(1, "a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}
