//! Goal: a certificate is told before clients refuse it, and one that they refuse at once. Method: an
//! authority in a folder of its own, whose certificates are looked at in other years.
use std::path::PathBuf;

use lodgepole_storage::SystemClock;
use lodgepole_storage::files::Readers;
use lodgepole_types::Clock as _;

use super::super::report::Verdict::{self, Fail, Ok as Good, Warn};
use super::*;

const DAY_MS: i64 = 86_400_000;

/// A folder with an authority and a pair for two names, valid for 397 days.
struct Bench {
    folder: tempfile::TempDir,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemClock::new().now();
        let bench = Self { folder, now };
        let names =
            ["db.example.com".to_owned(), "*.svc.db.example.com".to_owned(), "10.0.0.7".to_owned()];
        let issued =
            Authority::open(&bench.path("tls"), now).unwrap().issue_file(&names, now).unwrap();
        bench.put("a.pem", &issued.certificate);
        bench.put("a.key", &issued.key);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        files::replace(&self.path(name), text.as_bytes(), Readers::Owner).unwrap();
    }

    fn settings(&self) -> Settings {
        Settings {
            data_dir: self.folder.path().to_owned(),
            tls_cert: self.path("a.pem"),
            tls_key: self.path("a.key"),
            ..Settings::default()
        }
    }

    /// The verdicts for the pair and for the authority so many days from now.
    fn in_days(&self, days: i64) -> [Verdict; 2] {
        let checks = judge(&self.settings(), Timestamp(self.now.0 + days * DAY_MS));
        [checks[0].verdict, checks[1].verdict]
    }
}

#[test]
fn a_certificate_is_warned_about_in_its_last_month_and_fails_after_its_end() {
    let bench = Bench::new();
    let checks = judge(&bench.settings(), bench.now);
    let found = &checks[0].found;
    assert!(found.contains("396 days left") || found.contains("397 days left"), "{found}");
    assert!(found.contains("db.example.com, *.svc.db.example.com, 10.0.0.7"), "{found}");
    assert!(checks[1].found.contains("not used"), "{}", checks[1].found);
    assert_eq!(bench.in_days(0), [Good, Good]);
    assert_eq!(bench.in_days(366), [Good, Good]);
    assert_eq!(bench.in_days(368), [Warn, Good]);
    assert_eq!(bench.in_days(398), [Fail, Good]);
    assert_eq!(bench.in_days(3_625)[1], Warn, "the authority has ten years");
    assert_eq!(bench.in_days(3_651)[1], Fail);
    assert_eq!(bench.in_days(-2), [Fail, Fail], "not yet valid");
}

#[test]
fn files_that_do_not_belong_together_or_cannot_be_read_fail() {
    let bench = Bench::new();
    let now = bench.now;
    let other = Bench::new();
    let key = String::from_utf8(files::read(&other.path("a.key")).unwrap()).unwrap();
    bench.put("a.key", &key);
    let check = judge(&bench.settings(), now).remove(0);
    assert!(check.verdict == Fail && check.found.contains("cannot be used"), "{}", check.found);
    bench.put("a.pem", "nothing");
    assert_eq!(bench.in_days(0)[0], Fail);
    files::remove(&bench.path("a.pem")).unwrap();
    assert_eq!(bench.in_days(0)[0], Fail);
    let key = String::from_utf8(files::read(&other.path("tls/ca.key")).unwrap()).unwrap();
    bench.put("tls/ca.key", &key);
    assert_eq!(bench.in_days(0)[1], Fail);
    files::remove(&bench.path("tls/ca.key")).unwrap();
    assert_eq!(bench.in_days(0)[1], Fail);
    assert!(!bench.path("tls/ca.key").exists(), "nothing is made");
}

#[test]
fn a_domain_needs_a_certificate_for_the_names_of_its_indexes() {
    let bench = Bench::new();
    for (domain, wanted) in [("db.example.com", Good), ("other.example.com", Warn)] {
        let settings = Settings { domain: domain.to_owned(), ..bench.settings() };
        assert_eq!(judge(&settings, bench.now)[0].verdict, wanted, "{domain}");
    }
}

#[test]
fn without_tls_there_is_nothing_to_look_at_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
    let now = SystemClock::new().now();
    for tls in [TlsMode::Off, TlsMode::Local] {
        let checks = judge(&Settings { tls, ..settings.clone() }, now);
        assert_eq!(checks.iter().map(|check| check.verdict).collect::<Vec<_>>(), [Good]);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
