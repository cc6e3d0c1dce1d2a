//! Whether what was seen of one record can be explained by one register.
//!
//! The search of Wing and Gong with memory (Lowe, "Testing for linearizability", 2017): put the events
//! one after the other, each at a moment between its beginning and its end, so that every read sees
//! what was written last. Linearizability is local, so each record is looked at alone, which keeps the
//! search short. A write without an answer may have taken effect at any moment up to its bound, or
//! never. INVARIANT: the verdict is exact; the shortcuts only leave out searches that others make up for.
//! WHY shortcuts: a dozen writes without an answer, of which each may have happened or not, would be
//! thousands of histories to look at; most of them nobody has seen.

use std::collections::HashSet;

/// What a record holds: the version that was written, or nothing.
pub type Held = Option<u16>;

/// One event of the history of a record. Moments are numbers, each given once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When it was asked for.
    pub begin: u64,
    /// When it was answered; for a write without an answer, when it can last have taken effect.
    pub end: u64,
    /// Whether it happened for sure.
    pub certain: bool,
    /// What it did or saw.
    pub action: Action,
}

/// What an event did or saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The record was stored in a version, or deleted.
    Write(Held),
    /// The record was seen in a version, or missed.
    Read(Held),
    /// The record was seen, in some version.
    Present,
}

impl Action {
    fn sees(self, held: Held) -> bool {
        match self {
            Self::Write(_) => false,
            Self::Read(seen) => seen == held,
            Self::Present => held.is_some(),
        }
    }
}

/// Whether the events can be put into an order that explains them, beginning with `first`.
#[must_use]
pub fn is_linearizable(first: Held, events: &[Event]) -> bool {
    let search = Search { events };
    let mut placed = Placed { done: vec![0; events.len().div_ceil(64)], latest_begin: 0 };
    search.goes_on(first, &mut placed, &mut HashSet::new())
}

struct Search<'a> {
    events: &'a [Event],
}

/// The events that have their place.
#[derive(Clone)]
struct Placed {
    done: Vec<u64>,
    /// The latest beginning among them: what had to come before it no longer can.
    latest_begin: u64,
}

impl Placed {
    fn holds(&self, at: usize) -> bool {
        self.done[at / 64] & (1 << (at % 64)) != 0
    }

    fn with(&self, at: usize, event: &Event) -> Self {
        let mut next = self.clone();
        next.done[at / 64] |= 1 << (at % 64);
        next.latest_begin = next.latest_begin.max(event.begin);
        next
    }
}

impl<'a> Search<'a> {
    /// The events that have no place yet.
    fn open<'b>(
        &self,
        placed: &'b Placed,
    ) -> impl Iterator<Item = (usize, &'a Event)> + use<'a, 'b> {
        let events: &'a [Event] = self.events;
        events.iter().enumerate().filter(|(at, _)| !placed.holds(*at))
    }

    fn goes_on(
        &self,
        held: Held,
        placed: &mut Placed,
        refuted: &mut HashSet<(Vec<u64>, Held)>,
    ) -> bool {
        self.place_reads(held, placed);
        let open = || self.open(placed);
        if open().all(|(_, event)| !event.certain) {
            return true;
        }
        if !refuted.insert((placed.done.clone(), held)) {
            return false;
        }
        let first_end = self.first_end(placed);
        for (at, event) in open() {
            let is_pointless = || !event.certain && !self.is_worth_placing(at, placed, first_end);
            if !Self::can_be_next(event, placed, first_end) || is_pointless() {
                continue;
            }
            let after = match event.action {
                Action::Write(value) => value,
                Action::Read(_) | Action::Present if event.action.sees(held) => held,
                Action::Read(_) | Action::Present => continue,
            };
            if self.goes_on(after, &mut placed.with(at, event), refuted) {
                return true;
            }
        }
        false
    }

    /// Whatever must happen and has no place yet ends no earlier than this.
    fn first_end(&self, placed: &Placed) -> u64 {
        self.open(placed)
            .filter(|(_, event)| event.certain)
            .map(|(_, event)| event.end)
            .min()
            .unwrap_or(u64::MAX)
    }

    fn can_be_next(event: &Event, placed: &Placed, first_end: u64) -> bool {
        event.begin <= first_end && placed.latest_begin <= event.end
    }

    /// Whether a write without an answer, which can be next, has to be tried. One that is followed by
    /// another write or by nothing may as well not have happened, so a read that sees it comes after it;
    /// and of two that do the same, the one with the earlier moments leaves more to the other.
    fn is_worth_placing(&self, at: usize, placed: &Placed, first_end: u64) -> bool {
        let event = &self.events[at];
        let after = placed.with(at, event);
        let is_seen = self.open(&after).any(|(_, read)| {
            Self::shows(read, event) && Self::can_be_next(read, &after, first_end)
        });
        let is_second = || {
            self.open(placed).any(|(other_at, other)| {
                !other.certain
                    && other.action == event.action
                    && (other.begin, other.end, other_at) < (event.begin, event.end, at)
                    && other.end <= event.end
                    && Self::can_be_next(other, placed, first_end)
            })
        };
        is_seen && !is_second()
    }

    /// Whether a read sees what a write stores.
    fn shows(read: &Event, write: &Event) -> bool {
        matches!(write.action, Action::Write(value) if read.action.sees(value))
    }

    /// Places the reads that see what is held now. Nothing is lost by it: in whatever order the rest
    /// comes, such a read may as well come first, unless a write without an answer has to come
    /// before it: one that still can, and that somebody sees.
    fn place_reads(&self, held: Held, placed: &mut Placed) {
        loop {
            let first_end = self.first_end(placed);
            let still_counts = |event: &Event| {
                !event.certain
                    && placed.latest_begin <= event.end
                    && self.open(placed).any(|(_, read)| Self::shows(read, event))
            };
            let last_chance = self
                .open(placed)
                .filter(|(_, event)| still_counts(event))
                .map(|(_, event)| event.end)
                .min();
            let found = self.open(placed).find(|(_, event)| {
                event.action.sees(held)
                    && Self::can_be_next(event, placed, first_end)
                    && last_chance.is_none_or(|end| event.begin <= end)
            });
            let Some((at, event)) = found else { return };
            *placed = placed.with(at, event);
        }
    }
}

#[cfg(test)]
mod tests;
