//! API keys: who is let in, and what each role may do.

use std::net::SocketAddr;
use std::path::Path;

use http::{HeaderValue, Method, StatusCode};
use lodgepole_server::operator::{Question, Reply, ask};
use lodgepole_server::{Ended, Settings};
use lodgepole_service::Role;
use serde_json::{Value, json};

use crate::client::{Answer, Running, request, send, settings, start_with};

/// Asks as `lodgepole keys` does.
async fn operator(folder: &Path, question: Question) -> Reply {
    let folder = folder.to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&folder, &question)).await.unwrap();
    asked.unwrap().expect("a server answers")
}

async fn create(folder: &Path, name: &str, role: Role) -> String {
    let question = Question::CreateKey { name: Some(name.to_owned()), role };
    let reply = operator(folder, question).await;
    let Reply::Created { text, key } = reply else { panic!("{reply:?}") };
    assert_eq!((&*key.name, key.role), (name, role));
    text
}

async fn call(to: SocketAddr, key: &str, method: Method, path: &str, body: &Value) -> Answer {
    let mut request = request(method, to, path, body);
    request.headers_mut().insert("api-key", HeaderValue::from_str(key).unwrap());
    send(to, request).await
}

#[tokio::test]
async fn from_the_first_key_on_only_keys_in_use_are_accepted_also_after_a_restart() {
    let server = Running::start().await;
    let folder = server.folder().to_owned();
    let index = server.index("first").await;
    let list = async |to, key: &str| call(to, key, Method::GET, "/indexes", &Value::Null).await;
    assert_eq!(list(server.address, "anything").await.status, StatusCode::OK);
    let key = create(&folder, "backend", Role::ProjectEditor).await;
    assert_eq!(list(server.address, &key).await.status, StatusCode::OK, "at once");
    for wrong in ["anything", &key[..key.len() - 1], &key.to_uppercase()] {
        let refused = list(server.address, wrong).await;
        assert_eq!(
            (refused.status, &*refused.body),
            (StatusCode::UNAUTHORIZED, &b"Invalid API key"[..])
        );
        let unknown = call(server.address, wrong, Method::GET, "/indexes/none", &Value::Null).await;
        assert_eq!(unknown.status, StatusCode::UNAUTHORIZED, "401 wins over 404");
        let data = call(index, wrong, Method::POST, "/query", &json!("{")).await;
        assert_eq!((data.status, &*data.body), (StatusCode::UNAUTHORIZED, &b"Unauthorized"[..]));
    }
    let server = server.restart().await;
    assert_eq!(list(server.address, "anything").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(list(server.address, &key).await.status, StatusCode::OK);
    let second = create(&folder, "second", Role::ProjectViewer).await;
    let revoked = operator(&folder, Question::RevokeKey { key: "backend".to_owned() }).await;
    assert!(matches!(revoked, Reply::Revoked(line) if line.name == "backend"));
    assert_eq!(list(server.address, &key).await.status, StatusCode::UNAUTHORIZED, "at once");
    assert_eq!(list(server.address, &second).await.status, StatusCode::OK);
    operator(&folder, Question::RevokeKey { key: "second".to_owned() }).await;
    for key in [&*key, &*second, "anything"] {
        assert_eq!(
            list(server.address, key).await.status,
            StatusCode::UNAUTHORIZED,
            "no door opens"
        );
    }
    let unknown = operator(&folder, Question::RevokeKey { key: "second".to_owned() }).await;
    assert!(matches!(unknown, Reply::Refused(_)), "{unknown:?}");
    let Reply::Keys(keys) = operator(&folder, Question::ListKeys).await else { panic!() };
    let names: Vec<_> = keys.iter().map(|key| (&*key.name, key.revoked_at.is_some())).collect();
    assert_eq!(names, [("backend", true), ("second", true)]);
    let text = format!("{keys:?}");
    assert!(!text.contains(key.rsplit('_').next().unwrap()), "the list shows no key");
}

#[tokio::test]
async fn a_role_allows_what_its_name_says() {
    let server = Running::start().await;
    let index = server.index("first").await;
    let control = server.address;
    let vector = json!({ "vectors": [{ "id": "a", "values": [1, 2, 3] }] });
    let query = json!({ "vector": [1, 2, 3], "topK": 1 });
    let tags = json!({ "tags": { "k": "v" } });
    let null = Value::Null;
    // What is called, and whether it is of the control plane and whether it changes something.
    let calls = [
        (control, Method::GET, "/indexes", &null, true, false),
        (control, Method::GET, "/indexes/first", &null, true, false),
        (control, Method::GET, "/backups", &null, true, false),
        (control, Method::PATCH, "/indexes/first", &tags, true, true),
        (control, Method::POST, "/indexes/first/backups", &null, true, true),
        (index, Method::POST, "/vectors/upsert", &vector, false, true),
        (index, Method::POST, "/vectors/delete", &json!({ "ids": ["x"] }), false, true),
        (index, Method::POST, "/query", &query, false, false),
        (index, Method::GET, "/vectors/fetch?ids=a", &null, false, false),
        (index, Method::GET, "/vectors/list", &null, false, false),
        (index, Method::POST, "/describe_index_stats", &json!({}), false, false),
    ];
    for role in Role::ALL {
        let key = create(server.folder(), role.as_str(), role).await;
        for (to, method, path, body, is_control, changes) in calls.clone() {
            let wanted = match role {
                Role::ProjectEditor => true,
                Role::ProjectViewer => !changes,
                Role::ControlPlaneEditor => is_control,
                Role::ControlPlaneViewer => is_control && !changes,
                Role::DataPlaneEditor => !is_control,
                Role::DataPlaneViewer => !is_control && !changes,
            };
            let answer = call(to, &key, method.clone(), path, body).await;
            let status = if wanted { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(answer.status, status, "{role:?} {method} {path}: {:?}", answer.body);
            if !wanted {
                let json = answer.json();
                let message = if is_control {
                    assert_eq!(json["error"]["code"], "PERMISSION_DENIED");
                    &json["error"]["message"]
                } else {
                    assert_eq!(json["code"], 7);
                    &json["message"]
                };
                let message = message.as_str().unwrap();
                assert!(message.starts_with("Access denied: Permission "), "{message}");
                assert!(message.ends_with(" is required"), "{message}");
            }
        }
    }
    let viewer = create(server.folder(), "no index", Role::ControlPlaneViewer).await;
    let deleted = call(control, &viewer, Method::DELETE, "/indexes/none", &Value::Null).await;
    assert_eq!(deleted.status, StatusCode::FORBIDDEN, "403 tells nothing of what exists");
    let missing = json!({ "ids": ["a"] });
    let data = call(index, &viewer, Method::POST, "/vectors/delete", &missing).await;
    assert_eq!(
        data.json()["message"],
        "Access denied: Permission data::vectors::delete is required"
    );
}

#[tokio::test]
async fn an_address_that_others_reach_starts_with_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let local = settings(folder.path());
    let open = Settings { listen: "0.0.0.0:0".parse().unwrap(), ..local.clone() };
    let error = start_with(open.clone()).await.unwrap_err().to_string();
    assert!(error.contains("lodgepole keys create --data-dir"), "{error}");
    let server = start_with(local).await.unwrap();
    let key = create(folder.path(), "first", Role::ProjectEditor).await;
    assert_eq!(server.stop().await, Ended::Clean);
    // Once there is a key, the switch opens nothing.
    for insecure_no_auth in [false, true] {
        let server = start_with(Settings { insecure_no_auth, ..open.clone() }).await.unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
        let list = async |key: &str| call(to, key, Method::GET, "/indexes", &Value::Null).await;
        assert_eq!(list("any").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(list(&key).await.status, StatusCode::OK);
        assert_eq!(server.stop().await, Ended::Clean);
    }
    let gone = tokio::task::spawn_blocking(move || ask(folder.path(), &Question::ListKeys));
    assert!(gone.await.unwrap().unwrap().is_none(), "the door is closed with the server");
}

#[tokio::test]
async fn the_operators_socket_answers_its_owner_in_one_line() {
    use std::os::unix::fs::PermissionsExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Running::start().await;
    let path = server.folder().join("operator.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for question in ["{\"ask\":\"no_such\"}\n", "nonsense\n", "\n"] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("{\"refused\":") && reply.ends_with('\n'), "{reply}");
    }
    assert_eq!(
        operator(server.folder(), Question::ReloadTls).await,
        Reply::Refused("TLS is off".to_owned())
    );
}
