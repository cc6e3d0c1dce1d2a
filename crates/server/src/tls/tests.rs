//! Goal: the right certificate is shown, a new one without a restart, and a broken one never.
//! Method: an authority in a folder of its own, and a client that trusts it, in memory.
use lodgepole_storage::files::Readers;
use lodgepole_types::ManualClock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;

fn clock() -> Arc<ManualClock> {
    let clock = ManualClock::new(Duration::ZERO);
    // Not 1970: what the certificates say is compared with the clock of this machine.
    let now = lodgepole_storage::SystemClock::new().now();
    clock.advance(Duration::from_millis(u64::try_from(now.0).unwrap()));
    Arc::new(clock)
}

fn local(folder: &Path, clock: &Arc<ManualClock>) -> Result<Tls, TlsError> {
    let names = names("db.example.com", "10.0.0.7, Other.Example", "0.0.0.0".parse().unwrap());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Tls::open(Source::Local { folder: folder.to_owned(), names }, clock)
}

/// The certificate that a client sees who trusts `authority` and calls `name`.
async fn seen(tls: &Tls, authority: &Path, name: &str) -> Result<Vec<u8>, String> {
    let mut roots = RootCertStore::empty();
    let pem = files::read(authority).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let (client, server) = tokio::io::duplex(64 << 10);
    let connector = TlsConnector::from(Arc::new(config));
    let (client, _server) =
        tokio::join!(connector.connect(name, client), tls.acceptor().accept(server));
    let client = client.map_err(|error| error.to_string())?;
    Ok(client.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn clients_that_trust_the_authority_accept_every_name_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("tls");
    let tls = local(&inner, &clock()).unwrap();
    let authority = tls.local_authority().unwrap();
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "10.0.0.7",
        "other.example",
        "db.example.com",
        "songs-abc1234.svc.db.example.com",
    ] {
        assert!(seen(&tls, &authority, name).await.is_ok(), "{name}");
    }
    assert!(seen(&tls, &authority, "example.com").await.is_err());
    let other = tempfile::tempdir().unwrap();
    let other = local(other.path(), &clock()).unwrap();
    let error = seen(&other, &authority, "localhost").await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn the_authority_is_the_same_after_a_restart_and_its_key_is_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let first = local(folder.path(), &clock()).unwrap();
    let authority = first.local_authority().unwrap();
    let kept = files::read(&authority).unwrap();
    let second = local(folder.path(), &clock()).unwrap();
    assert_eq!(files::read(&authority).unwrap(), kept);
    assert!(seen(&second, &authority, "localhost").await.is_ok());
    let key = std::fs::metadata(folder.path().join("ca.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    files::remove(&authority).unwrap();
    let third = local(folder.path(), &clock()).unwrap();
    assert!(seen(&third, &authority, "localhost").await.is_ok(), "made anew from its key");
}

#[test]
fn an_authority_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    drop(local(folder.path(), &clock()).unwrap());
    drop(local(other.path(), &clock()).unwrap());
    let key = files::read(&other.path().join("ca.key")).unwrap();
    files::replace(&folder.path().join("ca.key"), &key, Readers::Owner).unwrap();
    let error = local(folder.path(), &clock()).unwrap_err().to_string();
    assert!(error.contains("ca.pem") && error.contains("remove"), "{error}");
    files::replace(&folder.path().join("ca.key"), b"nothing", Readers::Owner).unwrap();
    let error = local(folder.path(), &clock()).unwrap_err().to_string();
    assert!(error.contains("ca.key"), "{error}");
}

#[tokio::test]
async fn an_issued_certificate_is_exchanged_long_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let tls = local(folder.path(), &clock).unwrap();
    let authority = tls.local_authority().unwrap();
    let first = seen(&tls, &authority, "localhost").await.unwrap();
    clock.advance(RENEW_AGE / 2);
    assert!(!tls.is_stale());
    clock.advance(RENEW_AGE / 2);
    assert!(tls.is_stale());
    tls.reload().unwrap();
    assert!(!tls.is_stale());
    // Of the new one only that it is another: it begins in the future of this machine's clock.
    assert_ne!(seen(&tls, &authority, "localhost").await.ok(), Some(first));
}

