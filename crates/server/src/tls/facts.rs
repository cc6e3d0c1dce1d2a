//! What a certificate says about itself: for how long it is valid, and for which names.
//!
//! WHY it is asked of the verifier and not read: the library that clients verify with does not give
//! these fields, but when it refuses a certificate it says what they are. It looks at the times before
//! anything else, so a certificate of any issuer can be asked at a time long ago and one far away. A
//! reader of our own, or one more library, could see it differently from clients.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use lodgepole_types::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};

use super::TlsError;

/// The year 9999, which certificates without an end name as theirs (RFC 5280, 4.1.2.5), is before it.
const FAR_AWAY_S: u64 = 253_402_300_800;

/// A name that no certificate has.
const NOBODY: &str = "nobody.invalid";

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The first moment at which it is valid.
    pub not_before: Timestamp,
    /// The last moment at which it is valid.
    pub not_after: Timestamp,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
}

impl CertificateFacts {
    /// Reads the first certificate of a PEM text. WHY not those behind it: some are there for old
    /// clients, and have expired without harm.
    ///
    /// # Errors
    /// [`TlsError::Content`], which names `path`.
    pub fn of(path: &Path, pem: &[u8]) -> Result<Self, TlsError> {
        let unreadable = |cause: String| TlsError::Content {
            path: path.to_owned(),
            what: "certificate",
            cause: cause.into(),
        };
        let der =
            CertificateDer::from_pem_slice(pem).map_err(|error| unreadable(error.to_string()))?;
        let facts = of_one(&der).map_err(|error| unreadable(error.to_string()))?;
        facts.ok_or_else(|| unreadable("it has no end".to_owned()))
    }

    /// Whole days from `now` to its end; negative when that has passed.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> i64 {
        days_between(now, self.not_after)
    }

    /// Whether it is for this name or address.
    #[must_use]
    pub fn covers(pem: &[u8], name: &str) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(pem) else { return false };
        let Ok(certificate) = ParsedCertificate::try_from(&der) else { return false };
        let name = ServerName::try_from(name.replace('*', "any"));
        name.is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    }
}

/// Whole days from one moment to another; negative when that is before.
pub(super) fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    to.0.saturating_sub(from.0).div_euclid(DAY_MS)
}

/// What one certificate says; `None` when the verifier does not say it.
#[expect(clippy::result_large_err, reason = "the error is rustls's")]
fn of_one(der: &CertificateDer<'_>) -> Result<Option<CertificateFacts>, rustls::Error> {
    let certificate = ParsedCertificate::try_from(der)?;
    let nobody =
        ServerName::try_from(NOBODY).map_err(|error| rustls::Error::General(error.to_string()))?;
    let names = match verify_server_name(&certificate, &nobody) {
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) => presented.iter().map(|name| plain(name)).collect(),
        _ => Vec::new(),
    };
    let (Some(not_before), Some(not_after)) =
        (limit(&certificate, 0), limit(&certificate, FAR_AWAY_S))
    else {
        return Ok(None);
    };
    Ok(Some(CertificateFacts { not_before, not_after, names }))
}

/// The limit of validity for which the certificate is refused at a time.
fn limit(certificate: &ParsedCertificate<'_>, at_s: u64) -> Option<Timestamp> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let roots = RootCertStore::empty();
    let refused =
        verify_server_cert_signed_by_trust_anchor(certificate, &roots, &[], at, algorithms.all);
    let rustls::Error::InvalidCertificate(why) = refused.err()? else { return None };
    let limit = if let CertificateError::NotValidYetContext { not_before, .. } = why {
        not_before
    } else if let CertificateError::ExpiredContext { not_after, .. } = why {
        not_after
    } else {
        return None;
    };
    i64::try_from(limit.as_secs()).ok()?.checked_mul(1_000).map(Timestamp)
}

/// The name in `DnsName("…")` or `IpAddress(…)`, where an address stands in a form of its own.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let inner = inner.map_or(name, |inner| inner.trim_matches('"'));
    inner.parse::<IpAddr>().map_or_else(|_| inner.to_owned(), |address| address.to_string())
}
