//! The server under load: this program once more, as a process of its own on a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::process;

/// The process and its folder; both go with it.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Server {
    /// Starts it with default settings on a free port, and waits until it is ready.
    pub(super) fn start(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = parent.join(format!("lodgepole-bench-{}", std::process::id()));
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut process = Command::new(program)
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server cannot be started")?;
        let output = process.stdout.take().context("the server has no output")?;
        let address = ([127, 0, 0, 1], 0).into();
        // Made before anything can fail, so that the process always ends.
        let mut server = Self { process, folder, address };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(',').next());
        server.address = address
            .and_then(|address| address.trim().parse().ok())
            .with_context(|| format!("the server did not say that it is ready, but {line:?}"))?;
        Ok(server)
    }

    /// Where the control plane is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its data is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// For a profiler.
    pub(super) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Processor time of all its threads so far.
    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        process::processor_time(self.process_id())
    }
}

impl Drop for Server {
    /// WHY without asking it to stop: its data is thrown away.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
