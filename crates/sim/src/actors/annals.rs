//! What all callers of a run asked for and were told, over all processes.
//!
//! The annals outlive every process. They hold no opinion of what the store contains: only requests,
//! answers and what was read, each with the moments of its beginning and its end. Moments are numbers
//! of one counter, exact because a run has one thread. INVARIANT: a request is entered before it is
//! made, so that nothing that could have taken effect is unknown.

use std::collections::BTreeMap;

use lodgepole_types::{IndexId, Lsn, Record};

use super::linear::{Action, Event, Held, is_linearizable};
use super::replay::{Key, Outcome, Request, State};
use crate::crash::Violation;
use crate::crash::contents::record;

/// The namespaces of every index.
pub(super) const SPACES: [&str; 2] = ["", "other"];
/// Records of a namespace.
pub(super) const KEYS: u8 = 8;

/// The id of a record.
pub(super) fn key_name(key: u8) -> String {
    format!("k{key}")
}

/// All keys of a namespace.
pub(super) fn keys_of(space: u8) -> Vec<Key> {
    (0..KEYS).map(|key| (space, key)).collect()
}

/// Where something that callers make and delete stands, as they were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Asked for, not answered.
    Asked,
    /// There.
    Live,
    /// Its deletion was asked for, not answered.
    Ending,
    /// Its deletion was answered, or it turned out that it never came to be.
    Gone,
}

/// What is known of an index.
#[derive(Debug)]
pub(super) struct IndexNote {
    pub(super) life: Life,
    /// Known once it is live.
    pub(super) id: Option<IndexId>,
    /// The backup that it was made of.
    pub(super) origin: Option<String>,
    /// What it held at first.
    pub(super) base: State,
    pub(super) requests: Vec<Request>,
    /// What was seen of its records.
    pub(super) seen: Vec<(Key, Event)>,
}

/// What is known of a backup.
#[derive(Debug)]
pub(super) struct BackupNote {
    pub(super) life: Life,
    /// The index that it was taken of.
    pub(super) source: String,
    /// When it was asked for, and when it was answered.
    pub(super) asked: u64,
    pub(super) answered: u64,
    /// What it was found to hold.
    pub(super) contents: Option<State>,
}

/// A request, to enter its outcome.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    index: String,
    number: usize,
}

/// Everything that was asked and answered.
#[derive(Debug, Default)]
pub(super) struct Annals {
    now: u64,
    version: u16,
    names: u32,
    /// What happened besides writes and reads, for whoever looks into a failure.
    pub(super) story: Vec<String>,
    pub(super) indexes: BTreeMap<String, IndexNote>,
    pub(super) backups: BTreeMap<String, BackupNote>,
}

impl Annals {
    /// A moment after all before it.
    pub(super) fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// Adds to the story.
    pub(super) fn tell(&mut self, what: &str) {
        let now = self.tick();
        self.story.push(format!("{now}: {what}"));
    }

    /// A version that no request has stored yet.
    pub(super) fn draw_version(&mut self) -> u16 {
        self.version += 1;
        self.version
    }

    /// A name that nothing had yet.
    pub(super) fn draw_name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    /// An index is asked for.
    pub(super) fn ask_index(&mut self, name: &str, origin: Option<String>) {
        self.tell(&format!("asks for index {name}, made from {origin:?}"));
        let note = IndexNote {
            life: Life::Asked,
            id: None,
            origin,
            base: State::new(),
            requests: Vec::new(),
            seen: Vec::new(),
        };
        self.indexes.insert(name.to_owned(), note);
    }

    /// A backup is asked for.
    pub(super) fn ask_backup(&mut self, name: &str, source: &str) {
        self.tell(&format!("asks for backup {name} of {source}"));
        let asked = self.tick();
        let note = BackupNote {
            life: Life::Asked,
            source: source.to_owned(),
            asked,
            answered: u64::MAX,
            contents: None,
        };
        self.backups.insert(name.to_owned(), note);
    }

    /// The indexes in a life, with their ids.
    pub(super) fn live_indexes(&self) -> Vec<(String, IndexId)> {
        let live = self.indexes.iter().filter(|(_, note)| note.life == Life::Live);
        live.filter_map(|(name, note)| Some((name.clone(), note.id?))).collect()
    }

    /// The names of the backups that are there.
    pub(super) fn live_backups(&self) -> Vec<String> {
        let live = self.backups.iter().filter(|(_, note)| note.life == Life::Live);
        live.map(|(name, _)| name.clone()).collect()
    }

