//! What must hold in every state: nothing needed is missing, and nothing unneeded stays for ever.
//!
//! The second half is checked without fairness assumptions: from each state that can be reached,
//! running operations, reaper and collection alone are let run until they come to rest, and then
//! storage must hold what the living need and no more.

use stateright::Property;

use super::{Action, Collection, Database, Life, Lifetimes, Row, Set, State, View};

/// Name of the property that nothing needed is missing.
pub const NOTHING_IS_LOST: &str = "what somebody needs exists";
/// Name of the property that nothing unneeded stays for ever.
pub const NOTHING_LEAKS: &str = "what nobody needs goes";
/// Name of the witness: a clone of a clone outlives both its ancestors.
pub const ORPHAN_LIVES: &str = "a clone of a clone outlives its ancestors";
/// Name of the witness: an index is made from a backup whose index is deleted.
pub const BACKUP_OUTLIVES: &str = "a backup outlives its index and becomes one";
/// Name of the witness: a hidden database waits for a clone.
pub const HIDDEN_WAITS: &str = "a hidden database waits for its clone";

/// All of them.
#[must_use]
pub fn all() -> Vec<Property<Lifetimes>> {
    vec![
        Property::always(NOTHING_IS_LOST, |_, state| nothing_is_lost(state)),
        Property::always(NOTHING_LEAKS, |model, state| is_clean(&settle(model, *state))),
        Property::sometimes(ORPHAN_LIVES, |_, state| orphan_lives(state)),
        Property::sometimes(BACKUP_OUTLIVES, |_, state| backup_outlives(state)),
        Property::sometimes(HIDDEN_WAITS, |_, state| hidden_waits(state)),
    ]
}

/// What the backups that are Ready refer to.
fn views_of_backups(state: &State) -> impl Iterator<Item = (usize, Option<View>)> + '_ {
    state.backups.iter().enumerate().filter_map(|(backup, row)| match row {
        Row::Ready(source) => {
            Some((usize::from(*source), state.backup_pin(usize::from(*source), backup)))
        }
        Row::Free | Row::Initializing(_) | Row::Void(_) | Row::Gone => None,
    })
}

/// The segments in the rows of the backups that are Ready.
#[must_use]
pub fn segments_of_backups(state: &State) -> Set {
    views_of_backups(state)
        .filter_map(|(_, view)| view)
        .fold(Set::EMPTY, |all, view| all.with(view.segments))
}

/// Whether all that a live index, a running restore or a backup refers to exists.
#[must_use]
pub fn nothing_is_lost(state: &State) -> bool {
    let files = state.files();
    let exists = |view: View| files.holds(view.files) && state.segments.holds(view.segments);
    let database_is_whole = |database: &Database| match (database.life, database.manifest) {
        (Life::Live | Life::Cloning(_), Some(manifest)) => exists(manifest.view),
        (Life::Live, None) => false,
        // A restore that has read nothing yet can still fail without harm.
        (Life::Cloning(_), None) => true,
        (Life::Absent | Life::Hidden | Life::Doomed | Life::Gone, _) => true,
    };
    state.databases.iter().all(database_is_whole)
        && views_of_backups(state).all(|(_, view)| view.is_some_and(exists))
}

/// Lets everything but users run until it comes to rest.
fn settle(model: &Lifetimes, mut state: State) -> State {
    let housekeeping = model.housekeeping();
    loop {
        let before = state;
        for step in &housekeeping {
            while let Some(next) = model.apply(&state, *step) {
                state = next;
            }
        }
        state.collection = Collection::Idle;
        for step in [Action::MarkDatabases, Action::MarkBackups, Action::Sweep] {
            state = model.apply(&state, step).unwrap_or(state);
        }
        if state == before {
            return state;
        }
    }
}

/// Whether storage holds only what an index or a backup needs.
fn is_clean(state: &State) -> bool {
    let of_backups = views_of_backups(state)
        .filter_map(|(_, view)| view)
        .fold(Set::EMPTY, |all, view| all.with(view.files));
    let live = state.databases.iter().filter(|database| database.life == Life::Live);
    let manifests: Vec<_> = live.filter_map(|database| database.manifest).collect();
    let files = manifests.iter().map(|manifest| manifest.view.files);
    let needed = files.fold(of_backups, Set::with);
    // Deleted indexes keep files for others, but no segments.
    let segments = manifests.iter().map(|manifest| manifest.view.segments);
    let segments = segments.fold(segments_of_backups(state), Set::with);
    let databases_are_clean = state.databases.iter().enumerate().all(|(number, database)| {
        // A deleted index stays for the sake of backups only, whoever else reads its files.
        let may_stay = database.life == Life::Live
            || views_of_backups(state).any(|(source, _)| source == number)
            || !of_backups.shared(Set::made_by(number)).is_empty();
        match database.manifest {
            None => database.files.is_empty(),
            Some(of) => may_stay && of.view.files.with(needed).holds(database.files),
        }
    });
    databases_are_clean
        && segments.holds(state.segments)
        && state.backups.iter().all(|row| matches!(row, Row::Free | Row::Ready(_) | Row::Gone))
}

/// Only a clone of a clone is left, of three databases.
fn orphan_lives(state: &State) -> bool {
    let [first, second, third] = &state.databases;
    first.life == Life::Gone && second.life == Life::Gone && third.life == Life::Live
}

fn backup_outlives(state: &State) -> bool {
    state.databases.iter().any(|database| match (database.life, database.manifest) {
        (Life::Cloning(_), Some(manifest)) => {
            manifest.ancestors().any(|source| state.databases[source].life == Life::Hidden)
        }
        _ => false,
    })
}

fn hidden_waits(state: &State) -> bool {
    state.databases.iter().any(|database| {
        database.life == Life::Hidden
            && database.manifest.is_some_and(|manifest| {
                manifest.pins.clones.iter().any(Option::is_some)
                    && manifest.pins.backups.iter().all(Option::is_none)
            })
    })
}
