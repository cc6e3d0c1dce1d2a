//! `lodgepole doctor`: looks at everything that keeps a server from working, and says what to do.
//!
//! For somebody who was woken up: one line for each check, what was measured, and under what is not
//! as it should be what to do about it. A server that uses the data is asked, and its own settings
//! and limits are judged; without one they are those of this command, and the folder is opened here.
//! INVARIANT: nothing is changed in the data folder but a file for timing the disk, which is removed
//! again. Each check first measures and then judges what was measured, so that a test can judge what
//! this machine cannot show.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use lodgepole_server::Settings;
use lodgepole_server::operator::{Question, Reply, Status, Verification, ask};
use lodgepole_service::Inventory;
use lodgepole_storage::{SystemClock, local};
use lodgepole_types::Clock as _;

use crate::{data, settings};

mod certificates;
mod clock;
mod disk;
mod folder;
mod limits;
mod network;
mod report;
mod stored;

use clock::Times;
use folder::Files;
use report::{Check, Report};

const HELP: &str = "\
One line for each check: ok, warn or FAIL, what was looked at, and what was measured. Under warn and FAIL
stands what to do.

  server        whether one runs on this data folder; folder: whose it is; file system: of what kind
  sync          how long the disk takes to keep a small write; space, inodes: room on it
  ports         free, or served by the server, or held by something else; API keys: who is let in
  open files, mappings, memory, addresses: what the system allows, against settings and data
  clock         against the times in the data; certificate, local CA: days left, key, names
  backups       the last of each index; schedules, restores: what failed
  integrity     as `lodgepole verify`, with --deep as `lodgepole verify --deep`

Give it the settings of the server, as flags, variables or --config. Where a server runs on the data
folder it is asked for its own, and --data-dir is enough. It may be used at any time: nothing is changed,
and a server goes on serving.

Exit code 0: nothing FAILs. 1: something does.

Examples:
  lodgepole doctor --data-dir /var/lib/lodgepole
  lodgepole doctor --config /etc/lodgepole.toml --deep
  lodgepole doctor --json | jq -r '.checks[] | select(.verdict != \"ok\") | .check'";

/// The settings that matter here.
const NAMES: &[&str] = &[
    "data_dir",
    "listen",
    "index_ports",
    "tls",
    "tls_cert",
    "tls_key",
    "tls_dir",
    "domain",
    "insecure_no_auth",
    "connections_max",
    "request_buffer_bytes",
    "write_buffer_bytes",
    "block_cache_bytes",
    "tail_bytes_max",
    "index_batch_bytes",
];

/// The database without which there is no data in a folder.
const CATALOG: &str = "sys/catalog";

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("doctor")
        .about("Check everything that a server needs, and say what to do")
        .after_help(HELP)
        .arg(switch("deep", "Read all data, instead of opening and counting"))
        .arg(switch("json", "Print one JSON object"))
        .args(settings::flags(settings::some(NAMES)))
}

/// Looks, and prints what was found.
///
/// # Errors
/// When the settings cannot be used.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings::read(arguments, settings::some(NAMES))?;
    let deep = arguments.get_flag("deep");
    let holder = Holder::of(&settings.data_dir);
    let report = match &holder {
        Holder::Server(status) => look_at_server(&settings, status, deep),
        Holder::Silent(_) | Holder::Nobody => look_at_folder(&settings, &holder, deep),
    };
    report.print(arguments.get_flag("json"))
}

/// Who uses a data folder.
enum Holder {
    /// A server that answers.
    Server(Box<Status>),
    /// A server that does not tell; why.
    Silent(String),
    /// No server.
    Nobody,
}

impl Holder {
    fn of(data_dir: &Path) -> Self {
        match ask(data_dir, &Question::Status) {
            Ok(Some(Reply::Status(status))) => Self::Server(status),
            Ok(Some(Reply::Refused(why))) => Self::Silent(why),
            Ok(Some(_)) => Self::Silent("it is of another release".to_owned()),
            Ok(None) => match local::holder(data_dir) {
                Ok(None) => Self::Nobody,
                Ok(Some(process)) => {
                    Self::Silent(format!("process {process} holds the folder, and opens no socket"))
                }
                Err(error) => Self::unasked(&error),
            },
            Err(error) => Self::unasked(&error),
        }
    }

    fn unasked(error: &io::Error) -> Self {
        let is_other_user = error.kind() == io::ErrorKind::PermissionDenied;
        let hint = if is_other_user { "; run the doctor as the user of the folder" } else { "" };
        Self::Silent(format!("{error}{hint}"))
    }

    fn check(&self) -> Check {
        const NAME: &str = "server";
        match self {
            Self::Nobody => Check::ok(NAME, "none runs on this data folder"),
            Self::Silent(why) => Check::fail(
                NAME,
                format!("one is there but does not tell how it runs: {why}"),
                "if it is of another release, use its own doctor; if it is starting or stopping, wait; \
                 or else it hangs: look at its log, then end it. Nothing acknowledged is lost by that",
            ),
            Self::Server(status) => check_server(status),
        }
    }
}

fn check_server(status: &Status) -> Check {
    const NAME: &str = "server";
    let Status { version, process_id, .. } = status;
    let found = format!("{version} runs on this data folder, as process {process_id}");
    if !status.is_writable {
        let advice = "a change of the catalog failed, so it takes no more: look at its log, see to the \
                      disk, and start it again";
        return Check::fail(NAME, format!("{found}, but takes no changes"), advice);
    }
    let own = env!("CARGO_PKG_VERSION");
    if version != own || status.settings().is_none() {
        let advice = "some checks judge the settings of this command: use the server's own doctor";
        return Check::warn(NAME, format!("{found}; this is the doctor of {own}"), advice);
    }
    Check::ok(NAME, found)
}

