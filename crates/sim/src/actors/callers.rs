//! Writers and readers: those who make requests and remember what they were told.
//!
//! A writer waits for each answer before its next request; there are several of them, so requests
//! overlap. Readers fetch, list and search, and enter for every record of the namespace they asked about
//! what they saw of it, absence included.

use lodgepole_engine::{Deletion, Effort, ListPage, Near, Query, ReadError, WriteError};
use lodgepole_types::{Classify, ErrorKind, IndexId, Lsn, Record, SeededRng};

use super::annals::{KEYS, SPACES, Told, key_name, keys_of, version_of};
use super::linear::{Action, Held};
use super::replay::Key;
use super::stage::{Defect, Stage};
use super::weather::{draw, index};
use crate::crash::contents::{record, record_id, shape, space};
use crate::crash::{Violation, causes};

/// Longest usual pause of a writer and of a reader, in microseconds.
const PAUSE_US: u64 = 4_000;
/// Pause after an error.
const PAUSE_AFTER_ERROR_US: u64 = 30_000;

/// One request for a write.
struct Wish {
    space: u8,
    keys: Vec<Key>,
    value: Held,
    /// Everything in the namespace.
    empties: bool,
}

impl Wish {
    fn draw(stage: &Stage, rng: &SeededRng) -> Self {
        let space = u8::from(draw(rng, 3) == 0);
        let kind = draw(rng, 12);
        if kind == 0 {
            return Self { space, keys: keys_of(space), value: None, empties: true };
        }
        let first = draw(rng, KEYS.into());
        let count = 1 + draw(rng, 4);
        let place = |step: u64| u8::try_from((first + step * 3) % u64::from(KEYS)).unwrap_or(0);
        let keys = (0..count).map(|step| (space, place(step))).collect();
        let value = (kind > 2).then(|| stage.annals.lock().draw_version());
        Self { space, keys, value, empties: false }
    }
}

/// Makes requests for writes, one after the other.
pub(super) async fn write(stage: Stage, rng: SeededRng, rounds: u64) {
    for _ in 0..rounds {
        if !stage.pause(&rng, PAUSE_US).await {
            return;
        }
        let Some((name, id)) = stage.pick(&rng) else { continue };
        let wish = Wish::draw(&stage, &rng);
        match write_once(&stage, &name, id, &wish).await {
            Ok(true) => {}
            Ok(false) if stage.pause(&rng, PAUSE_AFTER_ERROR_US).await => {}
            Ok(false) => return,
            Err(violation) => return stage.keep(violation),
        }
    }
}

/// Stores one record, for sure: a store that has recovered must take it. `false` when it did not.
pub(super) async fn write_one(stage: &Stage, name: &str, id: IndexId) -> Result<bool, Violation> {
    let value = Some(stage.annals.lock().draw_version());
    let wish = Wish { space: 0, keys: vec![(0, 0)], value, empties: false };
    write_once(stage, name, id, &wish).await
}

/// Makes one request; whether it was answered.
async fn write_once(
    stage: &Stage,
    name: &str,
    id: IndexId,
    wish: &Wish,
) -> Result<bool, Violation> {
    let entry = stage.annals.lock().begin_write(name, wish.keys.clone(), wish.value);
    stage.count(|figures| figures.writes += 1);
    if stage.defect == Some(Defect::AnswersBeforeDurable) {
        let (later, keys, value) = (stage.clone(), wish.keys.clone(), wish.value);
        let wish = Wish { keys, value, ..*wish };
        tokio::spawn(async move { request(&later, id, &wish).await });
        tokio::task::yield_now().await;
        stage.annals.lock().end_write(&entry, Told::Done(None));
        return Ok(true);
    }
    let answer = request(stage, id, wish).await?;
    let told = match &answer {
        Ok(lsn) => Told::Done(Some(*lsn)),
        Err(WriteError::NamespaceNotFound) => Told::Refused,
        Err(error) => {
            let causes = causes(error);
            let is_fenced = causes.contains("fenced");
            stage.tell(&format!("a write to {name} has no answer: {causes}"));
            stage.count(|figures| figures.fenced += u64::from(is_fenced));
            Told::Nothing
        }
    };
    let mut annals = stage.annals.lock();
    annals.end_write(&entry, told);
    match told {
        Told::Done(_) => {
            stage.process.note_owned(id, annals.begin_of(&entry));
            stage.count(|figures| figures.acknowledged += 1);
        }
        Told::Nothing => stage.count(|figures| figures.unanswered += 1),
        Told::Refused => return Ok(true),
    }
    Ok(answer.is_ok())
}

async fn request(
    stage: &Stage,
    id: IndexId,
    wish: &Wish,
) -> Result<Result<Lsn, WriteError>, Violation> {
    let (engine, shard) = (&stage.process.engine, shape(id));
    let name = space(SPACES[usize::from(wish.space)])?;
    let Some(version) = wish.value else {
        let ids = wish.keys.iter().map(|key| record_id(&key_name(key.1)));
        let what = if wish.empties {
            Deletion::All
        } else {
            Deletion::Ids(ids.collect::<Result<_, _>>()?)
        };
        return Ok(engine.delete(shard, &name, what).await);
    };
    let records = wish.keys.iter().map(|key| record(&key_name(key.1), version));
    let mut records: Vec<Record> = records.collect::<Result<_, _>>()?;
    if stage.defect == Some(Defect::SplitsRequests) && records.len() > 1 {
        let second = records.split_off(records.len() / 2);
        if let Err(error) = engine.upsert(shard, &name, records).await {
            return Ok(Err(error));
        }
        records = second;
    }
    Ok(engine.upsert(shard, &name, records).await)
}

