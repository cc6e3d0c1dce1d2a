//! `lodgepole serve`: runs the server.
//!
//! Every setting is a flag, made from the table of settings, so the help cannot miss one.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use lodgepole_server::{Components, Ended, KEYS, Server};
use lodgepole_storage::local::{LocalOptions, SyncMode};
use lodgepole_storage::{OsRng, SystemClock};

use crate::output::say;
use crate::settings::{self, flags};

/// See [`file_threads`].
const FILE_THREADS_PER_PROCESSOR: usize = 16;
/// Many indexes are synced at once also where there are few processors.
const FILE_THREADS_MIN: usize = 64;
/// As many as the runtime has when it is not told.
const FILE_THREADS_MAX: usize = 512;

const EXAMPLES: &str = "\
Settings come from a TOML file (--config), LODGEPOLE_* variables and flags; later ones win.
`lodgepole config --defaults` prints the documented file.

Examples:
  lodgepole serve
      Data in ./data, control plane on http://127.0.0.1:5080, indexes on 5081 and up.
  lodgepole serve --data-dir /var/lib/lodgepole --listen 127.0.0.1:6080
      Another folder and port; indexes are on 6081 and up.
  lodgepole serve --tls local
      With TLS too; the line after \"ready\" names the certificate that clients have to trust.
  lodgepole serve --listen 0.0.0.0:5080 --index-ports 5081-5090 --tls local
      In a container that publishes the ports 5080 to 5090. It needs an API key:
      `lodgepole keys create`, with the same --data-dir, makes one.

Clients: set PINECONE_CONTROLLER_HOST=http://localhost:5080. Until the first API key is made, any
key is accepted on this machine.
When it is ready, one line on stdout says so. SIGTERM or SIGINT stops it cleanly,
SIGHUP reads the certificate again.";

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    Command::new("serve")
        .about("Run the server")
        .after_help(EXAMPLES)
        .arg(sync_mode_flag())
        .args(flags(KEYS))
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When the settings cannot be used or the server does not start.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings::read(arguments, KEYS)?;
    let components = Components {
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(OsRng::new()?),
        disk: LocalOptions { sync: sync_mode(arguments), ..LocalOptions::default() },
    };
    let runtime = runtime().context("the threads of the server cannot be started")?;
    let ended = runtime.block_on(async {
        let server = Server::start(settings, components).await?;
        let ready_line = server.ready_line();
        server.run(|| say(&ready_line)).await
    });
    // Whatever is still running has been given its time.
    runtime.shutdown_background();
    Ok(match ended? {
        Ended::Clean | Ended::CutOff => ExitCode::SUCCESS,
        Ended::Forced => ExitCode::FAILURE,
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(file_threads())
        .build()
}

/// Most threads that work on files. WHY not as many as come, up to 512: one moment with much to do,
/// such as a round of the reaper, makes more and more of them, and while there is any load they take
/// turns and none is idle for long enough to end. Each keeps some 350 KiB, so that memory grew with
/// the age of the server. More than this at once do not make a disk faster.
fn file_threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (FILE_THREADS_PER_PROCESSOR * processors).clamp(FILE_THREADS_MIN, FILE_THREADS_MAX)
}

/// Weakens the syncing of files, so that the power-cut suite can be shown to fail. Not a setting,
/// and hidden: anything but `full` loses acknowledged writes.
fn sync_mode_flag() -> Arg {
    Arg::new("sync-mode")
        .long("sync-mode")
        .hide(true)
        .value_parser(["full", "skip-file", "skip-folder"])
        .default_value("full")
}

fn sync_mode(arguments: &ArgMatches) -> SyncMode {
    match arguments.get_one::<String>("sync-mode").map(String::as_str) {
        Some("skip-file") => SyncMode::SkipFile,
        Some("skip-folder") => SyncMode::SkipFolder,
        _ => SyncMode::Full,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a burst of work on files does not leave hundreds of threads behind. Method: more work at
    //! once than there may be threads, each piece of which notes how many others it runs beside.
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_of_work_on_files_is_done_by_a_bounded_number_of_threads() {
        let runtime = runtime().unwrap();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = 3 * file_threads();
        let done = runtime.block_on(async {
            let pieces: Vec<_> = (0..work)
                .map(|_| {
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    tokio::task::spawn_blocking(move || {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::park_timeout(Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                    })
                })
                .collect();
            let mut done = 0;
            for piece in pieces {
                piece.await.unwrap();
                done += 1;
            }
            done
        });
        let most = most.load(Ordering::SeqCst);
        assert_eq!(done, work);
        assert!((2..=file_threads()).contains(&most), "{most} at once");
    }
}
