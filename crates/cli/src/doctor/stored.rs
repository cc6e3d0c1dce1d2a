//! What is stored: backups, schedules, restores, and whether all of it is whole.

use lodgepole_server::operator::Verification;
use lodgepole_service::{Inventory, ScheduleTrouble};
use lodgepole_types::Timestamp;

use super::report::{Check, listed, span};

/// The longest schedule is monthly. A backup older than that was made by hand, or none was since.
const BACKUP_OLD_S: u64 = 35 * 24 * 60 * 60;

/// Indexes whose last backup is told one by one.
const INDEXES_SHOWN: usize = 8;

/// Judges backups, schedules and restores.
pub(super) fn judge(inventory: &Inventory, now: Timestamp) -> Vec<Check> {
    vec![judge_backups(inventory, now), judge_schedules(inventory), judge_restores(inventory)]
}

fn judge_backups(inventory: &Inventory, now: Timestamp) -> Check {
    const NAME: &str = "backups";
    let indexes = &inventory.indexes;
    if indexes.is_empty() {
        return Check::ok(NAME, "there are no indexes");
    }
    let age = |at: Timestamp| now.since(at).as_secs();
    let told = indexes.iter().map(|index| match index.last_backup_at {
        Some(at) => format!("{} {} ago", index.name, span(age(at))),
        None => format!("{} never", index.name),
    });
    let never: Vec<_> = indexes
        .iter()
        .filter(|index| index.last_backup_at.is_none())
        .map(|index| index.name.clone())
        .collect();
    let oldest = indexes.iter().filter_map(|index| index.last_backup_at).min();
    let found = if indexes.len() <= INDEXES_SHOWN {
        told.collect::<Vec<_>>().join(", ")
    } else {
        let oldest = oldest.map_or("never".to_owned(), |at| format!("{} ago", span(age(at))));
        let never = never.len();
        format!(
            "{} indexes, {never} of them never, the others at the latest {oldest}",
            indexes.len()
        )
    };
    if !never.is_empty() {
        let advice = format!(
            "no backup of {}: make a schedule, or POST /indexes/NAME/backups, which takes \
             milliseconds",
            listed(&never)
        );
        return Check::warn(NAME, found, advice);
    }
    if oldest.is_some_and(|at| age(at) > BACKUP_OLD_S) {
        let advice = "what was written since can be lost by a mistake of a user: make a schedule";
        return Check::warn(NAME, found, advice);
    }
    Check::ok(NAME, found)
}

fn judge_schedules(inventory: &Inventory) -> Check {
    const NAME: &str = "schedules";
    let problems: Vec<_> = inventory
        .schedule_problems
        .iter()
        .map(|problem| {
            let (schedule, index, at) =
                (&problem.schedule, &problem.index, problem.next_run.rfc3339());
            match problem.trouble {
                ScheduleTrouble::Failed => {
                    format!("\"{schedule}\" of {index} failed last time, next try {at}")
                }
                ScheduleTrouble::Overdue => format!("\"{schedule}\" of {index} was due {at}"),
            }
        })
        .collect();
    if problems.is_empty() {
        return Check::ok(NAME, format!("{} run, none failed last time", inventory.schedules));
    }
    let advice = "a run needs a server that runs and a disk with room; the server's log says why it \
                  failed (\"a scheduled backup failed\"). It is tried again by itself";
    Check::warn(NAME, listed(&problems), advice)
}

fn judge_restores(inventory: &Inventory) -> Check {
    const NAME: &str = "restores";
    let failed: Vec<_> = inventory
        .failed_restores
        .iter()
        .map(|job| format!("{} ({}, {})", job.index, job.job, job.created_at.rfc3339()))
        .collect();
    if failed.is_empty() {
        return Check::ok(NAME, "none failed in the last seven days");
    }
    let advice =
        "they were cut off, by a crash or a full disk, and left nothing: ask for them again";
    Check::warn(NAME, format!("failed: {}", listed(&failed)), advice)
}

/// Judges what a look for damage found.
pub(super) fn integrity(found: &Verification, deep: bool) -> Vec<Check> {
    const NAME: &str = "integrity";
    let Verification { indexes, backups, namespaces, records, segments, .. } = found;
    let looked = format!(
        "{indexes} indexes, {backups} backups, {namespaces} namespaces, {records} records, {segments} segments"
    );
    if found.findings.is_empty() && found.more_findings == 0 {
        let how = if deep { "read whole" } else { "opened and counted" };
        return vec![Check::ok(NAME, format!("{how}: {looked}"))];
    }
    let mut checks: Vec<_> = found
        .findings
        .iter()
        .map(|finding| {
            let text = format!("{}, {}: {}", finding.whose, finding.subject, finding.problem);
            if finding.is_repaired {
                let advice = "nothing: it is built anew by itself, and searches go on meanwhile. If it \
                              comes again, look for errors of the disk (dmesg, smartctl)";
                Check::warn(NAME, text, advice)
            } else {
                let advice = "make an index from a backup that is in order, and keep the data folder \
                              for a report (docs/verify.md)";
                Check::fail(NAME, text, advice)
            }
        })
        .collect();
    if found.more_findings > 0 {
        let text = format!("{} more, in {looked}", found.more_findings);
        checks.push(Check::fail(NAME, text, "lodgepole verify lists what is wrong"));
    }
    checks
}

#[cfg(test)]
mod tests;
