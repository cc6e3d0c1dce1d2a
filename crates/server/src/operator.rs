//! The operator's door: a socket in the data folder, for commands on the same machine.
//!
//! A running server holds its data alone, so `lodgepole keys` asks it to make the change, and
//! `lodgepole verify` to look through its data. One line of JSON is asked, one is answered, in time
//! unless all data has to be read for it; that ends when whoever asked has gone. INVARIANT: only the
//! user that runs the server, or root, is answered: the socket can be opened by nobody else, and who
//! opened it is asked of the system as well. WHY a socket and not the API: whoever can do this needs no
//! key, and no network reaches it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lodgepole_api::ApiError;
use lodgepole_service::{ApiKey, AuditDepth, AuditFinding, NewKey, Role, Service, VerifyReport};
use lodgepole_storage::files::{self, SocketPath};
use lodgepole_types::{Clock, ErrorKind};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::settings::Settings;
use crate::tls::Tls;

mod status;

pub use status::Status;

/// The name of the socket in the data folder.
const NAME: &str = "operator.sock";
/// Longest question.
const QUESTION_BYTES_MAX: u64 = 64 << 10;
/// How long a question and its answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// What an operator can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Question {
    /// Make a key.
    CreateKey {
        /// What to call it; its id when absent.
        name: Option<String>,
        /// What it may do.
        role: Role,
    },
    /// Show all keys.
    ListKeys,
    /// Revoke a key.
    RevokeKey {
        /// Its id or name.
        key: String,
    },
    /// Read the certificate again.
    ReloadTls,
    /// Tell how the server runs.
    Status,
    /// Look for damage.
    Verify {
        /// Whether to read everything.
        deep: bool,
    },
}

impl Question {
    /// Whether the answer may take as long as reading all data does.
    fn takes_long(&self) -> bool {
        matches!(self, Self::Verify { .. })
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A key was made; this is the only time its text is shown.
    Created {
        /// The key.
        key: KeyLine,
        /// What clients send.
        text: String,
    },
    /// All keys, oldest first.
    Keys(Vec<KeyLine>),
    /// The key that works no more.
    Revoked(KeyLine),
    /// What was looked at, and the damage found.
    Verified(Verification),
    /// How the server runs.
    Status(Box<Status>),
    /// It was done.
    Done,
    /// It was not done, for this reason.
    Refused(String),
}

/// A key as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was revoked; absent while it is in use.
    pub revoked_at: Option<String>,
}

/// What a look for damage came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Indexes looked at.
    pub indexes: u64,
    /// Backups looked at.
    pub backups: u64,
    /// Namespaces of both.
    pub namespaces: u64,
    /// Records of both.
    pub records: u64,
    /// Segments of both.
    pub segments: u64,
    /// What is wrong.
    pub findings: Vec<FindingLine>,
    /// Findings left out.
    pub more_findings: u64,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingLine {
    /// The index or backup.
    pub whose: String,
    /// Which part of it.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// Whether it is built anew by itself.
    pub is_repaired: bool,
}

impl From<VerifyReport> for Verification {
    fn from(report: VerifyReport) -> Self {
        let line = |(whose, finding): (String, AuditFinding)| FindingLine {
            whose,
            subject: finding.subject,
            problem: finding.problem,
            is_repaired: finding.is_repaired,
        };
        Self {
            indexes: report.indexes,
            backups: report.backups,
            namespaces: report.namespaces,
            records: report.records,
            segments: report.segments,
            findings: report.findings.into_iter().map(line).collect(),
            more_findings: report.more_findings,
        }
    }
}

impl From<&ApiKey> for KeyLine {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            role: key.role,
            created_at: key.created_at.rfc3339(),
            revoked_at: key.revoked_at.map(lodgepole_types::Timestamp::rfc3339),
        }
    }
}

impl From<NewKey> for Reply {
    fn from(made: NewKey) -> Self {
        Self::Created { key: KeyLine::from(&*made.key), text: made.text }
    }
}

/// Asks the server that uses a data folder; `None` when none does.
///
/// # Errors
/// When a server is there but does not answer.
pub fn ask(data_dir: &Path, question: &Question) -> io::Result<Option<Reply>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    use std::io::{BufRead as _, Write as _};
    use std::os::unix::net::UnixStream;
    let Ok(path) = SocketPath::to(&data_dir.join(NAME)) else { return Ok(None) };
    let mut stream = match UnixStream::connect(path.as_path()) {
        Ok(stream) => stream,
        // A socket that a killed server left behind refuses.
        Err(error) if [NotFound, ConnectionRefused].contains(&error.kind()) => return Ok(None),
        Err(error) => return Err(error),
    };
    stream.set_read_timeout((!question.takes_long()).then_some(TIMEOUT))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    io::BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::other("the server closed the connection without an answer"));
    }
    Ok(Some(serde_json::from_str(&answer)?))
}

