//! TLS: which certificate is shown, and when it is exchanged.
//!
//! The certificate comes from a local authority that this server makes on its first start, or from
//! two PEM files that somebody else keeps up to date. Either way a new one is taken over without a
//! restart: connections that are open go on with the old one. When the end of the one in use is near,
//! the log says so once a day, and `/metrics` always: nobody looks at an authority for ten years. INVARIANT: a new certificate that
//! cannot be used changes nothing; the old one is shown on, and the log says what is wrong.
//!
//! WHY keys are not made with `types::Rng`: the libraries for TLS draw from the operating system
//! themselves, and a repeatable key would be none.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lodgepole_storage::files::{self, Stamp};
use lodgepole_types::{Clock, Timestamp};
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

mod authority;
mod facts;

pub use authority::{Authority, Issued};
pub use facts::CertificateFacts;
use facts::days_between;

/// How often the files of a certificate are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Age at which a certificate of the local authority is exchanged: a third of its life.
const RENEW_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Days before the end of a certificate from which the log warns.
const WARN_DAYS: i64 = 30;

/// What is agreed on inside TLS, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a certificate cannot be used. Each text is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("the file {} cannot be {what}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what} that can be used: {cause}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        cause: Box<str>,
    },
    /// Certificate and key are no pair, or are of a kind that is not supported.
    #[error("the certificate {} and its key cannot be used: {cause}", path.display())]
    Pair {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong with them.
        cause: String,
    },
    /// A name is none that a certificate can have.
    #[error("no certificate can be made for {names}: {cause}")]
    Names {
        /// The names, with commas between them.
        names: String,
        /// What is wrong with them.
        cause: String,
    },
}

/// Where the certificate comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A local authority issues one for these names.
    Local {
        /// Where the authority is kept.
        folder: PathBuf,
        /// What clients may call this server.
        names: Vec<String>,
    },
    /// Two files, PEM.
    Files {
        /// The certificate, with those between it and its root.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// What tells when a certificate has to be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    IssuedAt(Timestamp),
    Stamps(Option<Stamp>, Option<Stamp>),
}

/// A certificate that is in use.
struct Loaded {
    config: Arc<ServerConfig>,
    /// The end of it, or of its authority if that is sooner.
    not_after: Timestamp,
}

/// The certificate that is shown at the moment.
pub(crate) struct Tls {
    source: Source,
    current: RwLock<Loaded>,
    /// Of the last attempt, also when it failed, so that a broken pair is complained about once.
    mark: Mutex<Mark>,
    clock: Arc<dyn Clock>,
    told: Notify,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Tls {
    /// Gets the first certificate.
    ///
    /// # Errors
    /// [`TlsError`] when there is none that can be used.
    pub(crate) fn open(source: Source, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let mark = source.mark(clock.now());
        let loaded = source.load(clock.now())?;
        Ok(Self {
            source,
            current: RwLock::new(loaded),
            mark: Mutex::new(mark),
            clock,
            told: Notify::new(),
        })
    }

    /// Performs handshakes with the certificate of this moment.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().config))
    }

    /// Whole days for which the certificate in use, and its authority, are still valid.
    pub(crate) fn days_left(&self) -> i64 {
        days_between(self.clock.now(), self.current.read().not_after)
    }