#[tokio::test]
async fn a_pair_of_files_is_read_again_when_it_changes_and_a_broken_one_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let now = clock.now();
    let ca = folder.path().join("ca");
    let authority = Authority::open(&ca, now).unwrap();
    let pair = || authority.issue_file(&["db.example.com".to_owned()], now).unwrap();
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let write = |path: &Path, text: &str| {
        files::replace(path, text.as_bytes(), Readers::Owner).unwrap();
    };
    let first = pair();
    write(&certificate, &first.certificate);
    write(&key, &first.key);
    let source = Source::Files { certificate: certificate.clone(), key: key.clone() };
    let held: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let tls = Tls::open(source, held).unwrap();
    let root = Authority::certificate_path(&ca);
    let shown = seen(&tls, &root, "db.example.com").await.unwrap();
    assert!(!tls.is_stale());

    let second = pair();
    write(&certificate, &second.certificate);
    assert!(tls.is_stale(), "half of it is new");
    assert!(matches!(tls.reload().unwrap_err(), TlsError::Pair { .. }));
    assert!(!tls.is_stale(), "it is complained about once");
    assert_eq!(seen(&tls, &root, "db.example.com").await.unwrap(), shown, "the old one stays");
    write(&key, &second.key);
    assert!(tls.is_stale());
    tls.reload().unwrap();
    assert_ne!(seen(&tls, &root, "db.example.com").await.unwrap(), shown);
    for (path, text) in [(&certificate, ""), (&certificate, "nothing"), (&key, "nothing")] {
        write(path, text);
        assert!(tls.is_stale());
        assert!(tls.reload().unwrap_err().to_string().contains(&path.display().to_string()));
        write(&certificate, &second.certificate);
    }
    files::remove(&key).unwrap();
    assert!(matches!(tls.reload().unwrap_err(), TlsError::File { .. }));
}

#[test]
fn what_a_certificate_says_is_read_as_clients_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let now = clock().now();
    let authority = Authority::open(folder.path(), now).unwrap();
    let names: Vec<String> =
        ["db.example.com", "*.svc.db.example.com", "10.0.0.7", "::1"].map(str::to_owned).into();
    let issued = authority.issue(&names, now).unwrap();
    let path = Path::new("a.pem");
    let pem = issued.certificate.as_bytes();
    let facts = CertificateFacts::of(path, pem).unwrap();
    assert_eq!(facts.names, names);
    assert_eq!(facts.days_left(now), 89, "90 days, less the seconds that were cut off");
    assert_eq!(facts.days_left(facts.not_after), 0);
    assert_eq!(facts.days_left(Timestamp(facts.not_after.0 + 1)), -1);
    assert_eq!(now.since(facts.not_before).as_secs() / 3_600, 24);
    for (name, wanted) in [
        ("db.example.com", true),
        ("*.svc.db.example.com", true),
        ("10.0.0.7", true),
        ("example.com", false),
        ("10.0.0.8", false),
        ("no name", false),
    ] {
        assert_eq!(CertificateFacts::covers(pem, name), wanted, "{name}");
    }
    let root = files::read(&Authority::certificate_path(folder.path())).unwrap();
    let root = CertificateFacts::of(path, &root).unwrap();
    assert_eq!((root.days_left(now), root.names.len()), (3_649, 0));
    for bad in [&b""[..], b"nothing", &pem[..pem.len() / 4]] {
        let error = CertificateFacts::of(path, bad).unwrap_err().to_string();
        assert!(error.contains("a.pem holds no certificate"), "{error}");
    }
}

#[tokio::test]
async fn the_end_of_what_is_in_use_is_known_and_told_once_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let tls = local(folder.path(), &clock).unwrap();
    assert_eq!(tls.days_left(), 89);
    let (day, mut told) = (Duration::from_secs(24 * 60 * 60), None);
    tls.tell_of_end(&mut told);
    assert_eq!(told, None);
    clock.advance(60 * day);
    tls.tell_of_end(&mut told);
    assert_eq!(told, Some(29));
    clock.advance(day);
    tls.tell_of_end(&mut told);
    assert_eq!(told, Some(28));
    // The authority has ten years. What it issues in the last of its days ends with it.
    clock.advance(3_580 * day);
    tls.reload().unwrap();
    assert_eq!(tls.days_left(), 8);
}
