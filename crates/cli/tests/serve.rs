//! The program as an operator meets it.
//!
//! Goal: what it prints, its exit codes and its reaction to signals can be relied on. Method: run the
//! binary.

#[cfg(test)]
mod process {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};

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

    #[test]
    fn wrong_usage_is_code_2() {
        assert_eq!(run(&["serve", "--no-such-flag"]).status.code(), Some(2));
        assert_eq!(run(&[]).status.code(), Some(2));
    }
}