    /// The certificate of the local authority, which clients have to trust.
    pub(crate) fn local_authority(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Local { folder, .. } => Some(Authority::certificate_path(folder)),
            Source::Files { .. } => None,
        }
    }

    /// Gets the certificate anew.
    ///
    /// # Errors
    /// [`TlsError`]; the old one is shown on.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let now = self.clock.now();
        // Before reading: a change while reading is then seen by the next look.
        *self.mark.lock() = self.source.mark(now);
        let loaded = self.source.load(now)?;
        *self.current.write() = loaded;
        Ok(())
    }

    /// Asks [`Tls::keep_fresh`] to reload, whether something changed or not.
    pub(crate) fn tell(&self) {
        self.told.notify_one();
    }

    /// Exchanges the certificate when it is time, for ever.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let mut told = None;
        loop {
            self.tell_of_end(&mut told);
            let is_told = tokio::select! {
                biased;
                () = self.told.notified() => true,
                () = self.clock.sleep(LOOK_INTERVAL) => false,
            };
            if !is_told && !self.is_stale() {
                continue;
            }
            match self.reload() {
                Ok(()) => tracing::info!("a new certificate is in use"),
                Err(error) => {
                    tracing::error!(%error, "the new certificate cannot be used; the old one stays");
                }
            }
        }
    }

    /// Warns when the end is near, once for each number of days. What the log was told stands in `told`.
    fn tell_of_end(&self, told: &mut Option<i64>) {
        let days_left = self.days_left();
        if days_left < WARN_DAYS && *told != Some(days_left) {
            let advice = "lodgepole doctor says what to do";
            tracing::warn!(days_left, advice, "the certificate, or its authority, expires soon");
            *told = Some(days_left);
        }
    }

    fn is_stale(&self) -> bool {
        let now = self.clock.now();
        match (*self.mark.lock(), self.source.mark(now)) {
            (Mark::IssuedAt(then), _) => now.since(then) >= RENEW_AGE,
            (known, found) => known != found,
        }
    }
}

impl Source {
    fn mark(&self, now: Timestamp) -> Mark {
        match self {
            Self::Local { .. } => Mark::IssuedAt(now),
            Self::Files { certificate, key } => {
                Mark::Stamps(files::stamp(certificate).ok(), files::stamp(key).ok())
            }
        }
    }

    fn load(&self, now: Timestamp) -> Result<Loaded, TlsError> {
        match self {
            Self::Local { folder, names } => {
                let issued = Authority::open(folder, now)?.issue(names, now)?;
                let path = Authority::certificate_path(folder);
                let chain = issued.certificate.as_bytes();
                let config = config(&path, chain, (&path, issued.key.as_bytes()))?;
                let issued = CertificateFacts::of(&path, chain)?.not_after;
                let authority = CertificateFacts::of(&path, &read(&path)?)?.not_after;
                Ok(Loaded { config, not_after: issued.min(authority) })
            }
            Self::Files { certificate, key } => {
                let chain = read(certificate)?;
                let config = config(certificate, &chain, (key, &read(key)?))?;
                let not_after = CertificateFacts::of(certificate, &chain)?.not_after;
                Ok(Loaded { config, not_after })
            }
        }
    }
}

/// What clients may call this server: this machine, the names below the domain, and what the
/// operator adds, each once.
pub(crate) fn names(domain: &str, more: &str, address: IpAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let machine = rustix::system::uname();
    names.push(machine.nodename().to_string_lossy().to_ascii_lowercase());
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    if !domain.is_empty() {
        let domain = domain.to_ascii_lowercase();
        names.extend([format!("*.svc.{domain}"), format!("*.{domain}"), domain]);
    }
    names.extend(more.split(',').map(|name| name.trim().to_ascii_lowercase()));
    let mut known = BTreeSet::new();
    names.retain(|name| !name.is_empty() && known.insert(name.clone()));
    names
}

/// Looks whether a certificate and its key, both PEM files, can be used together.
///
/// # Errors
/// [`TlsError`], as a server that is given them would say.
pub fn check_pair(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    config(certificate, &read(certificate)?, (key, &read(key)?)).map(drop)
}

/// What a handshake needs, made from PEM.
fn config(
    path: &Path,
    certificate: &[u8],
    (key_path, key): (&Path, &[u8]),
) -> Result<Arc<ServerConfig>, TlsError> {
    let content = |path: &Path, what, cause: String| TlsError::Content {
        path: path.to_owned(),
        what,
        cause: cause.into(),
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| content(path, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(content(path, "certificate", "it is no PEM file".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| content(key_path, "private key", error.to_string()))?;
    let pair =
        |error: rustls::Error| TlsError::Pair { path: path.to_owned(), cause: error.to_string() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    files::read(path).map_err(|cause| TlsError::File { path: path.to_owned(), what: "read", cause })
}

#[cfg(test)]
mod tests;
