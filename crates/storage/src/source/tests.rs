//! Goal: what lies below a URI is found and read, and nothing outside of what is allowed. Method:
//! real folders with links; a small S3 service that answers listings and ranges.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lodgepole_types::{Classify, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn put(folder: &Path, path: &str, content: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the files of a test need no sync")]
    fs::write(path, content).unwrap();
}

fn allowing(folder: &Path) -> Sources {
    let folders = vec![folder.to_owned()];
    Sources::new(SourceOptions { folders, ..SourceOptions::default() })
}

fn uri(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

fn refusal(sources: &Sources, uri: &str) -> String {
    let error = sources.find(uri).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    error.to_string()
}

fn paths(files: &[SourceFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn files_of_a_folder_are_listed_and_read() {
    let allowed = tempfile::tempdir().unwrap();
    put(allowed.path(), "data set/ns2/0.parquet", "zero");
    put(allowed.path(), "data set/ns1/b.parquet", "0123456789");
    put(allowed.path(), "data set/ns1/a.parquet", "");
    put(allowed.path(), "data set/ns1/.log", "no");
    put(allowed.path(), "data set/ns1/deep/c.parquet", "c");
    put(allowed.path(), "data set/top.parquet", "t");
    put(allowed.path(), "other/ns/x.parquet", "x");
    let sources = allowing(allowed.path());
    for end in ["data%20set", "data set/"] {
        let source = sources.find(&format!("{}/{end}", uri(allowed.path()))).unwrap();
        let files = source.list(5).await.unwrap();
        assert_eq!(
            paths(&files),
            [
                "ns1/a.parquet",
                "ns1/b.parquet",
                "ns1/deep/c.parquet",
                "ns2/0.parquet",
                "top.parquet"
            ]
        );
        let reader = source.open(&files[1]).unwrap();
        assert_eq!(reader.bytes(), 10);
        assert_eq!(reader.read(3, 4).unwrap(), "3456");
        assert!(reader.read(8, 3).is_err());
        assert!(matches!(source.list(4).await, Err(SourceError::TooManyFiles(4))));
    }
}

#[test]
fn uris_outside_of_what_is_allowed_are_refused() {
    let allowed = tempfile::tempdir().unwrap();
    let sources = allowing(allowed.path());
    let here = uri(allowed.path());
    for outside in ["file:///etc", "file:///", &format!("{here}x"), "file://localhost/etc"] {
        assert!(refusal(&sources, outside).contains("import_dirs"), "{outside}");
    }
    for up in [format!("{here}/../etc"), format!("{here}/%2e%2e/etc"), format!("{here}/a/%2E./b")] {
        assert!(refusal(&sources, &up).contains("'..'"), "{up}");
    }
    for bad in ["file://host/etc", "file:relative", "file://", &format!("{here}/%00"), "file:///%f"]
    {
        refusal(&sources, bad);
    }
    assert!(refusal(&Sources::default(), &here).contains("not allowed on this server"));
    assert!(sources.find(&format!("{here}/sub")).is_ok());
    assert!(sources.find(&here.replace("file://", "file://localhost")).is_ok());
}

#[tokio::test]
async fn links_may_not_lead_out() {
    let (allowed, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(outside.path(), "ns/secret.parquet", "secret");
    put(allowed.path(), "good/ns/0.parquet", "fine");
    symlink(allowed.path().join("good/ns"), allowed.path().join("good/again")).unwrap();
    symlink(allowed.path().join("good"), allowed.path().join("good/circle")).unwrap();
    fs::create_dir_all(allowed.path().join("bad/ns")).unwrap();
    let secret = outside.path().join("ns/secret.parquet");
    symlink(&secret, allowed.path().join("bad/ns/0.parquet")).unwrap();
    fs::create_dir_all(allowed.path().join("worse")).unwrap();
    symlink(outside.path().join("ns"), allowed.path().join("worse/ns")).unwrap();
    symlink(outside.path(), allowed.path().join("worst")).unwrap();
    let sources = allowing(allowed.path());
    let find = |end: &str| sources.find(&format!("{}/{end}", uri(allowed.path()))).unwrap();

    let files = find("good").list(1_000).await.unwrap();
    assert_eq!(paths(&files)[0], "again/0.parquet");
    for end in ["bad", "worse", "worst"] {
        let error = find(end).list(10).await.unwrap_err();
        assert!(matches!(&error, SourceError::Refused(text) if text.contains("link")), "{error}");
    }
    // A link that takes the place of a file after it was listed.
    let place = allowed.path().join("good/ns/0.parquet");
    fs::remove_file(&place).unwrap();
    symlink(&secret, &place).unwrap();
    let source = find("good");
    let listed = files.iter().find(|file| file.path == "ns/0.parquet").unwrap();
    assert_eq!(source.open(listed).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_unreachable() {
    let allowed = tempfile::tempdir().unwrap();
    let source = allowing(allowed.path()).find(&format!("{}/none", uri(allowed.path()))).unwrap();
    let error = source.list(10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn a_file_that_changes_cannot_be_read_on() {
    let allowed = tempfile::tempdir().unwrap();
    put(allowed.path(), "ns/0.parquet", "before");
    let source = allowing(allowed.path()).find(&uri(allowed.path())).unwrap();
    let files = source.list(10).await.unwrap();
    let reader = source.open(&files[0]).unwrap();
    assert_eq!(reader.read(0, 6).unwrap(), "before");
    put(allowed.path(), "ns/0.parquet", "afterwards");
    assert_eq!(reader.read(0, 6).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(source.open(&files[0]).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// A service with one bucket `data`, whose objects are listed two at a time. It answers the first
/// `failures` requests with 503.
struct FakeS3 {
    endpoint: String,
    requests: Arc<AtomicUsize>,
}

const OBJECTS: [(&str, &str); 4] = [
    ("imports/ns1/0.parquet", "0123456789"),
    ("imports/ns1/readme.txt", "no"),
    ("imports/ns 2/ü.parquet", "other"),
    ("importsX/ns/0.parquet", "no"),
];

impl FakeS3 {
    async fn start(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let _closed = Self::serve(stream, &count, failures).await;
                });
            }
        });
        Self { endpoint, requests }
    }

    async fn serve(mut stream: TcpStream, count: &AtomicUsize, failures: usize) -> io::Result<()> {
        let mut head = Vec::new();
        loop {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            head.clear();
            let answer = if count.fetch_add(1, Ordering::SeqCst) < failures {
                Self::reply("503 Slow Down", "", "")
            } else {
                Self::answer(&text)
            };
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    fn reply(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
    }

    fn answer(head: &str) -> String {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decoded = |text: &str| percent_decode(text);
        if query.contains("list-type=2") {
            if path.trim_end_matches('/') == "/secret" {
                return Self::reply(
                    "403 Forbidden",
                    "",
                    "<Error><Code>AccessDenied</Code></Error>",
                );
            }
            if path.trim_end_matches('/') != "/data" {
                return Self::reply(
                    "404 Not Found",
                    "",
                    "<Error><Code>NoSuchBucket</Code></Error>",
                );
            }
            let value =
                |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(decoded);
            let prefix = value("prefix=").unwrap_or_default();
            let from: usize =
                value("continuation-token=").map_or(0, |token| token.parse().unwrap());
            let found: Vec<_> =
                OBJECTS.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
            let page: String =
                found.iter().skip(from).take(2).fold(String::new(), |page, object| {
                    let (key, content) = object;
                    page + &format!(
                        "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z\
                     </LastModified><ETag>\"v1\"</ETag><Size>{}</Size></Contents>",
                        content.len()
                    )
                });
            let more = if found.len() > from + 2 {
                format!("<NextContinuationToken>{}</NextContinuationToken>", from + 2)
            } else {
                String::new()
            };
            let truncated = !more.is_empty();
            let body = format!(
                "<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{page}{more}\
                 </ListBucketResult>"
            );
            return Self::reply("200 OK", "", &body);
        }
        let key = decoded(path).trim_start_matches("/data/").to_owned();
        let Some((_, content)) = OBJECTS.iter().find(|(name, _)| *name == key) else {
            return Self::reply("404 Not Found", "", "<Error><Code>NoSuchKey</Code></Error>");
        };
        let header = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim())
        };
        if header("if-match:").is_some_and(|tag| tag != "\"v1\"") {
            return Self::reply("412 Precondition Failed", "", "");
        }
        let range = header("range: bytes=").unwrap().split_once('-').unwrap();
        let (start, end): (usize, usize) = (range.0.parse().unwrap(), range.1.parse().unwrap());
        let headers = format!(
            "Content-Range: bytes {start}-{end}/{}\r\nETag: \"v1\"\r\nLast-Modified: Thu, 01 Jan \
             2026 00:00:00 GMT\r\n",
            content.len()
        );
        Self::reply("206 Partial Content", &headers, &content[start..=end])
    }

    fn sources(&self) -> Sources {
        let s3_endpoint = Some(self.endpoint.clone());
        Sources::new(SourceOptions { s3_endpoint, ..SourceOptions::default() })
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let code: Vec<u8> = [rest.next().unwrap(), rest.next().unwrap()].into();
            let code = String::from_utf8(code).unwrap();
            bytes.push(u8::from_str_radix(&code, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

async fn read(source: &Source, file: &SourceFile, start: u64, length: usize) -> io::Result<Bytes> {
    let (source, file) = (source.clone(), file.clone());
    tokio::task::spawn_blocking(move || source.open(&file)?.read(start, length)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn objects_of_a_bucket_are_listed_and_read() {
    let s3 = FakeS3::start(0).await;
    for uri in ["s3://data/imports", "s3://data/imports/"] {
        let source = s3.sources().find(uri).unwrap();
        let files = source.list(10).await.unwrap();
        assert_eq!(paths(&files), ["ns 2/ü.parquet", "ns1/0.parquet"]);
        assert_eq!(files[1].bytes, 10);
        assert_eq!(read(&source, &files[1], 2, 5).await.unwrap(), "23456");
        assert_eq!(read(&source, &files[0], 0, 5).await.unwrap(), "other");
        let changed = SourceFile { version: "\"v0\"".to_owned(), ..files[1].clone() };
        let error = read(&source, &changed, 0, 5).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(matches!(source.list(1).await, Err(SourceError::TooManyFiles(1))));
    }
    let all = s3.sources().find("s3://data").unwrap().list(10).await.unwrap();
    assert_eq!(all.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn buckets_that_cannot_be_reached_are_named() {
    let s3 = FakeS3::start(0).await;
    let error = s3.sources().find("s3://nothing/x").unwrap().list(10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "Bucket \"nothing\" was not found");
    let error = s3.sources().find("s3://secret/x").unwrap().list(10).await.unwrap_err();
    assert!(error.to_string().starts_with("Access to bucket \"secret\" was denied"), "{error}");

    let s3_endpoint = Some("http://127.0.0.1:1".to_owned());
    let closed = Sources::new(SourceOptions { s3_endpoint, ..SourceOptions::default() });
    let error = closed.find("s3://data/x").unwrap().list(10).await.unwrap_err();
    assert_eq!(error.to_string(), "Bucket \"data\" could not be reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_busy_service_is_asked_again() {
    let s3 = FakeS3::start(2).await;
    let files = s3.sources().find("s3://data/imports").unwrap().list(10).await.unwrap();
    assert_eq!(files.len(), 2);
    assert!(s3.requests.load(Ordering::SeqCst) >= 4);
}

#[test]
fn uris_that_name_no_bucket_are_refused() {
    let sources = Sources::default();
    for uri in ["s3://", "s3://x", "s3://a@b.example/x", "s3://data/a//b", "s3:/data"] {
        refusal(&sources, uri);
    }
    for uri in ["gs://data/x", "https://account.blob.core.windows.net/data/x"] {
        assert!(refusal(&sources, uri).contains("are not served here"), "{uri}");
    }
}