/// The open door.
#[derive(Debug)]
pub(crate) struct Door {
    path: PathBuf,
    task: JoinHandle<()>,
}

/// What questions are about.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) service: Service,
    pub(crate) settings: Settings,
    /// Where the control plane listens.
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Door {
    /// Opens the door of a data folder, which must be held by this process.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(data_dir: &Path, subject: Subject) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        files::remove(&path)?;
        let listener = UnixListener::bind(SocketPath::to(&path)?.as_path())?;
        files::restrict(&path)?;
        let task = tokio::spawn(listen(listener, Arc::new(subject)));
        Ok(Self { path, task })
    }

    /// Closes it.
    pub(crate) fn close(self) {
        self.task.abort();
        if let Err(error) = files::remove(&self.path) {
            tracing::debug!(%error, "the operator's socket stays behind");
        }
    }
}

async fn listen(listener: UnixListener, subject: Arc<Subject>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let subject = Arc::clone(&subject);
                tokio::spawn(async move {
                    if let Err(error) = converse(&subject, stream).await {
                        tracing::warn!(%error, "an operator was not answered");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the operator's socket failed");
                subject.clock.sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn converse(subject: &Subject, stream: UnixStream) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if peer != own && peer != 0 {
        return Err(io::Error::other(format!("user {peer} is not the user of the server")));
    }
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    in_time(subject, (&mut stream).take(QUESTION_BYTES_MAX).read_line(&mut line)).await??;
    let reply = match serde_json::from_str::<Question>(&line) {
        Ok(Question::Verify { deep }) => match verify(subject, deep, &mut stream).await {
            Some(reply) => reply,
            None => return Ok(()),
        },
        Ok(question) => in_time(subject, answer(subject, question)).await?,
        Err(error) => Reply::Refused(format!("the question cannot be read: {error}")),
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    in_time(subject, stream.get_mut().write_all(&line)).await?
}

/// Completes when whoever asked has closed the connection, also when only for writing: nothing more
/// is to be said after the question.
async fn gone(stream: &mut BufReader<UnixStream>) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// Looks for damage for as long as somebody waits for the answer; `None` when nobody does any more.
async fn verify(
    subject: &Subject,
    deep: bool,
    stream: &mut BufReader<UnixStream>,
) -> Option<Reply> {
    let depth = if deep { AuditDepth::Deep } else { AuditDepth::Quick };
    let has_left = AtomicBool::new(false);
    let leaves = async {
        gone(stream).await;
        has_left.store(true, Ordering::Relaxed);
    };
    let verified = Box::pin(subject.service.verify(depth, &|_, _| {}, leaves)).await;
    if has_left.load(Ordering::Relaxed) {
        tracing::info!("a verification was ended: who asked for it has gone");
        return None;
    }
    Some(match verified {
        Ok(report) => Reply::Verified(Verification::from(report)),
        Err(error) => Reply::Refused(error.message().to_owned()),
    })
}

async fn in_time<T>(subject: &Subject, work: impl Future<Output = T>) -> io::Result<T> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = subject.clock.sleep(TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn answer(subject: &Subject, question: Question) -> Reply {
    let Subject { service, settings, address, tls, .. } = subject;
    let outcome = match question {
        Question::CreateKey { name, role } => service.create_key(name, role).await.map(|made| {
            tracing::info!(id = %made.key.id, name = made.key.name, ?role, "an API key was made");
            Reply::from(made)
        }),
        Question::ListKeys => {
            Ok(Reply::Keys(service.api_keys().iter().map(|key| KeyLine::from(&**key)).collect()))
        }
        Question::RevokeKey { key } => service.revoke_key(key).await.map(|key| {
            tracing::info!(id = %key.id, name = key.name, "an API key was revoked");
            Reply::Revoked(KeyLine::from(&*key))
        }),
        Question::Status => Ok(Reply::Status(Box::new(Status::of(service, settings, *address)))),
        // Answered before, with an eye on who asked.
        Question::Verify { .. } => Ok(Reply::Refused("it takes too long".to_owned())),
        Question::ReloadTls => match tls {
            Some(tls) => tls
                .reload()
                .map(|()| Reply::Done)
                .map_err(|error| ApiError::new(ErrorKind::FailedPrecondition, error.to_string())),
            None => Ok(Reply::Refused("TLS is off".to_owned())),
        },
    };
    outcome.unwrap_or_else(|error| Reply::Refused(error.message().to_owned()))
}
