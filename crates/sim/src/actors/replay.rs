//! Whether what an index holds is what its requests have made of it, in the order of their Lsns.
//!
//! Every answered request has an Lsn, so the state at a cut is known but for requests without an answer:
//! each of those took effect as a whole at some place, or not at all. They are placed from the end: a
//! request fits where each of its records either shows what it wrote or was written again later. Placing
//! one that fits never hurts, because it only explains more records; so no search is needed.
//! INVARIANT: a state that holds a request in part is refused.

use std::collections::{BTreeMap, BTreeSet};

use lodgepole_types::Lsn;

use super::linear::Held;
use crate::crash::Violation;

/// A record: the number of its namespace and its own.
pub(super) type Key = (u8, u8);
/// The versions of the records that are there.
pub(super) type State = BTreeMap<Key, u16>;

/// A write, as its caller knows it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The records that it wrote or deleted.
    pub(super) keys: Vec<Key>,
    /// The version that it stored, or nothing for a deletion.
    pub(super) value: Held,
    /// When it was asked for.
    pub(super) begin: u64,
    /// When it can last have taken effect if it has no answer: the end of its process.
    pub(super) bound: u64,
    /// What its caller was told.
    pub(super) outcome: Outcome,
}

/// What the caller of a write was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing, or an error that leaves it open.
    Unknown,
    /// That it was refused.
    Refused,
    /// That it is durable, at this moment and with this Lsn.
    Answered(u64, Option<Lsn>),
}

impl Request {
    /// Whether it wrote this record and its process lives on without an answer to it.
    pub(super) fn is_waiting_for(&self, key: Key) -> bool {
        let is_open = self.outcome == Outcome::Unknown && self.bound == u64::MAX;
        is_open && self.keys.contains(&key)
    }

    fn lsn(&self) -> Option<Lsn> {
        match self.outcome {
            Outcome::Answered(_, lsn) => lsn,
            Outcome::Unknown | Outcome::Refused => None,
        }
    }

    fn end(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Answered(end, _) => Some(end),
            Outcome::Unknown | Outcome::Refused => None,
        }
    }

    fn fits(&self, found: &State, explained: &BTreeSet<Key>) -> bool {
        self.keys.iter().all(|key| explained.contains(key) || found.get(key).copied() == self.value)
    }
}

/// Up to where requests count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// The last Lsn that is held.
    pub(super) lsn: Lsn,
    /// Requests that began later are not held.
    pub(super) moment: u64,
}

impl Cut {
    /// Everything there is.
    pub(super) const NOW: Self = Self { lsn: Lsn(u64::MAX), moment: u64::MAX };
}

/// Explains `found` by the requests up to `cut` over what was there at first.
pub(super) fn explain(
    base: &State,
    requests: &[Request],
    cut: Cut,
    found: &State,
) -> Result<(), Violation> {
    let mut answered: Vec<(Lsn, &Request)> = requests
        .iter()
        .filter_map(|request| Some((request.lsn().filter(|lsn| *lsn <= cut.lsn)?, request)))
        .collect();
    answered.sort_by_key(|(lsn, _)| *lsn);
    let open: Vec<&Request> = requests
        .iter()
        .filter(|request| request.outcome != Outcome::Refused && request.lsn().is_none())
        .filter(|request| request.begin < cut.moment)
        .collect();
    let mut replay = Replay { found, open, explained: BTreeSet::new(), first_end: u64::MAX };
    while let Some((lsn, request)) = answered.pop() {
        let remaining = answered.iter().map(|(_, request)| request.begin).max();
        replay.place_open(remaining.unwrap_or(0).max(request.begin));
        if !request.fits(found, &replay.explained) {
            return Err(replay.misfit(&format!("{lsn:?}, {request:?}"), requests, &request.keys));
        }
        replay.explained.extend(&request.keys);
        replay.first_end = replay.first_end.min(request.end().unwrap_or(u64::MAX));
    }
    replay.place_open(0);
    let keys: BTreeSet<Key> = base.keys().chain(found.keys()).copied().collect();
    let wrong: Vec<Key> = keys
        .into_iter()
        .filter(|key| !replay.explained.contains(key) && base.get(key) != found.get(key))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(replay.misfit("what was there at first", requests, &wrong))
}

struct Replay<'a> {
    found: &'a State,
    /// Requests without an answer that have no place yet.
    open: Vec<&'a Request>,
    /// Records whose last write has been found.
    explained: BTreeSet<Key>,
    /// The first answer among the requests placed so far: what began after it has had its chance.
    first_end: u64,
}

impl Replay<'_> {
    /// Places the requests without an answer that fit here, before all placed so far; `latest_begin` is
    /// the latest beginning among the answered ones that come before.
    fn place_open(&mut self, latest_begin: u64) {
        loop {
            let fits = self.open.iter().position(|request| {
                request.begin <= self.first_end
                    && latest_begin <= request.bound
                    && request.fits(self.found, &self.explained)
            });
            let Some(at) = fits else { return };
            let request = self.open.swap_remove(at);
            self.explained.extend(&request.keys);
        }
    }

    /// Torn when what contradicts comes from a request without an answer, otherwise lost.
    fn misfit(&self, what: &str, requests: &[Request], keys: &[Key]) -> Violation {
        let wrong = keys.iter().find(|key| {
            !self.explained.contains(key) && {
                let held = self.found.get(key);
                requests.iter().any(|request| {
                    request.lsn().is_none()
                        && request.value.as_ref() == held
                        && held.is_some()
                        && request.keys.contains(key)
                })
            }
        });
        let text = format!("{:?} does not show {what}", self.found);
        if wrong.is_some() { Violation::Torn(text) } else { Violation::Lost(text) }
    }
}

#[cfg(test)]
mod tests;
