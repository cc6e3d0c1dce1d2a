//! What is looked at when nobody works: after each start, and at the very end.
//!
//! INVARIANT: the audit and the files of segments come before anything is read, because a search that
//! meets a damaged segment has it built anew, and nothing would be seen.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use lodgepole_engine::{AuditDepth, Effort, Near, Query};
use lodgepole_storage::object_store::ObjectStore;
use lodgepole_types::{BackupStatus, IndexId, RestoreStatus, Rng, SeededRng};

use super::annals::{Annals, KEYS, Life, SPACES, key_name, version_of};
use super::keepers::{adopt, end_index, reap_once};
use super::linear::Action;
use super::process::Process;
use super::replay::{Cut, Key, Outcome, State, explain};
use super::stage::Stage;
use crate::crash::contents::{read, shape, space};
use crate::crash::world::segment_files;
use crate::crash::{Contents, Violation, causes};

/// Rounds of the reaper, an hour apart, after which everything that can go is gone.
const REAP_ROUNDS: usize = 8;
const REAP_LATER: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Everything that was answered is there, whole, and nothing is half-made.
pub(super) async fn check(stage: &Stage, rng: &SeededRng) -> Result<(), Violation> {
    check_half_made(&stage.process)?;
    audit(stage).await?;
    check_segments(&stage.process).await?;
    settle_indexes(stage).await?;
    settle_backups(stage)?;
    let live = stage.annals.lock().live_indexes();
    for (name, id) in live {
        check_index(stage, &name, id, rng)
            .await
            .map_err(|violation| violation.at(&format!("index {name}")))?;
    }
    let backups = stage.annals.lock().live_backups();
    for name in backups {
        compare_backup(stage, &name, rng).await?;
    }
    Ok(())
}

fn check_half_made(process: &Process) -> Result<(), Violation> {
    let backups = process.catalog.backups();
    let jobs = process.catalog.restore_jobs();
    let open_backup = backups.iter().any(|backup| backup.status == BackupStatus::Initializing);
    if open_backup || jobs.iter().any(|job| job.status == RestoreStatus::Pending) {
        return Err(Violation::Torn("a backup or a restore is half-made".to_owned()));
    }
    Ok(())
}

/// What `verify --deep` looks at.
async fn audit(stage: &Stage) -> Result<(), Violation> {
    let process = &stage.process;
    for index in process.catalog.indexes() {
        let report = process.engine.audit(shape(index.id), AuditDepth::Deep, &|_| {}).await;
        let report =
            report.map_err(|error| Violation::Unreadable(format!("audit: {}", causes(&error))))?;
        if let Some(finding) = report.findings.first() {
            return Err(Violation::Disagreement(format!("audit of {}: {finding:?}", index.id)));
        }
        stage.count(|figures| figures.audits += 1);
    }
    Ok(())
}

/// Every segment that a backup needs has its file. Those of indexes are opened by the audit.
async fn check_segments(process: &Process) -> Result<(), Violation> {
    let files = segment_files(&process.objects).await;
    let files = files.map_err(|error| Violation::Unexpected(causes(&error)))?;
    for backup in process.catalog.backups() {
        if let Some(missing) = backup.segments.iter().find(|segment| !files.contains(*segment)) {
            return Err(Violation::Lost(format!("segment {missing} of backup {:?}", backup.name)));
        }
    }
    Ok(())
}

/// What became of the indexes whose making or deletion had no answer.
async fn settle_indexes(stage: &Stage) -> Result<(), Violation> {
    let names: Vec<(String, Life)> = {
        let annals = stage.annals.lock();
        annals.indexes.iter().map(|(name, note)| (name.clone(), note.life)).collect()
    };
    for (name, life) in names {
        let row = stage.process.find(&name);
        match (life, row) {
            (Life::Live, None) => return Err(Violation::Lost(format!("index {name}"))),
            (Life::Gone, Some(_)) => return Err(Violation::Lost(format!("{name} is back"))),
            (Life::Asked, Some(row)) => {
                let held = state_of(&stage.process, row.id).await?;
                adopt(stage, &name, row.id, held)?;
            }
            (Life::Ending, Some(_)) => set_life(stage, &name, Life::Live),
            (Life::Asked | Life::Ending, None) => set_life(stage, &name, Life::Gone),
            (Life::Live, Some(_)) | (Life::Gone, None) => {}
        }
    }
    Ok(())
}

