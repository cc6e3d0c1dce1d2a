//! What operators see and do about search: metrics, the state of an index, the warm-up.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use lodgepole_server::operator::{Question, Reply, ask};
use lodgepole_server::{Ended, Settings};
use lodgepole_service::Role;
use lodgepole_storage::SystemClock;
use lodgepole_types::Clock as _;
use serde_json::{Value, json};

use crate::client::{Answer, host, request, send, settings, start_with};

async fn get(to: SocketAddr, path: &str) -> Answer {
    send(to, request(Method::GET, to, path, &Value::Null)).await
}

async fn post(to: SocketAddr, path: &str, body: &Value) -> Answer {
    send(to, request(Method::POST, to, path, body)).await
}

async fn metrics(control: SocketAddr) -> String {
    let page = get(control, "/metrics").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    String::from_utf8(page.body.to_vec()).unwrap()
}

/// The value of a metric of an index.
fn gauge(page: &str, name: &str, index: &str) -> f64 {
    let start = format!("lodgepole_search_{name}{{index=\"{index}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {start} in\n{page}")).parse().unwrap()
}

async fn create(control: SocketAddr, name: &str) -> SocketAddr {
    let body = json!({
        "name": name, "dimension": 3, "metric": "euclidean",
        "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
    });
    host(&post(control, "/indexes", &body).await.json())
}

#[tokio::test]
async fn metrics_tell_of_every_index_what_it_has_in_memory_and_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { index_from_rows: 200, ..settings(folder.path()) };
    let server = start_with(settings).await.unwrap();
    let control = server.address();
    let page = metrics(control).await;
    assert!(page.lines().all(|line| line.starts_with("# ")), "no index yet: {page}");
    let (first, _second) = (create(control, "first").await, create(control, "second").await);
    let upsert = |numbers: std::ops::Range<u16>| {
        let vectors: Vec<_> = numbers
            .map(|n| json!({ "id": format!("r{n}"), "values": [n, f64::from(n) * 0.5, 1] }))
            .collect();
        json!({ "vectors": vectors })
    };
    let stored = post(first, "/vectors/upsert", &upsert(0..20)).await;
    assert_eq!(stored.status, StatusCode::OK);
    let warmed = post(first, "/vectors/warm-up", &json!({})).await;
    assert_eq!(warmed.json(), json!({ "namespaces": 1, "tooLarge": 0 }));
    let page = metrics(control).await;
    assert_eq!(gauge(&page, "tail_rows", "first"), 20.0);
    assert_eq!(gauge(&page, "segments", "first"), 0.0);
    assert_eq!(gauge(&page, "tail_rows", "second"), 0.0);
    assert_eq!(gauge(&page, "queue_age_seconds", "second"), 0.0);
    for name in [
        "namespaces",
        "tail_bytes",
        "segment_rows",
        "dead_rows",
        "segment_bytes",
        "resident_bytes",
        "waiting_namespaces",
    ] {
        assert!(gauge(&page, name, "first") >= 0.0, "{name}");
    }
    assert_eq!(post(first, "/vectors/upsert", &upsert(20..300)).await.status, StatusCode::OK);
    let clock = SystemClock::new();
    for _ in 0..200 {
        if gauge(&metrics(control).await, "segments", "first") > 0.0 {
            break;
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    let page = metrics(control).await;
    assert_eq!(gauge(&page, "segments", "first"), 1.0, "it is built in the background");
    assert_eq!(gauge(&page, "segment_rows", "first"), 300.0);
    assert_eq!(gauge(&page, "tail_rows", "first"), 0.0);
    let state = get(first, "/search-state").await.json();
    assert_eq!((&state["segments"], &state["segmentRows"]), (&1.into(), &300.into()), "{state}");
    let query = json!({ "vector": [7, 3.5, 1], "topK": 1, "scanFactor": 0.5, "maxCandidates": 1 });
    let found = post(first, "/query", &query).await.json();
    assert_eq!(found["matches"][0]["id"], "r7", "{found}");
    assert_eq!(server.stop().await, Ended::Clean);
}

#[tokio::test]
async fn metrics_need_a_key_of_the_control_plane_once_there_are_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with(settings(folder.path())).await.unwrap();
    let control = server.address();
    let index = create(control, "first").await;
    let key = async |role| {
        let (folder, name) = (folder.path().to_owned(), format!("{role:?}"));
        let question = Question::CreateKey { name: Some(name), role };
        let asked = tokio::task::spawn_blocking(move || ask(&folder, &question)).await.unwrap();
        let reply = asked.unwrap().expect("a server answers");
        let Reply::Created { text, .. } = reply else { panic!("{reply:?}") };
        text
    };
    let scraper = key(Role::ControlPlaneViewer).await;
    let reader = key(Role::DataPlaneViewer).await;
    let asks = async |to, key: &str, method, path| {
        let mut request = request(method, to, path, &Value::Null);
        request.headers_mut().insert("api-key", HeaderValue::from_str(key).unwrap());
        send(to, request).await.status
    };
    assert_eq!(asks(control, "any", Method::GET, "/metrics").await, StatusCode::UNAUTHORIZED);
    assert_eq!(asks(control, &scraper, Method::GET, "/metrics").await, StatusCode::OK);
    assert_eq!(asks(control, &reader, Method::GET, "/metrics").await, StatusCode::FORBIDDEN);
    assert_eq!(asks(index, &reader, Method::GET, "/search-state").await, StatusCode::OK);
    assert_eq!(asks(index, &reader, Method::POST, "/vectors/warm-up").await, StatusCode::OK);
    assert_eq!(asks(index, &scraper, Method::GET, "/search-state").await, StatusCode::FORBIDDEN);
    assert_eq!(asks(index, &reader, Method::GET, "/metrics").await, StatusCode::NOT_FOUND);
    assert_eq!(asks(control, &scraper, Method::POST, "/metrics").await.as_u16(), 405);
    assert_eq!(server.stop().await, Ended::Clean);
}
