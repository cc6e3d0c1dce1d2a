//! Goal: what is not backed up, what failed and what is damaged is told. Method: inventories by
//! hand; real ones come in the tests of the program.
use lodgepole_server::operator::FindingLine;
use lodgepole_service::{FailedRestore, IndexItem, ScheduleProblem};

use super::super::report::Verdict::{self, Fail, Ok as Good, Warn};
use super::*;

const DAY_MS: i64 = 86_400_000;
const NOW: Timestamp = Timestamp(1_000 * DAY_MS);

fn index(name: &str, days_ago: Option<i64>) -> IndexItem {
    let last_backup_at = days_ago.map(|days| Timestamp(NOW.0 - days * DAY_MS));
    IndexItem { name: name.to_owned(), port: 1, last_backup_at }
}

fn verdicts(inventory: &Inventory) -> [Verdict; 3] {
    let checks = judge(inventory, NOW);
    [checks[0].verdict, checks[1].verdict, checks[2].verdict]
}

#[test]
fn an_index_without_a_recent_backup_is_named() {
    let with = |indexes| Inventory { indexes, ..Inventory::default() };
    assert_eq!(verdicts(&Inventory::default()), [Good; 3]);
    assert_eq!(verdicts(&with(vec![index("a", Some(35))])), [Good; 3]);
    assert_eq!(verdicts(&with(vec![index("a", Some(36))]))[0], Warn);
    let check = judge_backups(&with(vec![index("a", Some(3)), index("b", None)]), NOW);
    assert_eq!((check.verdict, &*check.found), (Warn, "a 3 days ago, b never"));
    let many: Vec<_> = (0..9).map(|number| index(&format!("i{number}"), Some(number))).collect();
    let check = judge_backups(&with(many), NOW);
    assert!(check.verdict == Good && check.found.contains("9 indexes, 0 of them"), "{check:?}");
}

#[test]
fn schedules_and_restores_that_failed_are_named() {
    let problem = |trouble| ScheduleProblem {
        schedule: "nightly".to_owned(),
        index: "books".to_owned(),
        trouble,
        next_run: NOW,
    };
    let restore = FailedRestore { job: "j".to_owned(), index: "copy".to_owned(), created_at: NOW };
    let inventory = Inventory {
        schedules: 2,
        schedule_problems: vec![
            problem(ScheduleTrouble::Failed),
            problem(ScheduleTrouble::Overdue),
        ],
        failed_restores: vec![restore],
        ..Inventory::default()
    };
    assert_eq!(verdicts(&inventory), [Good, Warn, Warn]);
    let checks = judge(&inventory, NOW);
    assert!(checks[1].found.contains("failed last time") && checks[1].found.contains("was due"));
    assert!(checks[2].found.contains("copy (j, "), "{}", checks[2].found);
}

#[test]
fn damage_fails_unless_it_goes_away_by_itself() {
    let found = |findings| Verification {
        indexes: 1,
        backups: 0,
        namespaces: 1,
        records: 9,
        segments: 1,
        findings,
        more_findings: 0,
    };
    let finding = |is_repaired| FindingLine {
        whose: "index \"a\"".to_owned(),
        subject: "namespace \"\"".to_owned(),
        problem: "a row is damaged".to_owned(),
        is_repaired,
    };
    let verdicts = |found: &Verification| -> Vec<Verdict> {
        integrity(found, false).iter().map(|check| check.verdict).collect()
    };
    assert_eq!(verdicts(&found(vec![])), [Good]);
    assert_eq!(verdicts(&found(vec![finding(true), finding(false)])), [Warn, Fail]);
    let more = Verification { more_findings: 3, ..found(vec![finding(true)]) };
    assert_eq!(verdicts(&more), [Warn, Fail]);
    assert!(integrity(&found(vec![]), true)[0].found.starts_with("read whole: 1 indexes"));
}
