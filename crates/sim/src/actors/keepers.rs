//! Those who work in the background of a process: indexer, reaper, and the manager who makes and
//! deletes indexes and backups.

use std::collections::BTreeMap;
use std::time::Duration;

use lodgepole_api::ApiError;
use lodgepole_engine::Estate;
use lodgepole_types::{BackupStatus, IndexId, RestoreStatus, SeededRng};

use super::annals::{Life, key_name};
use super::checks::{judge_copy, state_of};
use super::replay::State;
use super::stage::{Defect, Stage};
use super::weather::draw;
use crate::crash::calls::context;
use crate::crash::contents::{record, shape, space};
use crate::crash::{Violation, causes};

/// Indexes and backups that there are at most at a time.
const INDEXES_MAX: usize = 3;
const BACKUPS_MAX: usize = 3;

/// Flushes, builds and merges segments until told to end.
pub(super) async fn index(stage: Stage, rng: SeededRng) {
    while stage.pause(&rng, 12_000).await && !stage.is_closing() {
        let engine = &stage.process.engine;
        if draw(&rng, 3) == 0 {
            engine.upkeep_once().await;
        }
        if draw(&rng, 2) == 0
            && let Some((_, id)) = stage.pick(&rng)
        {
            // It may fail, as any read.
            let _ = engine.warm_up(shape(id), None).await;
        }
        engine.index_now().await;
    }
}

/// Removes what nothing needs, until told to end. Time leaps now and then, so that everything is old.
pub(super) async fn reap(stage: Stage, rng: SeededRng) {
    const LEAPS: [Duration; 4] =
        [Duration::ZERO, Duration::ZERO, Duration::from_secs(60), Duration::from_secs(1_200)];
    while stage.pause(&rng, 25_000).await && !stage.is_closing() {
        let leap = LEAPS[super::weather::index(draw(&rng, 4))];
        stage.process.clock.advance(leap);
        reap_once(&stage).await;
        stage.count(|figures| figures.reaped += 1);
    }
}

/// One round; it may fail, and is done again later.
pub(super) async fn reap_once(stage: &Stage) {
    let process = &stage.process;
    let done = match stage.defect {
        Some(defect @ (Defect::ReapsUnderBackups | Defect::CollectsUnderBackups)) => {
            let estate = || wrong_estate(stage, defect);
            process.engine.reap(&estate).await.map(drop).map_err(|error| causes(&error))
        }
        _ => process.service.reap_once().await.map(drop).map_err(|error| causes(&error)),
    };
    if let Err(error) = done {
        stage.tell(&format!("the reaper failed: {error}"));
    }
}

/// What the catalog knows, but for what a defect leaves out.
fn wrong_estate(stage: &Stage, defect: Defect) -> Estate {
    let catalog = &stage.process.catalog;
    let mut estate = Estate {
        live: catalog.indexes().iter().map(|index| shape(index.id)).collect(),
        hidden: catalog.hidden().iter().map(|row| row.index.id).collect(),
        backups: BTreeMap::new(),
        ..Estate::default()
    };
    for job in catalog.restore_jobs() {
        if job.status == RestoreStatus::Pending {
            estate.restoring.insert(job.target_index_id);
        }
    }
    for backup in catalog.backups() {
        if defect == Defect::CollectsUnderBackups && backup.status != BackupStatus::Failed {
            let names = estate.backups.entry(backup.source_index_id).or_default();
            names.insert(backup.id.to_string());
        }
        estate.backups_under_way |= backup.status == BackupStatus::Initializing;
    }
    estate
}

/// Makes and deletes indexes and backups until told to end.
pub(super) async fn manage(stage: Stage, rng: SeededRng) {
    while stage.pause(&rng, 15_000).await && !stage.is_closing() {
        let (indexes, backups) = {
            let annals = stage.annals.lock();
            (annals.live_indexes().len(), annals.live_backups())
        };
        let picked = super::weather::index(draw(&rng, backups.len() as u64));
        let backup = backups.get(picked).cloned();
        let done = match (draw(&rng, 11), backup) {
            (0..=3, _) if backups.len() < BACKUPS_MAX => take_backup(&stage, &rng).await,
            (4..=6, Some(backup)) if indexes < INDEXES_MAX => restore(&stage, &backup).await,
            (7, _) if indexes < 2 => create(&stage).await,
            (8, Some(backup)) => delete_backup(&stage, &backup).await,
            (9 | 10, _) if indexes > 1 => delete_index(&stage, &rng).await,
            _ => Ok(()),
        };
        if let Err(violation) = done {
            return stage.keep(violation);
        }
    }
}

