//! Threads for long computations that nobody waits for.
//!
//! Building a segment keeps one processor busy for seconds. On a machine where all are busy it would
//! take as much time as the searches of a processor; so it runs on a thread that the system gives
//! less. INVARIANT: such a thread does nothing else and ends with its work, because a thread may not
//! raise its priority again.

/// What a processor is shared by: each step of niceness is about a tenth. 10 leaves a build the
/// whole of an idle processor, and a tenth of a busy one.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` on a thread of its own, at low priority where the system has one for threads. `None`
/// when there is no thread to be had, or the work panicked.
pub(crate) async fn run<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> Option<R> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    // WHY another thread waits for it: the runtime must know that something is under way. Under a
    // simulated clock it would else let hours go by.
    let ended = tokio::task::spawn_blocking(move || {
        let started = thread.spawn(move || {
            yield_to_others();
            work()
        });
        started.ok()?.join().ok()
    });
    ended.await.ok().flatten()
}

/// Refused, it is not worth a word: everything works as well, only less evenly.
fn yield_to_others() {
    // On other systems than Linux this is a property of the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(test)]
mod tests {
    //! Goal: building is what waits when processors are short. Method: the priority that the system
    //! reports for the thread of the work, and for the one that asked.

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn work_in_the_background_has_a_lower_priority_than_its_caller() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let inside = super::run("test", niceness).await.unwrap();
        assert_eq!(inside, (before + super::NICENESS).min(19));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn a_panic_in_the_background_is_told_to_the_caller() {
        assert!(super::run("test", || panic!("of this test")).await.is_none());
    }
}
