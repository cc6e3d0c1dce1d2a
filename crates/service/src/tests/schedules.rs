//! Goal: schedules really run, once a time, and their backups go when their time has come. Method:
//! the calls of a client, and a clock that is moved on.

use std::time::Duration;

use lodgepole_api::{ApiVersion, PageQuery};
use lodgepole_types::{Clock as _, ScheduleId};
use serde_json::{Value, json};

use super::{Bench, at, status, text, to_json};
use crate::ScheduleRound;

const DAY: Duration = Duration::from_secs(86_400);

fn body(frequency: &str, days: u32) -> Vec<u8> {
    json!({
        "name": "nightly",
        "schedule": {"type": "time-based", "frequency": frequency},
        "retention": {"expire_after_days": days},
    })
    .to_string()
    .into_bytes()
}

impl Bench {
    async fn schedule(&self, index: &str, frequency: &str, days: u32) -> String {
        let ctx = at(ApiVersion::V2026_07);
        let made = self.service.create_backup_schedule(&ctx, index, &body(frequency, days)).await;
        text(&to_json(&made.unwrap())["schedule_id"])
    }

    fn history(&self, id: &str) -> Vec<Value> {
        let ctx = at(ApiVersion::V2026_07);
        let query = PageQuery::default();
        let list = self.service.list_backup_schedule_history(&ctx, id, &query).unwrap();
        to_json(&list)["data"].as_array().unwrap().clone()
    }

    async fn round(&self) -> ScheduleRound {
        self.service.run_schedules_once().await.unwrap()
    }
}

#[tokio::test]
async fn a_daily_schedule_takes_a_backup_a_day_and_drops_old_ones() {
    let bench = Bench::new().await;
    bench.create("a").await;
    bench.fill("a", 0..5).await;
    let id = bench.schedule("a", "daily", 2).await;
    assert_eq!(bench.round().await, ScheduleRound::default(), "nothing is due yet");
    let planned = bench.history(&id).remove(0);
    assert_eq!(planned["status"], json!("Scheduled"));
    bench.advance(DAY);
    assert_eq!(bench.round().await, ScheduleRound { taken: 1, expired: 0 });
    assert_eq!(bench.round().await, ScheduleRound::default(), "a run is done once");
    let history = bench.history(&id);
    assert_eq!(history.len(), 2);
    assert_eq!(history[1]["backup_id"], planned["backup_id"], "it has the id that was announced");
    assert_eq!((&history[1]["status"], &history[1]["record_count"]), (&json!("Ready"), &json!(5)));
    assert!(text(&history[1]["name"]).starts_with("nightly-2"), "{}", history[1]["name"]);
    let backup = text(&history[1]["backup_id"]);
    bench.restore(&backup, "b").await.unwrap();
    assert_eq!(bench.count("b").await, 5);
    bench.advance(DAY);
    assert_eq!(bench.round().await, ScheduleRound { taken: 1, expired: 0 });
    bench.advance(DAY);
    assert_eq!(bench.round().await, ScheduleRound { taken: 1, expired: 1 });
    let gone = bench.service.describe_backup(&at(ApiVersion::V2026_07), &backup);
    assert_eq!(status(gone), 404);
}

#[tokio::test]
async fn after_an_absence_one_backup_is_taken() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let id = bench.schedule("a", "daily", 100).await;
    bench.advance(10 * DAY);
    let bench = bench.restarted().await;
    assert_eq!(bench.round().await.taken, 1);
    assert_eq!(bench.round().await.taken, 0);
    assert_eq!(bench.history(&id).len(), 2);
}

#[tokio::test]
async fn a_run_that_was_cut_off_after_its_backup_is_not_repeated() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let id = bench.schedule("a", "daily", 100).await;
    bench.advance(DAY);
    let schedule = bench.catalog.contents().schedule(ScheduleId::parse(&id).unwrap()).unwrap();
    let now = bench.clock.now();
    assert!(bench.service.shared.take_scheduled(&schedule, now).await);
    let bench = bench.restarted().await;
    assert_eq!(bench.round().await.taken, 1, "the backup that was there counts as the run's");
    assert_eq!(bench.round().await.taken, 0);
    let history = bench.history(&id);
    assert_eq!(history.len(), 2, "one was taken, one is planned: {history:?}");
    assert_eq!(text(&history[1]["backup_id"]), schedule.next_backup_id.to_string());
}

#[tokio::test]
async fn a_disabled_schedule_rests_and_enabling_it_takes_a_backup_at_once() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let id = bench.schedule("a", "weekly", 5).await;
    let ctx = at(ApiVersion::V2026_07);
    let off = bench.service.update_backup_schedule(&ctx, &id, br#"{"enabled":false}"#).await;
    let off = to_json(&off.unwrap());
    assert_eq!(
        (&off["enabled"], off.get("next_scheduled_run")),
        (&json!(false), Some(&Value::Null))
    );
    bench.advance(20 * DAY);
    assert_eq!(bench.round().await.taken, 0);
    assert_eq!(bench.history(&id), Vec::<Value>::new());
    let body = br#"{"enabled":true,"frequency":"monthly","retention":{"expire_after_days":9}}"#;
    let on = to_json(&bench.service.update_backup_schedule(&ctx, &id, body).await.unwrap());
    assert_eq!(
        (&on["frequency"], &on["retention_expire_after_days"]),
        (&json!("monthly"), &json!(9))
    );
    let history = bench.history(&id);
    assert_eq!(history.len(), 2, "one was taken, one is planned");
    assert_eq!(history[1]["status"], json!("Ready"));
    assert_eq!(history[0]["scheduled_execution_at"], on["next_scheduled_run"]);
}

#[tokio::test]
async fn schedules_are_listed_described_and_deleted() {
    let bench = Bench::new().await;
    bench.create("a").await;
    let ctx = at(ApiVersion::V2026_07);
    let id = bench.schedule("a", "daily", 5).await;
    let second = bench.service.create_backup_schedule(&ctx, "a", &body("daily", 5)).await;
    let message = second.as_ref().unwrap_err().message().to_owned();
    assert_eq!(status(second), 409);
    assert!(message.starts_with("This index already has an enabled backup schedule"));
    let list = bench.service.list_backup_schedules(&ctx, "a", &PageQuery::default()).unwrap();
    let described = bench.service.describe_backup_schedule(&ctx, &id).unwrap();
    assert_eq!(to_json(&list)["data"], json!([to_json(&described)]));
    let missing = bench.service.list_backup_schedules(&ctx, "none", &PageQuery::default());
    assert_eq!(status(missing), 404);
    bench.advance(DAY);
    bench.round().await;
    let backup = text(&bench.history(&id)[1]["backup_id"]);
    bench.service.delete_backup_schedule(&ctx, &id).await.unwrap();
    assert_eq!(status(bench.service.describe_backup_schedule(&ctx, &id)), 404);
    assert!(bench.service.describe_backup(&ctx, &backup).is_ok(), "its backups stay");
    assert_eq!(status(bench.service.describe_backup_schedule(&ctx, "no-uuid")), 404);
}