/// Makes an empty index.
pub(super) async fn create(stage: &Stage) -> Result<(), Violation> {
    let name = stage.annals.lock().draw_name("i");
    stage.annals.lock().ask_index(&name, None);
    let spec = r#"{"serverless":{"cloud":"aws","region":"us-east-1"}}"#;
    let body = format!(r#"{{"name":"{name}","dimension":2,"metric":"dotproduct","spec":{spec}}}"#);
    let made = stage.process.service.create_index(&context(), body.as_bytes()).await;
    if is_done(stage, &format!("create {name}"), made) {
        let id = found(stage, &name)?;
        let mut annals = stage.annals.lock();
        if let Some(note) = annals.indexes.get_mut(&name) {
            note.life = Life::Live;
            note.id = Some(id);
        }
    }
    Ok(())
}

async fn take_backup(stage: &Stage, rng: &SeededRng) -> Result<(), Violation> {
    let Some((source, _)) = stage.pick(rng) else { return Ok(()) };
    let name = stage.annals.lock().draw_name("b");
    stage.annals.lock().ask_backup(&name, &source);
    let body = format!(r#"{{"name":"{name}"}}"#);
    let service = &stage.process.service;
    let taken = service.create_backup(&context(), &source, body.as_bytes()).await;
    if !is_done(stage, &format!("backup {name}"), taken) {
        return Ok(());
    }
    stage.count(|figures| figures.backups += 1);
    let mut annals = stage.annals.lock();
    let now = annals.tick();
    if let Some(note) = annals.backups.get_mut(&name) {
        note.life = Life::Live;
        note.answered = now;
    }
    Ok(())
}

/// Makes an index from a backup and looks at what it holds before anybody writes to it.
async fn restore(stage: &Stage, backup: &str) -> Result<(), Violation> {
    let name = stage.annals.lock().draw_name("i");
    let Some(row) = stage.process.find_backup(backup) else { return Ok(()) };
    stage.annals.lock().ask_index(&name, Some(backup.to_owned()));
    let body = format!(r#"{{"name":"{name}"}}"#);
    let service = &stage.process.service;
    let (context, of) = (context(), row.id.to_string());
    let made = service.create_index_from_backup(&context, &of, body.as_bytes()).await;
    if !is_done(stage, &format!("restore into {name}"), made) {
        return Ok(());
    }
    stage.count(|figures| figures.restores += 1);
    let id = found(stage, &name)?;
    if stage.defect == Some(Defect::RestoreForgetsDeletes) {
        bring_back_deleted(stage, backup, id).await?;
    }
    let held = match state_of(&stage.process, id).await {
        Ok(held) => held,
        // The store is failing. The next process looks at it.
        Err(Violation::Unreadable(_)) => return Ok(()),
        Err(violation) => return Err(violation),
    };
    adopt(stage, &name, id, held)
}

/// A restored index was found to hold this: it must be what its backup holds.
pub(super) fn adopt(stage: &Stage, name: &str, id: IndexId, held: State) -> Result<(), Violation> {
    let mut annals = stage.annals.lock();
    let origin = annals.indexes.get(name).and_then(|note| note.origin.clone());
    if let Some(backup) = origin {
        judge_copy(&stage.process, &mut annals, &backup, &held)
            .map_err(|violation| violation.at(&format!("index {name} made from {backup}")))?;
    }
    if let Some(note) = annals.indexes.get_mut(name) {
        note.life = Life::Live;
        note.id = Some(id);
        note.base = held;
    }
    Ok(())
}

/// The defect of a restore that forgets deletes: a record is there again that the backup has not.
async fn bring_back_deleted(stage: &Stage, backup: &str, id: IndexId) -> Result<(), Violation> {
    let old = {
        let annals = stage.annals.lock();
        let source = annals.backups.get(backup).and_then(|note| annals.indexes.get(&note.source));
        let requests = source.map(|note| note.requests.as_slice()).unwrap_or_default();
        let deleted = requests.iter().rev().find(|request| request.value.is_none());
        let key = deleted.and_then(|request| request.keys.first().copied());
        key.and_then(|key| {
            let wrote = |request: &&super::replay::Request| {
                request.keys.contains(&key) && request.value.is_some()
            };
            Some((key, requests.iter().find(wrote)?.value?))
        })
    };
    if let Some((key, version)) = old {
        let name = space(super::callers::space_name(key.0))?;
        let records = vec![record(&key_name(key.1), version)?];
        drop(stage.process.engine.upsert(shape(id), &name, records).await);
    }
    Ok(())
}

async fn delete_backup(stage: &Stage, name: &str) -> Result<(), Violation> {
    let Some(row) = stage.process.find_backup(name) else { return Ok(()) };
    if let Some(note) = stage.annals.lock().backups.get_mut(name) {
        note.life = Life::Ending;
    }
    let deleted = stage.process.service.delete_backup(&context(), &row.id.to_string()).await;
    if is_done(stage, &format!("delete backup {name}"), deleted) {
        stage.count(|figures| figures.deleted += 1);
        if let Some(note) = stage.annals.lock().backups.get_mut(name) {
            note.life = Life::Gone;
        }
    }
    Ok(())
}

async fn delete_index(stage: &Stage, rng: &SeededRng) -> Result<(), Violation> {
    let Some((name, _)) = stage.pick(rng) else { return Ok(()) };
    end_index(stage, &name).await
}

/// Deletes an index.
pub(super) async fn end_index(stage: &Stage, name: &str) -> Result<(), Violation> {
    if let Some(note) = stage.annals.lock().indexes.get_mut(name) {
        note.life = Life::Ending;
    }
    let deleted = stage.process.service.delete_index(&context(), name).await;
    if is_done(stage, &format!("delete index {name}"), deleted) {
        stage.count(|figures| figures.deleted += 1);
        if let Some(note) = stage.annals.lock().indexes.get_mut(name) {
            note.life = Life::Gone;
        }
    }
    Ok(())
}

/// Whether a call was answered with success. After an error the next process shows what became of it.
fn is_done<T>(stage: &Stage, what: &str, answer: Result<T, ApiError>) -> bool {
    match answer {
        Ok(_) => {
            stage.tell(&format!("done: {what}"));
            true
        }
        Err(error) => {
            stage.tell(&format!("without success: {what}: {}", causes(&error)));
            false
        }
    }
}

fn found(stage: &Stage, name: &str) -> Result<IndexId, Violation> {
    let index = stage.process.find(name);
    index.map(|index| index.id).ok_or_else(|| Violation::Lost(format!("index {name}, just made")))
}
