//! Certificates: the one that is shown to clients, and that of the local authority, which clients trust.
//!
//! Nothing is made here: an authority that is not there yet is no fault.

use std::path::Path;

use lodgepole_server::Settings;
use lodgepole_server::settings::TlsMode;
use lodgepole_server::tls::{Authority, CertificateFacts, TlsError, check_pair};
use lodgepole_storage::files;
use lodgepole_types::Timestamp;

use super::report::{Check, listed};

/// Time to get a new certificate, and to bring a new authority to every client.
const DAYS_LOW: i64 = 30;

/// Looks at the certificates that the settings name.
pub(super) fn judge(settings: &Settings, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    if !settings.tls_cert.as_os_str().is_empty() {
        checks.push(judge_pair(settings, now));
    }
    let folder = settings.tls_folder();
    let is_there = Authority::certificate_path(&folder).is_file();
    if is_there {
        checks.push(judge_authority(&folder, settings, now));
    } else if settings.tls == TlsMode::Local {
        let found = format!("none in {} yet: made on the next start", folder.display());
        checks.push(Check::ok("local CA", found));
    }
    if checks.is_empty() {
        checks.push(Check::ok("certificate", "TLS is off"));
    }
    checks
}

fn judge_pair(settings: &Settings, now: Timestamp) -> Check {
    const NAME: &str = "certificate";
    let path = &settings.tls_cert;
    let advice = "put a new pair in its place; the server takes it over within seconds";
    if let Err(error) = check_pair(path, &settings.tls_key) {
        return Check::fail(NAME, error.to_string(), advice);
    }
    let (pem, facts) = match facts(path) {
        Ok(known) => known,
        Err(error) => return Check::fail(NAME, error.to_string(), advice),
    };
    if let Some(check) = judge_ends(NAME, path, &facts, now, advice) {
        return check;
    }
    let found = format!(
        "{}, {} days left, for {}",
        path.display(),
        facts.days_left(now),
        listed(&facts.names)
    );
    let wildcard = format!("*.svc.{}", settings.domain);
    if !settings.domain.is_empty() && !CertificateFacts::covers(&pem, &wildcard) {
        let advice =
            format!("clients find indexes below {wildcard}: get a certificate with that name");
        return Check::warn(NAME, found, advice);
    }
    Check::ok(NAME, found)
}

fn judge_authority(folder: &Path, settings: &Settings, now: Timestamp) -> Check {
    const NAME: &str = "local CA";
    let path = Authority::certificate_path(folder);
    let advice = "remove ca.pem and ca.key, start the server again, and give every client the new \
                  ca.pem (docs/certificates.md)";
    let facts = match facts(&path) {
        Ok((_, facts)) => facts,
        Err(error) => return Check::fail(NAME, error.to_string(), advice),
    };
    // Both files are there or this fails; so it writes nothing.
    let names = ["localhost".to_owned()];
    let works = Authority::open(folder, now).and_then(|authority| authority.issue(&names, now));
    if let Err(error) = works {
        return Check::fail(NAME, error.to_string(), advice);
    }
    if let Some(check) = judge_ends(NAME, &path, &facts, now, advice) {
        return check;
    }
    let unused = match settings.tls {
        TlsMode::Local => "",
        TlsMode::Off => ", not used by these settings",
    };
    Check::ok(NAME, format!("{}, {} days left{unused}", path.display(), facts.days_left(now)))
}

fn facts(path: &Path) -> Result<(Vec<u8>, CertificateFacts), TlsError> {
    let read = files::read(path);
    let pem =
        read.map_err(|cause| TlsError::File { path: path.to_owned(), what: "read", cause })?;
    CertificateFacts::of(path, &pem).map(|facts| (pem, facts))
}

/// What is wrong with the time for which a certificate is valid.
fn judge_ends(
    name: &'static str,
    path: &Path,
    facts: &CertificateFacts,
    now: Timestamp,
    advice: &str,
) -> Option<Check> {
    let path = path.display();
    if now < facts.not_before {
        let begins = facts.not_before.rfc3339();
        let found = format!("{path} is valid from {begins} on");
        return Some(Check::fail(
            name,
            found,
            "clients refuse it: look at the clock of this machine",
        ));
    }
    if facts.not_after < now {
        let found = format!("{path} expired on {}: clients refuse it", facts.not_after.rfc3339());
        return Some(Check::fail(name, found, advice));
    }
    let days = facts.days_left(now);
    let found = format!("{path} expires in {days} days, on {}", facts.not_after.rfc3339());
    (days < DAYS_LOW).then(|| Check::warn(name, found, advice))
}

#[cfg(test)]
mod tests;