/// The checks of a server that runs.
fn look_at_server(given: &Settings, status: &Status, deep: bool) -> Report {
    // The folder is the one that was named: seen from a container it may be another path.
    let settings = status.settings().unwrap_or_else(|| given.clone());
    let settings = Settings { data_dir: given.data_dir.clone(), ..settings };
    let mut report = Report::default();
    report.add([check_server(status)]);
    let inventory = &status.inventory;
    let mut times = look_at_disk(&mut report, &settings, true);
    times.row = inventory.newest_at;
    report.add([network::served(&settings, status.address, inventory)]);
    report.add([network::keys(&settings, status.address, inventory.key_is_needed)]);
    look_at_system(&mut report, &settings, times, Some(status.process_id));
    report.add(stored::judge(inventory, SystemClock::new().now()));
    report.add(match ask(&settings.data_dir, &Question::Verify { deep }) {
        Ok(Some(Reply::Verified(found))) => stored::integrity(&found, deep),
        Ok(Some(Reply::Refused(why))) => vec![unverified(&why)],
        Ok(_) => vec![unverified("the server ended meanwhile")],
        Err(error) => vec![unverified(&error.to_string())],
    });
    report
}

fn unverified(why: &str) -> Check {
    let advice = "ask again later: lodgepole verify";
    Check::warn("integrity", format!("not looked at: {why}"), advice)
}

/// The checks of a folder that no server uses.
fn look_at_folder(settings: &Settings, holder: &Holder, deep: bool) -> Report {
    let mut report = Report::default();
    report.add([holder.check()]);
    let mut times = look_at_disk(&mut report, settings, false);
    let opened = match holder {
        Holder::Nobody => look_inside(&settings.data_dir, deep),
        Holder::Silent(_) | Holder::Server(_) => Inside::Closed,
    };
    let inventory = match &opened {
        Inside::Opened(inventory, _) => inventory.clone(),
        Inside::Closed | Inside::Damaged(_) => Inventory::default(),
    };
    times.row = inventory.newest_at;
    if matches!(holder, Holder::Nobody) {
        report.add(network::free(settings, &inventory));
    }
    if !matches!(opened, Inside::Closed) || !has_data(&settings.data_dir) {
        report.add([network::keys(settings, settings.listen, inventory.key_is_needed)]);
    }
    look_at_system(&mut report, settings, times, None);
    match opened {
        Inside::Closed => {}
        Inside::Damaged(why) => report.add([Check::fail(
            "integrity",
            format!("the data cannot be opened: {why}"),
            "if another process holds it, end that; or else it is damage: keep the folder for a report \
             (docs/verify.md), and make indexes from backups of another machine",
        )]),
        Inside::Opened(inventory, found) => {
            report.add(stored::judge(&inventory, SystemClock::new().now()));
            report.add(match found {
                Ok(found) => stored::integrity(&found, deep),
                Err(error) => vec![unverified(&format!("{error:#}"))],
            });
        }
    }
    report
}

/// What there is to see in a folder.
enum Inside {
    /// It was not opened.
    Closed,
    /// It cannot be opened.
    Damaged(String),
    /// What it holds, and what is wrong with that.
    Opened(Inventory, anyhow::Result<Verification>),
}

/// Whether a server has ever used a folder. Opening one that is empty would begin a database there.
fn has_data(data_dir: &Path) -> bool {
    data_dir.join(CATALOG).is_dir()
}

/// Opens a folder, unless that would leave files there that its owner cannot write to.
fn look_inside(data_dir: &Path, deep: bool) -> Inside {
    let owner = folder::owner(data_dir).ok();
    let is_other = |user| owner.is_none_or(|owner| owner.is_other(user));
    if !has_data(data_dir) || folder::own_user().is_none_or(is_other) {
        return Inside::Closed;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Inside::Damaged(format!("no threads can be started: {error}")),
    };
    runtime.block_on(async {
        match data::open(data_dir).await {
            Ok(service) => {
                let inventory = service.inventory();
                let found = data::verify(&service, deep).await;
                service.shutdown().await;
                Inside::Opened(inventory, found)
            }
            Err(error) => Inside::Damaged(format!("{error:#}")),
        }
    })
}

/// The checks of the folder and its disk. Gives the times that files there have.
fn look_at_disk(report: &mut Report, settings: &Settings, is_served: bool) -> Times {
    let data_dir = settings.data_dir.as_path();
    let owner = folder::owner(data_dir);
    let is_there = owner.is_ok();
    let user = folder::own_user().unwrap_or_default();
    report.add([folder::judge(data_dir, owner, user, is_served)]);
    if !is_there {
        return Times::default();
    }
    report.add([folder::file_system(data_dir)]);
    // Before the disk is written to, or that would be the newest file.
    let newest = Files::below(data_dir).newest;
    let clock = SystemClock::new();
    let (check, times) = disk::sync(data_dir, &clock);
    report.add([check]);
    report.add(disk::space(data_dir));
    let just_now = times.and_then(|times| Some((times.written_at?, clock.now())));
    Times { row: None, file: newest, just_now }
}

/// The checks of what the system gives: limits, clock, certificates.
fn look_at_system(report: &mut Report, settings: &Settings, times: Times, server: Option<u32>) {
    let now = SystemClock::new().now();
    let files = Files::below(&settings.data_dir);
    report.add(limits::judge(&limits::measure(server), settings, files));
    report.add([clock::judge(now, times)]);
    report.add(certificates::judge(settings, now));
}
