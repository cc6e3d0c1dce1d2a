//! Log lines on stderr, as text or JSON.
//!
//! Panics are log lines too: a task that panics ends quietly otherwise.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Settings};

/// The filter of log lines cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log_level '{level}' is not a level or a list of levels by module: {cause}")]
pub(crate) struct LogLevelError {
    level: String,
    cause: tracing_subscriber::filter::ParseError,
}

/// Directs the log of this process to stderr. A process that has directed it already keeps it, as
/// several servers in one test do.
///
/// # Errors
/// When the level cannot be read.
pub(crate) fn install(settings: &Settings) -> Result<(), LogLevelError> {
    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|cause| LogLevelError { level: settings.log_level.clone(), cause })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let installed = match settings.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if installed.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(message, place, "a task panicked; this is a defect, please report it");
}