fn set_life(stage: &Stage, name: &str, life: Life) {
    if let Some(note) = stage.annals.lock().indexes.get_mut(name) {
        note.life = life;
    }
}

fn settle_backups(stage: &Stage) -> Result<(), Violation> {
    let mut annals = stage.annals.lock();
    let now = annals.tick();
    for (name, note) in &mut annals.backups {
        let is_there = stage.process.find_backup(name).is_some();
        match (note.life, is_there) {
            (Life::Live, false) => return Err(Violation::Lost(format!("backup {name}"))),
            (Life::Gone, true) => return Err(Violation::Lost(format!("backup {name} is back"))),
            (Life::Asked | Life::Ending, true) => {
                note.life = Life::Live;
                note.answered = note.answered.min(now);
            }
            (Life::Asked | Life::Ending, false) => note.life = Life::Gone,
            (Life::Live, true) | (Life::Gone, false) => {}
        }
    }
    Ok(())
}

/// What an index holds, read through every path, as versions.
pub(super) async fn state_of(process: &Process, id: IndexId) -> Result<State, Violation> {
    versions(&read(&process.engine, id).await?)
}

fn versions(contents: &Contents) -> Result<State, Violation> {
    let mut state = State::new();
    for (name, records) in contents {
        let at = SPACES.iter().position(|space| space == name);
        let of = at.and_then(|at| u8::try_from(at).ok());
        let of = of.ok_or_else(|| Violation::Lost(format!("namespace {name} from nowhere")))?;
        for (id, record) in records {
            let key = (0..KEYS).find(|key| key_name(*key) == *id);
            let key = key.ok_or_else(|| Violation::Lost(format!("record {id} from nowhere")))?;
            state.insert((of, key), version_of(key, record)?);
        }
    }
    Ok(state)
}

async fn check_index(
    stage: &Stage,
    name: &str,
    id: IndexId,
    rng: &SeededRng,
) -> Result<(), Violation> {
    let begin = stage.annals.lock().tick();
    let begin = stage.process.seen_from(id, begin);
    let found = state_of(&stage.process, id).await?;
    {
        let mut annals = stage.annals.lock();
        if let Some(note) = annals.indexes.get(name) {
            explain(&note.base, &note.requests, Cut::NOW, &found)?;
        }
        let all = (0..2).flat_map(|of| (0..KEYS).map(move |key| (of, key)));
        let seen: Vec<(Key, Action)> =
            all.map(|key| (key, Action::Read(found.get(&key).copied()))).collect();
        annals.note_seen(name, begin, &seen);
    }
    for of in 0..2 {
        check_nearest(stage, id, of, &found, rng).await?;
    }
    Ok(())
}

/// The nearest few are those that looking at every record gives.
async fn check_nearest(
    stage: &Stage,
    id: IndexId,
    of: u8,
    found: &State,
    rng: &SeededRng,
) -> Result<(), Violation> {
    let sign = if rng.next_u64().is_multiple_of(2) { 1.0 } else { -1.0 };
    let query = Query {
        near: Near::Dense(vec![sign, 0.0]),
        top_k: 3,
        filter: None,
        include_values: true,
        include_metadata: true,
        effort: Effort::default(),
    };
    let name = space(super::callers::space_name(of))?;
    let answer = stage.process.engine.query(shape(id), &name, query).await;
    let answer = answer.map_err(|error| Violation::Unreadable(causes(&error)))?;
    let number = |version: u16| sign * f32::from(version);
    let mut expected: Vec<f32> =
        found.iter().filter(|(key, _)| key.0 == of).map(|(_, held)| number(*held)).collect();
    expected.sort_by(|one, other| other.total_cmp(one));
    expected.truncate(3);
    let first = |hit: &lodgepole_engine::Answer| -> Vec<f32> {
        hit.hits
            .iter()
            .map(|hit| sign * hit.record.values.first().copied().unwrap_or(0.0))
            .collect()
    };
    let nearest = first(&answer);
    if nearest == expected {
        return Ok(());
    }
    Err(Violation::Disagreement(format!("nearest {nearest:?}, where {expected:?} are")))
}

