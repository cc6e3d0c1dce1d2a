//! `lodgepole keys`: makes, lists and revokes API keys.
//!
//! A server that uses the data folder is asked to do it, so that it takes effect at once; without
//! one the catalog is opened here. Either way the change is on stable storage when this ends.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use lodgepole_catalog::{Catalog, CatalogOptions, PortRange, Role};
use lodgepole_server::operator::{KeyLine, Question, Reply, ask};
use lodgepole_storage::local::{LocalOpenError, LocalOptions};
use lodgepole_storage::{OpenError, OsRng, Storage, StorageOptions, SystemClock};
use lodgepole_types::{Clock as _, Timestamp};

use crate::output::{complain, say};
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  lodgepole keys create --name backend
      Prints the key, once: only its hash is kept. It works at once, also on a running server.
      From the first key on, no other keys are accepted, not even from this machine.
  lodgepole keys create --name dashboard --role DataPlaneViewer
  lodgepole keys list
  lodgepole keys revoke backend";

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    let with_settings = |command: Command| command.args(settings::flags(settings::some(NAMES)));
    let roles = Role::ALL.map(Role::as_str);
    Command::new("keys")
        .about("Make, list and revoke API keys")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("create")
                .about("Make a key and print it, once")
                .arg(Arg::new("name").long("name").help("What to call it [default: its id]"))
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_parser(roles)
                        .ignore_case(true)
                        .default_value(Role::ProjectEditor.as_str())
                        .help("What it may do"),
                ),
        ))
        .subcommand(with_settings(
            Command::new("list").about("List the keys").arg(
                Arg::new("all")
                    .long("all")
                    .action(ArgAction::SetTrue)
                    .help("List the revoked ones too"),
            ),
        ))
        .subcommand(with_settings(
            Command::new("revoke")
                .about("Make a key work no more")
                .arg(Arg::new("key").required(true).value_name("ID|NAME").help("Which, see list")),
        ))
}

/// The settings that matter here.
const NAMES: &[&str] = &["data_dir"];

/// Makes, lists or revokes keys.
///
/// # Errors
/// When the folder is not that of a server, or the change is refused.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((what, arguments)) = arguments.subcommand() else { return Ok(ExitCode::from(2)) };
    let text = |name| arguments.try_get_one::<String>(name).ok().flatten().cloned();
    let question = match what {
        "create" => {
            let role = text("role").and_then(|role| Role::parse(&role)).context("no such role")?;
            Question::CreateKey { name: text("name"), role }
        }
        "list" => Question::ListKeys,
        _ => Question::RevokeKey { key: text("key").unwrap_or_default() },
    };
    let settings = settings::read(arguments, settings::some(NAMES))?;
    let data_dir = &settings.data_dir;
    let asked = ask(data_dir, &question).context("the server does not answer")?;
    let reply = match asked {
        Some(reply) => reply,
        None => answer_without_server(data_dir, question)?,
    };
    let shows_revoked = what == "list" && arguments.get_flag("all");
    print(reply, shows_revoked)
}

fn print(reply: Reply, shows_revoked: bool) -> anyhow::Result<ExitCode> {
    match reply {
        Reply::Created { key, text } => {
            say(&text);
            complain(&format!(
                "Key {} ({}), {}. It is shown this once: keep it safe.",
                key.id,
                key.name,
                key.role.as_str()
            ));
        }
        Reply::Keys(keys) => {
            for key in keys.iter().filter(|key| shows_revoked || key.revoked_at.is_none()) {
                say(&line(key));
            }
        }
        Reply::Revoked(key) => say(&format!("Key {} ({}) is revoked.", key.id, key.name)),
        Reply::Done | Reply::Verified(_) | Reply::Status(_) => {}
        Reply::Refused(why) => bail!(why),
    }
    Ok(ExitCode::SUCCESS)
}

fn line(key: &KeyLine) -> String {
    let revoked = key.revoked_at.as_ref().map(|at| format!("  revoked {at}")).unwrap_or_default();
    format!("{}  {:<18}  {}  {}{revoked}", key.id, key.role.as_str(), key.created_at, key.name)
}

fn answer_without_server(data_dir: &Path, question: Question) -> anyhow::Result<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = Arc::new(SystemClock::new());
        let now = clock.now();
        let rng = Arc::new(OsRng::new()?);
        let options = StorageOptions::default();
        let disk = LocalOptions::default();
        let storage = Storage::open_local(data_dir, disk, clock, rng, options)
            .map_err(|error| explained(error, data_dir))?;
        // The ports do not matter: no index is made here.
        let ports = PortRange::new(1, u16::MAX).context("no ports")?;
        let catalog = Catalog::open(&storage, CatalogOptions::new(ports)).await?;
        let reply = answer(&catalog, question, now).await;
        catalog.close().await?;
        Ok(reply)
    })
}

/// What to do when a data folder cannot be opened.
pub(crate) fn explained(error: OpenError, data_dir: &Path) -> anyhow::Error {
    let OpenError::Directory { source, .. } = &error;
    let is_used = matches!(source.downcast_ref(), Some(LocalOpenError::InUse { .. }));
    let error = anyhow::Error::new(error);
    if !is_used {
        return error;
    }
    error.context(format!(
        "{} is used by a server that does not answer its operator: it may be starting or stopping, \
         or be of another release",
        data_dir.display()
    ))
}

async fn answer(catalog: &Catalog, question: Question, now: Timestamp) -> Reply {
    let outcome = match question {
        Question::CreateKey { name, role } => match OsRng::new() {
            Ok(rng) => {
                let chance: (_, &dyn lodgepole_types::Rng) = (now, &rng);
                catalog.create_key(name.as_deref(), role, chance).await.map(Reply::from)
            }
            Err(error) => Ok(Reply::Refused(error.to_string())),
        },
        Question::ListKeys => {
            let keys = catalog.contents().api_keys();
            Ok(Reply::Keys(keys.iter().map(|key| KeyLine::from(&**key)).collect()))
        }
        Question::RevokeKey { key } => {
            catalog.revoke_key(&key, now).await.map(|key| Reply::Revoked(KeyLine::from(&*key)))
        }
        Question::ReloadTls | Question::Status | Question::Verify { .. } => {
            Ok(Reply::Refused("no server runs".to_owned()))
        }
    };
    outcome.unwrap_or_else(|error| Reply::Refused(error.to_string()))
}
