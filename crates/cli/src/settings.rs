//! Settings on the command line, the same for every subcommand that takes some.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, value_parser};
use lodgepole_server::{ENVIRONMENT_PREFIX, KEYS, Key, Layers, Settings};

/// The flags of these settings, and the one that names a file with settings.
pub(crate) fn flags<'a>(keys: impl IntoIterator<Item = &'a Key>) -> impl Iterator<Item = Arg> {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("TOML file with settings [variable: {ENVIRONMENT_PREFIX}CONFIG]"));
    let flags: Vec<_> = keys.into_iter().map(flag).collect();
    std::iter::once(config).chain(flags)
}

/// The settings of these names.
pub(crate) fn some(names: &[&str]) -> Vec<&'static Key> {
    KEYS.iter().filter(|key| names.contains(&key.name)).collect()
}

fn flag(key: &Key) -> Arg {
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

/// The defaults, with file, variables and the flags of these settings laid over them.
///
/// # Errors
/// When a value cannot be used.
pub(crate) fn read<'a>(
    arguments: &ArgMatches,
    keys: impl IntoIterator<Item = &'a Key>,
) -> anyhow::Result<Settings> {
    let mut layers = Layers::new();
    if let Some(path) = config_path(arguments) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the settings file {name} cannot be read"))?;
        layers = layers.file(&name, &text)?;
    }
    layers = layers.environment(Settings::process_variable)?;
    for key in keys {
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