/// Makes requests for reads, one after the other, and enters what was seen.
pub(super) async fn read(stage: Stage, rng: SeededRng, rounds: u64) {
    for _ in 0..rounds {
        if !stage.pause(&rng, PAUSE_US).await {
            return;
        }
        let Some((name, id)) = stage.pick(&rng) else { continue };
        let space = u8::from(draw(&rng, 3) == 0);
        let begin = stage.annals.lock().tick();
        let begin = stage.process.seen_from(id, begin);
        let seen = match draw(&rng, 4) {
            0 | 1 => fetch(&stage, &rng, id, space).await,
            2 => list(&stage, id, space).await,
            _ => search(&stage, id, space).await,
        };
        match seen {
            Ok(Ok(mut seen)) => {
                if stage.defect == Some(Defect::ReadsBeforeVisible) {
                    see_too_early(&stage, &name, &mut seen);
                }
                stage.annals.lock().note_seen(&name, begin, &seen);
                stage.count(|figures| figures.reads += 1);
            }
            Ok(Err(error)) if error.kind() == ErrorKind::DataLoss && !stage.process.has_rival() => {
                let text = format!("a false alarm in {name}: {}", causes(&error));
                return stage.keep(Violation::Unreadable(text));
            }
            Ok(Err(_)) => stage.count(|figures| figures.failed_reads += 1),
            Err(violation) => return stage.keep(violation),
        }
    }
}

type Seen = Vec<(Key, Action)>;

async fn fetch(
    stage: &Stage,
    rng: &SeededRng,
    id: IndexId,
    of: u8,
) -> Result<Result<Seen, ReadError>, Violation> {
    let first = draw(rng, KEYS.into());
    let wanted: Vec<u8> = (0..3_u64)
        .map(|step| u8::try_from((first + step) % u64::from(KEYS)).unwrap_or(0))
        .collect();
    let ids: Vec<_> =
        wanted.iter().map(|key| record_id(&key_name(*key))).collect::<Result<_, _>>()?;
    let name = space(SPACES[usize::from(of)])?;
    match stage.process.engine.fetch(shape(id), &name, &ids).await {
        Ok(fetched) => sightings(of, &wanted, &fetched.records).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

async fn list(stage: &Stage, id: IndexId, of: u8) -> Result<Result<Seen, ReadError>, Violation> {
    let page = ListPage { prefix: String::new(), after: None, limit: 100 };
    let name = space(SPACES[usize::from(of)])?;
    let listed = match stage.process.engine.list(shape(id), &name, &page).await {
        Ok(listed) => listed,
        Err(error) => return Ok(Err(error)),
    };
    let seen = keys_of(of).into_iter().map(|key| {
        let is_there = listed.ids.iter().any(|id| id.as_str() == key_name(key.1));
        (key, if is_there { Action::Present } else { Action::Read(None) })
    });
    Ok(Ok(seen.collect()))
}

async fn search(stage: &Stage, id: IndexId, of: u8) -> Result<Result<Seen, ReadError>, Violation> {
    let query = Query {
        near: Near::Dense(vec![1.0, 0.0]),
        top_k: 100,
        filter: None,
        include_values: true,
        include_metadata: true,
        effort: Effort::default(),
    };
    let name = space(SPACES[usize::from(of)])?;
    match stage.process.engine.query(shape(id), &name, query).await {
        Ok(answer) => {
            let records: Vec<_> = answer.hits.into_iter().map(|hit| hit.record).collect();
            let all: Vec<u8> = (0..KEYS).collect();
            sightings(of, &all, &records).map(Ok)
        }
        Err(error) => Ok(Err(error)),
    }
}

/// What an answer says about each record that was asked for.
fn sightings(of: u8, wanted: &[u8], found: &[Record]) -> Result<Seen, Violation> {
    let mut seen = Vec::new();
    for key in wanted {
        let name = key_name(*key);
        let hits: Vec<_> = found.iter().filter(|record| record.id.as_str() == name).collect();
        let held = match hits.as_slice() {
            [] => None,
            [record] => Some(version_of(*key, record)?),
            _ => return Err(Violation::Disagreement(format!("{name} found twice: {hits:?}"))),
        };
        seen.push(((of, *key), Action::Read(held)));
    }
    Ok(seen)
}

/// The defect of a reader that sees what is not durable yet.
fn see_too_early(stage: &Stage, name: &str, seen: &mut Seen) {
    let annals = stage.annals.lock();
    let Some(note) = annals.indexes.get(name) else { return };
    for (key, action) in seen {
        let waiting = note.requests.iter().rev().find(|request| request.is_waiting_for(*key));
        if let (Some(request), Action::Read(_)) = (waiting, *action) {
            *action = Action::Read(request.value);
        }
    }
}

/// A place in a table of spaces, for messages.
pub(super) fn space_name(of: u8) -> &'static str {
    SPACES.get(index(of.into())).copied().unwrap_or_default()
}
