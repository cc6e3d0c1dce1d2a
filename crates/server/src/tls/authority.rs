//! The local authority: a certificate that clients are told to trust, and what it issues.
//!
//! Two files in a folder of its own, made when they are missing: `ca.pem`, which everybody may read,
//! and `ca.key`, which only the owner may. Certificates for servers are issued in memory at every
//! start, so that no other private key lies on the disk and nothing ever expires there.
//!
//! WHY its name holds a piece of its key: clients find an authority by its name, and two with one
//! name, as after a folder was made anew, give errors that nobody understands. The name also needs
//! no reading back from the file: it is worked out from the key.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lodgepole_storage::files::{self, Readers};
use lodgepole_types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::TlsError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the authority's own certificate is valid: exchanging it means going to every client.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long an issued certificate is valid. Some systems refuse more than 397 days.
const ISSUED_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const ISSUED_LIFE_LONG: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// An authority whose key is in this folder.
#[derive(Debug)]
pub struct Authority {
    path: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate and the authority's.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// Where the certificate that clients have to trust lies.
    #[must_use]
    pub fn certificate_path(folder: &Path) -> PathBuf {
        folder.join("ca.pem")
    }

    /// Opens the authority in this folder, making it when there is none.
    ///
    /// # Errors
    /// [`TlsError`] when the files cannot be read, written or used, or belong to different keys.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, TlsError> {
        let path = Self::certificate_path(folder);
        let key_path = folder.join("ca.key");
        let file = |path: &Path, what| {
            let path = path.to_owned();
            move |cause| TlsError::File { path, what, cause }
        };
        let is_missing = |path: &Path| files::stamp(path).is_err();
        if is_missing(&path) {
            files::create_folder(folder).map_err(file(folder, "written"))?;
            if is_missing(&key_path) {
                let key = KeyPair::generate().map_err(content(&key_path, "private key"))?;
                files::replace(&key_path, key.serialize_pem().as_bytes(), Readers::Owner)
                    .map_err(file(&key_path, "written"))?;
            }
        }
        let key = files::read(&key_path).map_err(file(&key_path, "read"))?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(&key))
            .map_err(content(&key_path, "private key"))?;
        if is_missing(&path) {
            let certificate = authority_params(&key, now)
                .self_signed(&key)
                .map_err(content(&path, "certificate"))?;
            files::replace(&path, certificate.pem().as_bytes(), Readers::Everybody)
                .map_err(file(&path, "written"))?;
        }
        let certificate = files::read(&path).map_err(file(&path, "read"))?;
        let certificate = String::from_utf8(certificate).map_err(content(&path, "certificate"))?;
        let issuer = Issuer::new(authority_params(&key, now), key);
        Ok(Self { path, certificate, issuer })
    }

    /// Issues a certificate for these names and addresses, valid for 90 days.
    ///
    /// # Errors
    /// [`TlsError::Names`] for names that cannot be; [`TlsError::Content`] when the authority's two
    /// files do not belong together.
    pub fn issue(&self, names: &[String], now: Timestamp) -> Result<Issued, TlsError> {
        self.issue_for(names, now, ISSUED_LIFE)
    }

    /// The same for a file that nobody renews: valid for 397 days, as long as clients accept.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_file(&self, names: &[String], now: Timestamp) -> Result<Issued, TlsError> {
        self.issue_for(names, now, ISSUED_LIFE_LONG)
    }

    fn issue_for(
        &self,
        names: &[String],
        now: Timestamp,
        life: Duration,
    ) -> Result<Issued, TlsError> {
        let refused = |cause: rcgen::Error| TlsError::Names {
            names: names.join(", "),
            cause: cause.to_string(),
        };
        let mut params = CertificateParams::new(names).map_err(refused)?;
        params.distinguished_name = named(names.first().map_or("", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, now, life);
        let key = KeyPair::generate().map_err(refused)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(refused)?;
        self.verify(leaf.der(), names, now)?;
        let certificate = format!("{}{}", leaf.pem(), self.certificate);
        Ok(Issued { certificate, key: key.serialize_pem() })
    }

    /// Looks at what was issued as a client does that trusts the authority's file.
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), TlsError> {
        let wrong = content(&self.path, "certificate for its key");
        let check = || -> Result<(), Box<dyn std::error::Error>> {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes())?)?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            let name = names.first().map_or("", String::as_str).replace('*', "any");
            let seconds = u64::try_from(now.0 / 1_000).unwrap_or_default();
            let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            verifier.verify_server_cert(leaf, &[], &ServerName::try_from(name)?, &[], at)?;
            Ok(())
        };
        check().map_err(|cause| {
            wrong(format!("{cause}; remove ca.pem and ca.key, and a new authority is made"))
        })
    }
}

fn authority_params(key: &KeyPair, now: Timestamp) -> CertificateParams {
    use rcgen::PublicKeyData as _;
    let piece: String =
        key.der_bytes().iter().skip(1).take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Lodgepole local CA {piece}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut params, now, AUTHORITY_LIFE);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "Lodgepole");
    // A common name has at most 64 letters; the names that count stand elsewhere.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

/// Valid from a day before now, for clients whose clock is behind, for as long as `life`.
fn limit(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or_default());
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + now + life;
}

fn content<E: std::fmt::Display>(path: &Path, what: &'static str) -> impl Fn(E) -> TlsError {
    let path = path.to_owned();
    move |cause| TlsError::Content { path: path.clone(), what, cause: cause.to_string().into() }
}