/// Clones a backup, compares the clone and discards it again.
async fn compare_backup(stage: &Stage, name: &str, rng: &SeededRng) -> Result<(), Violation> {
    let process = &stage.process;
    let Some(row) = process.find_backup(name) else { return Ok(()) };
    let pin = row.checkpoint.ok_or_else(|| Violation::Lost(format!("pin of backup {name}")))?;
    let id = IndexId::random(rng);
    let at = |violation: Violation| violation.at(&format!("backup {name}"));
    let cloned = process.engine.clone_index(id, row.source_index_id, pin).await;
    cloned.map_err(|error| at(Violation::Lost(causes(&error))))?;
    let held = state_of(process, id).await.map_err(at)?;
    if held.len() as u64 != row.record_count {
        let text = format!("{} records, counted {}", held.len(), row.record_count);
        return Err(at(Violation::Disagreement(text)));
    }
    judge_copy(process, &mut stage.annals.lock(), name, &held).map_err(at)?;
    stage.count(|figures| figures.compared += 1);
    let discarded = process.engine.discard(id).await;
    discarded.map_err(|error| Violation::Unexpected(causes(&error)))
}

/// What was read of a copy of a backup must be the requests up to its Lsn; and every copy the same.
pub(super) fn judge_copy(
    process: &Process,
    annals: &mut Annals,
    name: &str,
    held: &State,
) -> Result<(), Violation> {
    let Some(note) = annals.backups.get(name) else { return Ok(()) };
    if let Some(before) = &note.contents {
        let text = || format!("{held:?}, where an earlier copy was {before:?}");
        return if before == held { Ok(()) } else { Err(Violation::Lost(text())) };
    }
    // Deleted meanwhile.
    let Some(row) = process.find_backup(name) else { return Ok(()) };
    let Some(source) = annals.indexes.get(&note.source) else { return Ok(()) };
    let cut = Cut { lsn: row.lsn, moment: note.answered };
    for request in &source.requests {
        let Outcome::Answered(end, Some(lsn)) = request.outcome else { continue };
        if (end < note.asked && lsn > cut.lsn) || (request.begin > note.answered && lsn <= cut.lsn)
        {
            return Err(Violation::Lost(format!("cut at {:?}, but {request:?}", cut.lsn)));
        }
    }
    explain(&source.base, &source.requests, cut, held)?;
    if let Some(note) = annals.backups.get_mut(name) {
        note.contents = Some(held.clone());
    }
    Ok(())
}

/// Deletes everything; nothing may be left of it.
pub(super) async fn check_nothing_left(stage: &Stage) -> Result<(), Violation> {
    let live = stage.annals.lock().live_indexes();
    for (name, _) in live {
        end_index(stage, &name).await?;
    }
    let (service, context) = (&stage.process.service, crate::crash::calls::context());
    for backup in stage.process.catalog.backups() {
        if backup.status == BackupStatus::Ready {
            let deleted = service.delete_backup(&context, &backup.id.to_string()).await;
            deleted.map_err(|error| Violation::Unexpected(causes(&error)))?;
        }
    }
    for _ in 0..REAP_ROUNDS {
        stage.process.clock.advance(REAP_LATER);
        reap_once(stage).await;
    }
    let listed: Vec<_> = stage
        .process
        .objects
        .list(None)
        .try_collect()
        .await
        .map_err(|error| Violation::Unexpected(causes(&error)))?;
    let mut left: BTreeMap<String, u32> = BTreeMap::new();
    for object in listed {
        if let Some(path) = object.location.as_ref().strip_prefix("ix/") {
            let folder: Vec<_> = path.split('/').take(2).collect();
            *left.entry(folder.join("/")).or_default() += 1;
        }
    }
    if left.is_empty() { Ok(()) } else { Err(Violation::Leftover(format!("{left:?}"))) }
}
