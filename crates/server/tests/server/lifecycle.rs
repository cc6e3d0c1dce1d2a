//! Starting, stopping, and what stays the same over a restart.

use std::time::Duration;

use http::{Method, StatusCode};
use lodgepole_server::{Ended, Settings};
use lodgepole_storage::SystemClock;
use lodgepole_types::Clock as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Running, host, request, send, settings, start_with};

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let body = json!({ "vectors": [{ "id": "a", "values": [1, 2, 3] }] });
    assert_eq!(
        send(index, request(Method::POST, index, "/vectors/upsert", &body)).await.status,
        StatusCode::OK
    );
    let server = server.restart().await;
    let described = server.control(Method::GET, "/indexes/first", Value::Null).await.json();
    assert_eq!(host(&described), index, "the port is the same");
    let fetched = request(Method::GET, index, "/vectors/fetch?ids=a", &Value::Null);
    assert_eq!(send(index, fetched).await.json()["vectors"]["a"]["values"], json!([1.0, 2.0, 3.0]));
}

#[tokio::test]
async fn the_port_of_a_deleted_index_answers_404_until_its_name_returns() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let deleted = server.control(Method::DELETE, "/indexes/first", Value::Null).await;
    assert_eq!((deleted.status, deleted.body.len()), (StatusCode::ACCEPTED, 0));
    let stats = || request(Method::POST, index, "/describe_index_stats", &json!({}));
    let gone = send(index, stats()).await;
    assert_eq!((gone.status, &gone.json()["code"]), (StatusCode::NOT_FOUND, &5.into()));
    assert_ne!(server.index("second").await, index, "another index gets another port");
    assert_eq!(server.index("first").await, index, "the name gets its port again");
    assert_eq!(send(index, stats()).await.json()["totalVectorCount"], 0);
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_named() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let listen = socket.local_addr().unwrap();
    let error = start_with(Settings { listen, ..settings(folder.path()) }).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("port {} on 127.0.0.1", listen.port())), "{text}");
    assert!(text.contains("--listen"), "{text}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the data was not touched");
}

#[tokio::test]
async fn one_server_at_a_time_uses_a_folder() {
    let server = Running::start().await;
    let error = start_with(settings(server.folder())).await.unwrap_err().to_string();
    assert!(error.contains("another process is using"), "{error}");
    assert!(error.contains("--data-dir"), "{error}");
    let list = server.control(Method::GET, "/indexes", Value::Null).await;
    assert_eq!(list.status, StatusCode::OK, "the first goes on");
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_word_from_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let listen = "0.0.0.0:0".parse().unwrap();
    let open = Settings { listen, ..settings(folder.path()) };
    let error = start_with(open.clone()).await.unwrap_err().to_string();
    assert!(error.contains("--insecure-no-auth"), "{error}");
    let server = start_with(Settings { insecure_no_auth: true, ..open }).await.unwrap();
    assert_eq!(server.stop().await, Ended::Clean);
}

#[tokio::test]
async fn stopping_closes_every_port() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let address = server.address;
    assert_eq!(server.server.stop().await, Ended::Clean);
    for port in [index, address] {
        assert!(TcpStream::connect(port).await.is_err(), "{port}");
    }
}

#[tokio::test]
async fn writes_acknowledged_while_stopping_are_kept() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let writer = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for i in 0.. {
            let body = json!({ "vectors": [{ "id": format!("{i}"), "values": [i, 1, 1] }] });
            let upsert = request(Method::POST, index, "/vectors/upsert", &body);
            // The connection is refused once the server stops.
            if TcpStream::connect(index).await.is_err() {
                break;
            }
            match tokio::spawn(send(index, upsert)).await {
                Ok(answer) if answer.status == StatusCode::OK => acknowledged.push(i),
                _ => break,
            }
        }
        acknowledged
    });
    SystemClock::new().sleep(Duration::from_millis(100)).await;
    let server = server.restart().await;
    let acknowledged = writer.await.unwrap();
    assert!(!acknowledged.is_empty());
    let ids: Vec<_> = acknowledged.iter().map(|i| format!("ids={i}")).collect();
    let path = format!("/vectors/fetch?{}", ids.join("&"));
    let fetched = send(index, request(Method::GET, index, &path, &Value::Null)).await.json();
    assert_eq!(fetched["vectors"].as_object().unwrap().len(), acknowledged.len());
    drop(server);
}

/// Goal: a disk that is gone does not keep the process alive. Method: a file stands where the folder
/// of the data was, so nothing can be read there and nothing made.
#[tokio::test]
async fn stopping_ends_although_the_store_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let settings = Settings { close_timeout_s: 1, ..settings(&data_dir) };
    let server = start_with(settings).await.unwrap();
    let control = server.address();
    let create = json!({
        "name": "a", "dimension": 3, "metric": "euclidean",
        "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
    });
    let created = send(control, request(Method::POST, control, "/indexes", &create)).await;
    let index = host(&created.json());
    let body = json!({ "vectors": [{ "id": "a", "values": [1, 2, 3] }] });
    let stored = send(index, request(Method::POST, index, "/vectors/upsert", &body)).await;
    assert_eq!(stored.status, StatusCode::OK);
    std::fs::remove_dir_all(&data_dir).unwrap();
    std::os::unix::fs::symlink("/dev/null", &data_dir).unwrap();
    let stopped = tokio::select! {
        biased;
        ended = server.stop() => Some(ended),
        () = SystemClock::new().sleep(Duration::from_secs(20)) => None,
    };
    assert_eq!(stopped, Some(Ended::CutOff), "it gave up after a second");
    assert!(TcpStream::connect(index).await.is_err(), "and nothing is served any more");
}
