//! The program as an operator meets it.
//!
//! Goal: what it prints, its exit codes and its reaction to signals can be relied on. Method: run the
//! binary.

#[cfg(test)]
mod process {
    use std::collections::BTreeSet;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};
    use std::time::Duration;

    use lodgepole_storage::SystemClock;
    use lodgepole_storage::files::{self, Readers};
    use lodgepole_types::Clock as _;

    fn program() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lodgepole"));
        // A variable of the developer's shell must not change the test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LODGEPOLE_")) {
            command.env_remove(name);
        }
        command
    }

    fn run(arguments: &[&str]) -> Output {
        program().args(arguments).output().unwrap()
    }

    /// A server that is killed when the test ends early.
    struct Serving(Child);

    impl Drop for Serving {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Starts a server on a free port; what it said when it was ready.
    fn serve(data_dir: &Path, more: &[(&str, &str)]) -> (Serving, String) {
        let child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
            .env("LODGEPOLE_DATA_DIR", data_dir)
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .spawn();
        let mut serving = Serving(child.unwrap());
        let mut line = String::new();
        let out = serving.0.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        (serving, line)
    }

    fn address(ready_line: &str) -> SocketAddr {
        let rest = ready_line.split("http://").nth(1).unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    }

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nApi-Key: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    fn signal(serving: &mut Serving, name: &str) -> Option<i32> {
        let id = serving.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        serving.0.wait().unwrap().code()
    }

    #[test]
    fn it_says_when_it_is_ready_and_stops_cleanly_when_told() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["-TERM", "-INT"] {
            let (mut serving, line) = serve(folder.path(), &[]);
            assert!(line.starts_with("lodgepole 0.1.0 ready: control plane http://127.0.0.1:"));
            let folder = folder.path().canonicalize().unwrap();
            assert!(line.trim_end().ends_with(&format!("data in {}", folder.display())), "{line}");
            assert!(get(address(&line), "/health/ready").starts_with("HTTP/1.1 200"));
            assert!(get(address(&line), "/indexes").ends_with("{\"indexes\":[]}"));
            assert_eq!(signal(&mut serving, name), Some(0), "{name}");
        }
    }

    #[test]
    fn a_settings_file_is_read_and_variables_win_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lodgepole.toml");
        let mut text = std::fs::File::options().write(true).create_new(true).open(&file).unwrap();
        text.write_all(b"data_dir = \"/nowhere\"\nhost_format = \"bare\"\n").unwrap();
        let config = file.display().to_string();
        let (mut serving, line) =
            serve(&folder.path().join("data"), &[("LODGEPOLE_CONFIG", &config)]);
        assert!(line.contains("/data"), "{line}");
        assert_eq!(signal(&mut serving, "-TERM"), Some(0));
    }

    #[test]
    fn a_failed_start_is_one_sentence_and_code_1() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().display().to_string();
        let (_serving, line) = serve(folder.path(), &[]);
        let port_in_use = address(&line).to_string();
        for (arguments, wanted) in [
            (["--listen", &port_in_use], "is in use by another program"),
            (["--data-dir", &data_dir], "another process is using"),
            (["--listen", "0.0.0.0:0"], "--insecure-no-auth"),
            (["--listen", "here"], "--listen"),
            (["--config", "/no/such/file"], "/no/such/file"),
        ] {
            let mut command = vec!["serve", "--log-level", "error"];
            let elsewhere = folder.path().join("other").display().to_string();
            if arguments[0] == "--data-dir" {
                command.extend(["--listen", "127.0.0.1:0"]);
            } else {
                command.extend(["--data-dir", &elsewhere]);
            }
            command.extend(arguments);
            let output = run(&command);
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
            assert!(text.contains(wanted) && text.lines().count() == 1, "{arguments:?}: {text}");
            assert!(output.stdout.is_empty());
        }
    }

    #[test]
    fn the_documented_defaults_are_printed() {
        let output = run(&["config", "--defaults"]);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let written: toml::Table = text.parse().unwrap();
        assert_eq!(written.len(), lodgepole_server::KEYS.len());
        assert_eq!(written["listen"].as_str(), Some("127.0.0.1:5080"));
    }

    fn keys(data_dir: &Path, arguments: &[&str]) -> (bool, String) {
        let output = program()
            .arg("keys")
            .args(arguments)
            .env("LODGEPOLE_DATA_DIR", data_dir)
            .output()
            .unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(text).unwrap().trim().to_owned())
    }

    fn status_with(address: SocketAddr, key: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "GET /indexes HTTP/1.1\r\nHost: x\r\nApi-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split(' ').nth(1).unwrap().to_owned()
    }

    #[test]
    fn keys_are_made_and_revoked_with_and_without_a_running_server() {
        let folder = tempfile::tempdir().unwrap();
        let (made, before) = keys(folder.path(), &["create", "--name", "before"]);
        assert!(made && before.starts_with("pckey_") && !before.contains('\n'), "{before}");
        let (mut serving, line) = serve(folder.path(), &[]);
        let to = address(&line);
        assert_eq!(status_with(to, "any"), "401");
        assert_eq!(status_with(to, &before), "200");
        let (made, during) = keys(folder.path(), &["create", "--role", "dataplaneviewer"]);
        assert!(made, "{during}");
        assert_eq!(status_with(to, &during), "403");
        let (listed, list) = keys(folder.path(), &["list"]);
        assert!(listed && list.lines().count() == 2 && list.contains("DataPlaneViewer"), "{list}");
        assert!(keys(folder.path(), &["revoke", "before"]).0);
        assert_eq!(status_with(to, &before), "401");
        let (revoked, why) = keys(folder.path(), &["revoke", "before"]);
        assert!(!revoked && why.contains("before"), "{why}");
        assert_eq!(signal(&mut serving, "-TERM"), Some(0));
        let (_, list) = keys(folder.path(), &["list"]);
        assert_eq!(list.lines().count(), 1);
        let (_, list) = keys(folder.path(), &["list", "--all"]);
        assert!(list.lines().count() == 2 && list.contains("revoked 2"), "{list}");
    }

    #[test]
    fn a_certificate_is_issued_for_files_that_the_server_can_use() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("certs");
        let output = program()
            .args(["cert", "--for", "api.pinecone.io", "--for", "localhost", "--out"])
            .arg(&out)
            .env("LODGEPOLE_DATA_DIR", folder.path().join("data"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("tls/ca.pem"), "{text}");
        let path = |name: &str| out.join(name).display().to_string();
        let (certificate, key) = (path("api.pinecone.io.pem"), path("api.pinecone.io.key"));
        let more =
            [("LODGEPOLE_TLS_CERT", certificate.as_str()), ("LODGEPOLE_TLS_KEY", key.as_str())];
        let (mut serving, line) = serve(&folder.path().join("data"), &more);
        assert!(line.contains("control plane https://127.0.0.1:"), "{line}");
        let hangup = Command::new("kill").args(["-HUP", &serving.0.id().to_string()]).status();
        assert!(hangup.unwrap().success());
        let to = line.split("https://").nth(1).unwrap().split(',').next().unwrap();
        assert!(get(to.parse().unwrap(), "/health/ready").starts_with("HTTP/1.1 200"));
        assert_eq!(signal(&mut serving, "-TERM"), Some(0));
    }

    /// Calls with a body of JSON; what was answered, its head included.
    fn post(address: SocketAddr, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nApi-Key: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 2"), "{reply}");
        reply
    }

    /// Makes an index of two dimensions with some records; where its data plane is.
    fn index(control: SocketAddr, name: &str) -> SocketAddr {
        let spec = "{\"serverless\":{\"cloud\":\"aws\",\"region\":\"us-east-1\"}}";
        let body = format!("{{\"name\":\"{name}\",\"dimension\":2,\"spec\":{spec}}}");
        let reply = post(control, "/indexes", &body);
        let host = reply.split("\"host\":\"http://").nth(1).unwrap().split('"').next().unwrap();
        let data = host.parse().unwrap();
        let records: Vec<_> = (0..50)
            .map(|number| format!("{{\"id\":\"r{number}\",\"values\":[1,{number}]}}"))
            .collect();
        post(data, "/vectors/upsert", &format!("{{\"vectors\":[{}]}}", records.join(",")));
        data
    }

    /// The exit code and the lines of a doctor.
    fn doctor(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let output = program()
            .arg("doctor")
            .arg("--data-dir")
            .arg(data_dir)
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Every file below a folder.
    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files_below(&path));
            } else {
                found.push(path);
            }
        }
        found
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().display().to_string()).collect()
    }

    #[test]
    fn a_doctor_finds_a_healthy_server_with_and_without_it_running() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let (mut serving, line) = serve(&data_dir, &[]);
        let control = address(&line);
        index(control, "books");
        let before = names(&data_dir);
        let (code, told) = doctor(&data_dir, &[]);
        assert_eq!(code, Some(0), "{told}");
        for wanted in [
            "ok    server        0.1.0 runs on this data folder, as process ",
            &format!("ok    ports         the server answers on {control} and on 1 ports"),
            "warn  backups       books never\n                    -> no backup of books",
            "ok    integrity     opened and counted: 1 indexes, 0 backups, 1 namespaces, 50 records",
            ", 0 FAIL\n",
        ] {
            assert!(told.contains(wanted), "{wanted}\n{told}");
        }
        assert_eq!(names(&data_dir), before, "nothing is left there");
        post(control, "/indexes/books/backups", "{}");
        assert_eq!(signal(&mut serving, "-TERM"), Some(0));
        let before = names(&data_dir);
        let (code, told) = doctor(&data_dir, &["--deep", "--listen", &control.to_string()]);
        assert_eq!(code, Some(0), "{told}");
        for wanted in [
            "ok    server        none runs on this data folder",
            &format!("ok    ports         {control} is free"),
            "ok    backups       books ",
            "ok    integrity     read whole: 1 indexes, 1 backups, 2 namespaces, 100 records",
        ] {
            assert!(told.contains(wanted), "{wanted}\n{told}");
        }
        assert_eq!(names(&data_dir), before, "nothing is left there");
    }

    #[test]
    fn a_doctor_tells_other_programs_what_failed() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("none");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let (code, told) = doctor(&data_dir, &["--json", "--listen", &address]);
        assert_eq!(code, Some(1), "{told}");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let checks = told["checks"].as_array().unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| check["verdict"] == "fail").collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(
            failed[0]["check"] == "ports"
                && failed[0]["found"].as_str().unwrap().contains(&address)
        );
        assert!(!failed[0]["advice"].as_str().unwrap().is_empty());
        assert!(!data_dir.exists(), "an empty folder is not begun");
    }

    #[test]
    fn a_doctor_tells_a_damaged_segment_from_a_lost_database() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let (mut serving, line) = serve(&data_dir, &[("LODGEPOLE_INDEX_FROM_ROWS", "10")]);
        let control = address(&line);
        let to = index(control, "books");
        post(to, "/query", "{\"vector\":[1,2],\"topK\":1}");
        let clock = SystemClock::new();
        let is_indexed =
            || get(control, "/metrics").contains("lodgepole_search_segments{index=\"books\"} 1");
        while !is_indexed() {
            assert!(clock.elapsed() < Duration::from_secs(30), "no segment is built");
        }
        assert_eq!(signal(&mut serving, "-TERM"), Some(0));
        let listen = ["--listen", "127.0.0.1:0"];
        let segments = files_below(&data_dir.join("ix")).into_iter();
        for segment in segments.filter(|file| file.display().to_string().contains("/seg/")) {
            let mut bytes = std::fs::read(&segment).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            files::replace(&segment, &bytes, Readers::Owner).unwrap();
        }
        let (code, told) = doctor(&data_dir, &listen);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains("warn  integrity     index \"books\", ") && told.contains("built anew")
        );
        for file in files_below(&data_dir.join("ix")) {
            if file.display().to_string().contains("/db/") {
                std::fs::remove_file(file).unwrap();
            }
        }
        let (code, told) = doctor(&data_dir, &listen);
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains("FAIL  integrity     index \"books\", its database: cannot be"),
            "{told}"
        );
    }

    #[test]
    fn wrong_usage_is_code_2() {
        assert_eq!(run(&["serve", "--no-such-flag"]).status.code(), Some(2));
        assert_eq!(run(&[]).status.code(), Some(2));
    }
}
