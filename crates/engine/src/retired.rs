//! The ids of indexes that were deleted, so that whoever still holds one is told that it is gone.
//!
//! A request may have looked an index up just before it was deleted, and the indexer may have it on
//! its list. Without the note they would find no database and report damage. INVARIANT: an id is
//! known for as long as there is data of it; afterwards the last [`GONE_MAX`] are. WHY not all: each
//! backup that is verified is a copy that is made and deleted, so a server that verifies by a timer
//! would grow for ever. WHY not by time: a list of the indexer may be hours long.

use std::collections::{HashSet, VecDeque};

use lodgepole_types::IndexId;

/// Ids without data that are known: half a megabyte, and more than can be deleted while a request runs.
const GONE_MAX: usize = 10_000;

/// The ids.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    known: HashSet<IndexId>,
    /// Those whose data is gone, in the order in which it went.
    gone: VecDeque<IndexId>,
}

impl Retired {
    /// Notes that an index was deleted.
    pub(crate) fn insert(&mut self, index: IndexId) {
        self.known.insert(index);
    }

    /// Whether an index was deleted.
    pub(crate) fn contains(&self, index: IndexId) -> bool {
        self.known.contains(&index)
    }

    /// Notes that the data of an index is gone, so that its id may be forgotten one day.
    pub(crate) fn data_is_gone(&mut self, index: IndexId) {
        if !self.known.contains(&index) {
            return;
        }
        self.gone.push_back(index);
        if self.gone.len() > GONE_MAX
            && let Some(oldest) = self.gone.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what has data is never forgotten, and what has none does not pile up. Method: ids in order.
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> IndexId {
        IndexId::from_uuid(Uuid::from_u128(number as u128))
    }

    #[test]
    fn only_ids_without_data_are_forgotten_and_the_oldest_first() {
        let mut retired = Retired::default();
        let with_data = id(usize::MAX);
        retired.insert(with_data);
        for number in 0..3 * GONE_MAX {
            retired.insert(id(number));
            retired.data_is_gone(id(number));
            assert!(retired.contains(id(number)));
        }
        assert!(retired.contains(with_data) && !retired.contains(id(0)));
        assert!(retired.contains(id(2 * GONE_MAX)) && !retired.contains(id(2 * GONE_MAX - 1)));
        assert_eq!((retired.known.len(), retired.gone.len()), (GONE_MAX + 1, GONE_MAX));
    }

    #[test]
    fn an_id_that_was_never_retired_takes_no_place() {
        let mut retired = Retired::default();
        retired.data_is_gone(id(1));
        assert!(!retired.contains(id(1)) && retired.gone.is_empty());
    }
}
