//! `lodgepole cert`: a certificate of the local authority, for clients whose hosts cannot be changed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use lodgepole_server::tls::Authority;
use lodgepole_storage::SystemClock;
use lodgepole_storage::files::{self, Readers};
use lodgepole_types::Clock as _;

use crate::output::say;
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  lodgepole cert --for api.pinecone.io --for localhost --out certs
  lodgepole serve --listen 127.0.0.1:443 \\
      --tls-cert certs/api.pinecone.io.pem --tls-key certs/api.pinecone.io.key
      With `127.0.0.1 api.pinecone.io` in the hosts file, clients that call api.pinecone.io reach
      this server. docs/certificates.md tells the rest.";

/// The settings that matter here.
const NAMES: &[&str] = &["data_dir", "tls_dir"];

/// Describes the subcommand.
pub(crate) fn command() -> Command {
    Command::new("cert")
        .about("Issue a certificate of the local authority")
        .after_help(EXAMPLES)
        .arg(
            Arg::new("for")
                .long("for")
                .value_name("NAME")
                .required(true)
                .action(ArgAction::Append)
                .help("A name or an address that clients call; may be given several times"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value(".")
                .help("Folder for the certificate and its key"),
        )
        .args(settings::flags(settings::some(NAMES)))
}

/// Issues a certificate, making the authority when there is none.
///
/// # Errors
/// When a name cannot be, or a file cannot be read or written.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = settings::read(arguments, settings::some(NAMES))?;
    let names: Vec<String> =
        arguments.get_many::<String>("for").into_iter().flatten().cloned().collect();
    let out = arguments.get_one::<PathBuf>("out").map_or(Path::new("."), PathBuf::as_path);
    let folder = settings.tls_folder();
    let now = SystemClock::new().now();
    let issued = Authority::open(&folder, now)?.issue_file(&names, now)?;
    let name = names.first().map(|name| file_name(name)).context("no name")?;
    let write = |extension: &str, text: &str, readers| -> anyhow::Result<String> {
        let path = out.join(format!("{name}.{extension}"));
        files::replace(&path, text.as_bytes(), readers)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path.display().to_string())
    };
    files::create_folder(out).with_context(|| format!("{} cannot be made", out.display()))?;
    let key = write("key", &issued.key, Readers::Owner)?;
    let certificate = write("pem", &issued.certificate, Readers::Everybody)?;
    let authority = Authority::certificate_path(&folder);
    let authority = std::path::absolute(&authority).unwrap_or(authority);
    say(&format!("certificate: {certificate}"));
    say(&format!("key:         {key}"));
    say(&format!("clients have to trust: {}", authority.display()));
    Ok(ExitCode::SUCCESS)
}

/// A name as the name of a file.
fn file_name(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    let letters = name.chars().map(|letter| if fits(letter) { letter } else { '_' });
    letters.collect::<String>().trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    //! Goal: no name leads out of the folder. Method: names by hand.
    use super::*;

    #[test]
    fn a_name_becomes_the_name_of_a_file() {
        assert_eq!(file_name("api.pinecone.io"), "api.pinecone.io");
        assert_eq!(file_name("*.svc.x.com"), "_.svc.x.com");
        assert_eq!(file_name("../../etc/x"), "_.._etc_x");
        assert_eq!(file_name("::1"), "__1");
    }
}
