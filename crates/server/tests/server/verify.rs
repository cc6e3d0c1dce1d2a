//! Goal: looking for damage burdens a server once at a time, and only while somebody waits for it; and
//! a server tells how it runs. Method: questions to the operator's socket, one of them hung up on.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use lodgepole_server::operator::{Question, Reply, ask};
use lodgepole_storage::SystemClock;
use lodgepole_types::Clock as _;
use serde_json::json;

use crate::client::Running;

/// Enough for a look to take long: each is copied and opened.
const BACKUPS: u64 = 40;

async fn operator(folder: &Path, question: Question) -> Reply {
    let folder = folder.to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&folder, &question)).await.unwrap();
    asked.unwrap().expect("a server answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_is_one_at_a_time_and_ends_when_its_caller_leaves() {
    let server = Running::start().await;
    let folder = server.folder().to_owned();
    server.index("first").await;
    for _ in 0..BACKUPS {
        let made = server.control(Method::POST, "/indexes/first/backups", json!({})).await;
        assert_eq!(made.status, StatusCode::OK, "{:?}", made.body);
    }
    let clock = SystemClock::new();
    let begun = clock.elapsed();
    let whole = operator(&folder, Question::Verify { deep: false }).await;
    let whole_time = clock.elapsed() - begun;
    let Reply::Verified(found) = whole else { panic!("{whole:?}") };
    assert_eq!((found.backups, found.findings.len()), (BACKUPS, 0));

    let mut caller = UnixStream::connect(folder.join("operator.sock")).unwrap();
    caller.write_all(b"{\"ask\":\"verify\",\"deep\":false}\n").unwrap();
    let begun = clock.elapsed();
    // Until the server has read it, another may be taken instead.
    clock.sleep(whole_time / 10).await;
    let second = operator(&folder, Question::Verify { deep: false }).await;
    let Reply::Refused(why) = second else { panic!("{second:?}") };
    assert!(why.contains("under way"), "{why}");
    drop(caller);
    while operator(&folder, Question::Verify { deep: false }).await == Reply::Refused(why.clone()) {
        assert!(clock.elapsed() - begun < 20 * whole_time, "it never ends");
        clock.sleep(Duration::from_millis(5)).await;
    }
    // The last question took a whole time of its own.
    let taken = clock.elapsed() - begun;
    assert!(
        taken < whole_time * 17 / 10,
        "the first went on: {taken:?}, a whole one {whole_time:?}"
    );
}

#[tokio::test]
async fn a_server_tells_how_it_runs() {
    let server = Running::start().await;
    server.index("first").await;
    let reply = operator(server.folder(), Question::Status).await;
    let Reply::Status(status) = reply else { panic!("{reply:?}") };
    assert_eq!((status.process_id, status.address), (std::process::id(), server.address));
    assert!(status.is_writable && status.version == env!("CARGO_PKG_VERSION"), "{status:?}");
    let settings = status.settings().unwrap();
    assert_eq!(
        (settings.data_dir.as_path(), settings.log_level.as_str()),
        (server.folder(), "warn")
    );
    assert_eq!(status.inventory.indexes[0].name, "first");
}
