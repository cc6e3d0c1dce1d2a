//! Counting panics: also those that a task or a thread swallows.
//!
//! The hook of the process is replaced once. A panic of a thread that runs cases, or of one that is
//! not known, is kept for the next [`take`]; others go on to the hook that was there, so that tests
//! beside this one print theirs. Threads that work for a case (background, search) belong to nobody:
//! with several cases at once, their panic is put down to the one that looks first.

use std::cell::Cell;
use std::panic;
use std::sync::{Mutex, Once, PoisonError};

/// Threads of the engine, by their names' beginnings; those of tests have the tests' names.
const OWN: [&str; 4] = ["search", "background", "build", "audit"];
const KEPT_MAX: usize = 1_000;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

/// Panics of this thread are counted from now on.
pub(super) fn watch_this_thread() {
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            let is_own = OWN.iter().any(|own| name.contains(own));
            if IS_WATCHED.get() || is_own || name.is_empty() {
                let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() < KEPT_MAX {
                    seen.push(panic.to_string());
                }
            } else {
                before(panic);
            }
        }));
    });
    IS_WATCHED.set(true);
}

/// The panics since the last call.
pub(super) fn take() -> Vec<String> {
    std::mem::take(&mut SEEN.lock().unwrap_or_else(PoisonError::into_inner))
}
