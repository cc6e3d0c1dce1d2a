//! `lodgepole serve`: runs the server.
//!
//! Every setting is a flag, made from the table of settings, so the help cannot miss one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};
use lodgepole_server::{
    Components, ENVIRONMENT_PREFIX, Ended, KEYS, Key, Layers, Server, Settings,
};
use lodgepole_storage::local::{LocalOptions, SyncMode};
use lodgepole_storage::{OsRng, SystemClock};

use crate::output::say;

const EXAMPLES: &str = "\
Settings come from a TOML file (--config), LODGEPOLE_* variables and flags; later ones win.
`lodgepole config --defaults` prints the documented file.

Examples:
  lodgepole serve
      Data in ./data, control plane on http://127.0.0.1:5080, indexes on 5081 and up.
  lodgepole serve --data-dir /var/lib/lodgepole --listen 127.0.0.1:6080
      Another folder and port; indexes are on 6081 and up.
  lodgepole serve --listen 0.0.0.0:5080 --index-ports 5081-5090 --insecure-no-auth
      In a container that publishes the ports 5080 to 5090, in a network that is trusted.

Clients: set PINECONE_CONTROLLER_HOST=http://localhost:5080 and use any API key.
When it is ready, one line on stdout says so. SIGTERM or SIGINT stops it cleanly.";

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("TOML file with settings [variable: {ENVIRONMENT_PREFIX}CONFIG]"));
    Command::new("serve")
        .about("Run the server")
        .after_help(EXAMPLES)
        .arg(config)
        .arg(sync_mode_flag())
        .args(KEYS.iter().map(flag))
}

fn flag(key: &'static Key) -> Arg {
    let lines: Vec<&str> = key.documentation().collect();
    let text = lines.join(" ");
    let source =
        format!("[default: {}] [variable: {}]", key.default_text(), key.environment_name());
    let short = text.split_inclusive(". ").next().unwrap_or(&text).trim_end();
    let flag = Arg::new(key.name)
        .long(key.flag_name())
        .value_name(key.value_name)
        .help(format!("{short} {source}"))
        .long_help(format!("{text}\n{source}"));
    if key.is_switch() {
        flag.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        flag
    }
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When the settings cannot be used or the server does not start.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings(arguments)?;
    let components = Components {
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(OsRng::new()?),
        disk: LocalOptions { sync: sync_mode(arguments), ..LocalOptions::default() },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the threads of the server cannot be started")?;
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

/// The defaults, with file, variables and flags laid over them.
fn settings(arguments: &ArgMatches) -> anyhow::Result<Settings> {
    let mut layers = Layers::new();
    if let Some(path) = config_path(arguments) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the settings file {name} cannot be read"))?;
        layers = layers.file(&name, &text)?;
    }
    layers = layers.environment(Settings::process_variable)?;
    for key in KEYS {
        let is_given = arguments.value_source(key.name) == Some(ValueSource::CommandLine);
        if let Some(text) = arguments.get_one::<String>(key.name).filter(|_| is_given) {
            layers = layers.flag(key, text)?;
        }
    }
    Ok(layers.settings()?)
}

fn config_path(arguments: &ArgMatches) -> Option<PathBuf> {
    let flag = arguments.get_one::<PathBuf>("config").cloned();
    let variable = || Settings::process_variable(&format!("{ENVIRONMENT_PREFIX}CONFIG"));
    flag.or_else(|| variable().filter(|path| !path.is_empty()).map(PathBuf::from))
}