    /// A write is about to be made.
    pub(super) fn begin_write(&mut self, index: &str, keys: Vec<Key>, value: Held) -> Entry {
        let begin = self.tick();
        let request = Request { keys, value, begin, bound: u64::MAX, outcome: Outcome::Unknown };
        let mut number = 0;
        if let Some(note) = self.indexes.get_mut(index) {
            number = note.requests.len();
            note.requests.push(request);
        }
        Entry { index: index.to_owned(), number }
    }

    /// The outcome of a write is known.
    pub(super) fn end_write(&mut self, entry: &Entry, told: Told) {
        let now = self.tick();
        let note = self.indexes.get_mut(&entry.index);
        if let Some(request) = note.and_then(|note| note.requests.get_mut(entry.number)) {
            request.outcome = match told {
                Told::Done(lsn) => Outcome::Answered(now, lsn),
                Told::Refused => Outcome::Refused,
                Told::Nothing => Outcome::Unknown,
            };
        }
    }

    /// When a request began.
    pub(super) fn begin_of(&self, entry: &Entry) -> u64 {
        let note = self.indexes.get(&entry.index);
        note.and_then(|note| note.requests.get(entry.number)).map_or(0, |request| request.begin)
    }

    /// What was seen of records between a moment and now.
    pub(super) fn note_seen(&mut self, index: &str, begin: u64, seen: &[(Key, Action)]) {
        let end = self.tick();
        if let Some(note) = self.indexes.get_mut(index) {
            let event = |action| Event { begin, end, certain: true, action };
            note.seen.extend(seen.iter().map(|(key, action)| (*key, event(*action))));
        }
    }

    /// All processes have ended: what had no answer took effect before now, or never does.
    pub(super) fn end_of_processes(&mut self) {
        let now = self.tick();
        for request in self.indexes.values_mut().flat_map(|note| &mut note.requests) {
            request.bound = request.bound.min(now);
        }
    }

    /// Every record of every index, from first to last, behaves as one register. Gives how many
    /// histories were looked at.
    pub(super) fn check_registers(&self) -> Result<u64, Violation> {
        let mut checked = 0;
        for (name, note) in &self.indexes {
            for key in (0..2).flat_map(keys_of) {
                let events = note.events_of(key);
                checked += u64::from(!events.is_empty());
                if !is_linearizable(note.base.get(&key).copied(), &events) {
                    let shown: Vec<_> = events.iter().map(shown).collect();
                    let place = format!("index {name}, namespace {}, {}", key.0, key_name(key.1));
                    let text = format!("{place} is no register:\n  {}", shown.join("\n  "));
                    return Err(Violation::Lost(text));
                }
            }
        }
        Ok(checked)
    }
}

/// What the caller of a write was told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// It is durable, with this Lsn.
    Done(Option<Lsn>),
    /// Nothing was done.
    Refused,
    /// It is not known whether it was done.
    Nothing,
}

impl IndexNote {
    fn events_of(&self, key: Key) -> Vec<Event> {
        let writes = self.requests.iter().filter(|request| request.keys.contains(&key));
        let mut events: Vec<Event> = writes
            .filter_map(|request| {
                let (end, certain) = match request.outcome {
                    Outcome::Answered(end, _) => (end, true),
                    Outcome::Unknown => (request.bound, false),
                    Outcome::Refused => return None,
                };
                let action = Action::Write(request.value);
                Some(Event { begin: request.begin, end, certain, action })
            })
            .collect();
        events.extend(self.seen.iter().filter(|(of, _)| *of == key).map(|(_, event)| *event));
        events.sort_by_key(|event| (event.begin, event.end));
        events
    }
}

fn shown(event: &Event) -> String {
    let end = if event.end == u64::MAX { String::new() } else { event.end.to_string() };
    let doubt = if event.certain { "" } else { ", without an answer" };
    format!("{}..{end}: {:?}{doubt}", event.begin, event.action)
}

/// Which version of a record this is.
///
/// # Errors
/// [`Violation::Torn`] when it is none that could have been stored.
pub(super) fn version_of(key: u8, found: &Record) -> Result<u16, Violation> {
    let number = found.values.first().copied().unwrap_or(f32::NAN);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared below")]
    let version = number as u16;
    if *found == record(&key_name(key), version)? {
        return Ok(version);
    }
    Err(Violation::Torn(format!("a record that nobody stored: {found:?}")))
}
