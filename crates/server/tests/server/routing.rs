//! Indexes told apart by their host names, on one port.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use lodgepole_server::Settings;
use lodgepole_server::settings::{HostFormat, IndexPorts};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{request, send, send_http2, settings, start_with};

fn create(name: &str) -> Value {
    json!({
        "name": name, "dimension": 2, "metric": "cosine",
        "spec": { "serverless": { "cloud": "aws", "region": "us-east-1" } },
    })
}

fn to_host(mut request: Request<Full<Bytes>>, host: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert("host", HeaderValue::from_str(host).unwrap());
    let path = request.uri().path_and_query().unwrap().as_str();
    *request.uri_mut() = format!("http://{host}{path}").parse().unwrap();
    request
}

#[tokio::test]
async fn a_name_below_the_domain_leads_to_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        domain: "db.example.com".to_owned(),
        project_id: "abc1234".to_owned(),
        advertised_port: 443,
        index_ports: IndexPorts::None,
        ..settings(folder.path())
    };
    let server = start_with(settings.clone()).await.unwrap();
    let control = server.address();
    for name in ["first", "second-one"] {
        let made = send(control, request(Method::POST, control, "/indexes", &create(name))).await;
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.json()["host"], format!("{name}-abc1234.svc.db.example.com"));
    }
    let upsert = json!({ "vectors": [{ "id": "a", "values": [1, 2] }] });
    let upsert = || request(Method::POST, control, "/vectors/upsert", &upsert);
    let stats = || request(Method::POST, control, "/describe_index_stats", &json!({}));
    // grpcio sends no port, others do; letters may be of either case.
    let host = "FIRST-abc1234.svc.DB.example.com:443";
    assert_eq!(send(control, to_host(upsert(), host)).await.status, StatusCode::OK, "Host");
    let authority = "first-abc1234.svc.db.example.com";
    let counted = send_http2(control, to_host(stats(), authority)).await;
    assert_eq!(counted.json()["totalVectorCount"], 1, ":authority");
    let other = "second-one-abc1234.svc.db.example.com";
    assert_eq!(send(control, to_host(stats(), other)).await.json()["totalVectorCount"], 0);
    for nothing in ["third-abc1234", "first-zzz9999", "first"] {
        let host = format!("{nothing}.svc.db.example.com");
        let answer = send(control, to_host(stats(), &host)).await;
        assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::NOT_FOUND, &5.into()));
        let control_plane = request(Method::GET, control, "/indexes", &Value::Null);
        let answer = send(control, to_host(control_plane, &host)).await;
        assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::NOT_FOUND, &5.into()));
    }
    for host in ["db.example.com", "api.pinecone.io", "localhost:1"] {
        let list = request(Method::GET, control, "/indexes", &Value::Null);
        assert_eq!(send(control, to_host(list, host)).await.status, StatusCode::OK, "{host}");
    }
    let mut grpc = to_host(stats(), authority);
    *grpc.uri_mut() =
        format!("http://{authority}/VectorService/DescribeIndexStats").parse().unwrap();
    grpc.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    *grpc.body_mut() = Full::new(Bytes::from_static(&[0; 5]));
    let grpc = send_http2(control, grpc).await;
    assert!(grpc.status.is_success() && !grpc.headers.contains_key("grpc-status"), "gRPC");
    let closed = control.port() + 1;
    assert!(TcpStream::connect((control.ip(), closed)).await.is_err(), "no port is opened");
}

#[tokio::test]
async fn the_form_of_hosts_is_a_setting_and_the_project_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        domain: "db.example.com".to_owned(),
        host_format: HostFormat::Url,
        ..settings(folder.path())
    };
    let server = start_with(settings.clone()).await.unwrap();
    let control = server.address();
    let made = send(control, request(Method::POST, control, "/indexes", &create("first"))).await;
    let host = made.json()["host"].as_str().unwrap().to_owned();
    let (name, port) = host.rsplit_once(':').unwrap();
    assert_eq!(port, control.port().to_string());
    let project = name.strip_prefix("http://first-").unwrap();
    let project = project.strip_suffix(".svc.db.example.com").unwrap().to_owned();
    assert_eq!(project.len(), 7, "{project}");
    server.stop().await;
    let server = start_with(settings).await.unwrap();
    let control = server.address();
    let list = send(control, request(Method::GET, control, "/indexes", &Value::Null)).await;
    let host = list.json()["indexes"][0]["host"].as_str().unwrap().to_owned();
    assert!(host.contains(&format!("first-{project}.svc.")), "{host}");
}
