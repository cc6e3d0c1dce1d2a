//! The life of the process: start in named stages, run, stop cleanly.
//!
//! The control port is bound before the data is opened: a second server on the same machine then
//! fails at once and touches nothing, and health checks are answered while data is loaded. Stopping
//! goes the other way round: first no new requests, then none in progress, then the service.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_service::Service;
use lodgepole_storage::local::LocalOptions;
use lodgepole_types::{Clock, Rng};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::assembly::{Assembly, AssemblyError};
use crate::front::{Access, BytesMax, Domain, Front, FrontOptions, Open};
use crate::logging::{self, LogLevelError};
use crate::operator::{Door, Subject};
use crate::ports::IndexListeners;
use crate::settings::{IndexPorts, Settings, TlsMode};
use crate::tls::{Source, Tls, TlsError};
use crate::transport::{Listeners, Stopped, TransportLimits};

/// Open files beyond connections: data, log, one socket per index.
pub const OPEN_FILES_SPARE: u64 = 4_096;

/// Why the server does not start. Each text is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StartError(#[from] StartFailure);

#[derive(Debug, thiserror::Error)]
enum StartFailure {
    #[error(transparent)]
    LogLevel(#[from] LogLevelError),
    #[error("TLS cannot start: {0}")]
    Tls(#[from] TlsError),
    #[error("the operator's socket in {folder} cannot be made: {cause}")]
    Door { folder: String, cause: io::Error },
    #[error("port {} on {} is in use by another program: stop that program, or choose another address with --listen ADDR:PORT", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    #[error("cannot listen on {address}: {cause}; choose another address with --listen ADDR:PORT")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    front: Arc<Front>,
    listeners: Arc<Listeners>,
    assembly: Assembly,
    door: Door,
    tls: Option<Arc<Tls>>,
    /// Keeps the certificate fresh.
    tls_chore: Option<tokio::task::JoinHandle<()>>,
    address: SocketAddr,
    data_dir: PathBuf,
    stop_grace: Duration,
    /// How long closing the data may take once nothing is running any more.
    close_timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Told to stop; every request in progress was answered and everything was closed.
    Clean,
    /// Told to stop; some requests took too long and were cut off.
    CutOff,
    /// Told twice: it did not wait.
    Forced,
}

/// What a server is built on. Unlike settings these are objects, chosen by the program that runs
/// it: the binary, a test, a crash suite.
#[derive(Debug, Clone)]
pub struct Components {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub rng: Arc<dyn Rng>,
    /// How the local disk is written.
    pub disk: LocalOptions,
}

impl Server {
    /// Starts a server: when this returns, everything acknowledged is readable and every index can
    /// be reached.
    ///
    /// # Errors
    /// [`StartError`], with one sentence for the operator; nothing is left running.
    pub async fn start(settings: Settings, components: Components) -> Result<Self, StartError> {
        Ok(Self::start_stages(settings, components).await?)
    }

    async fn start_stages(
        settings: Settings,
        components: Components,
    ) -> Result<Self, StartFailure> {
        let Components { clock, rng, .. } = components.clone();
        logging::install(&settings)?;
        raise_file_limit(u64::from(settings.connections_max) + OPEN_FILES_SPARE);
        let control = bind_control(settings.listen).await?;
        let address =
            control.local_addr().map_err(|cause| listen_failure(settings.listen, cause))?;

        let tls =
            tls_source(&settings, address).map(|source| Tls::open(source, Arc::clone(&clock)));
        let tls = tls.transpose()?.map(Arc::new);
        let options = front_options(&settings, address, tls.clone());
        let front = Arc::new(Front::new(options, Arc::clone(&clock), Arc::clone(&rng)));
        let handler = Arc::clone(&front);
        let limits = transport_limits(&settings);
        let listeners = Arc::new(Listeners::new(handler, Arc::clone(&clock), limits, tls.clone()));
        listeners.adopt(control).map_err(|cause| listen_failure(address, cause))?;

        let index_address = (settings.index_ports != IndexPorts::None).then(|| address.ip());
        let ports = Arc::new(IndexListeners::new(Arc::clone(&listeners), index_address));
        let assembly = Assembly::open(&settings, address, ports, &components).await;
        let assembly = match assembly {
            Ok(assembly) => assembly,
            Err(error) => {
                listeners.stop(Duration::ZERO).await;
                return Err(error.into());
            }
        };
        let service = assembly.service().clone();
        let subject = Subject {
            service: service.clone(),
            settings: settings.clone(),
            address,
            tls: tls.clone(),
            clock: Arc::clone(&clock),
        };
        let door = match Door::open(&settings.data_dir, subject) {
            Ok(door) => door,
            Err(cause) => {
                listeners.stop(Duration::ZERO).await;
                assembly.close().await;
                let folder = settings.data_dir.display().to_string();
                return Err(StartFailure::Door { folder, cause });
            }
        };
        let domain = domain(&settings, &service, address.port());
        front.open(Open { service, domain });
        let tls_chore = tls.clone().map(|tls| tokio::spawn(tls.keep_fresh()));
        tracing::info!(%address, data_dir = %settings.data_dir.display(), "ready");
        Ok(Self {
            front,
            listeners,
            assembly,
            door,
            tls,
            tls_chore,
            address,
            data_dir: settings.data_dir,
            stop_grace: Duration::from_secs(settings.shutdown_timeout_s.into()),
            close_timeout: Duration::from_secs(settings.close_timeout_s.into()),
            clock,
        })
    }

    /// The address of the control plane, with the port it got.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines that tell whoever started it that it is ready: one, and with a local authority two
    /// more that tell how clients come to trust it.
    #[must_use]
    pub fn ready_line(&self) -> String {
        let data_dir =
            std::path::absolute(&self.data_dir).unwrap_or_else(|_| self.data_dir.clone());
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut lines = format!(
            "lodgepole {} ready: control plane {scheme}://{}, data in {}",
            env!("CARGO_PKG_VERSION"),
            self.address,
            data_dir.display()
        );
        if let Some(path) = self.tls.as_ref().and_then(|tls| tls.local_authority()) {
            let path = std::path::absolute(&path).unwrap_or(path);
            let path = path.display();
            lines.push_str(&format!(
                "\nclients have to trust the certificate {path}\n\
                 Python, Go and Rust: SSL_CERT_FILE={path}, Python also ssl_ca_certs=\"{path}\", \
                 Node: NODE_EXTRA_CA_CERTS={path}"
            ));
        }
        lines
    }

    /// Stops: no new requests, then none in progress, then the data is closed. Requests that take
    /// longer than the setting allows are cut off, and so is closing a store that does not answer;
    /// what was acknowledged is kept.
    pub async fn stop(self) -> Ended {
        tracing::info!("stopping: requests in progress are finished");
        if let Some(chore) = &self.tls_chore {
            chore.abort();
        }
        self.door.close();
        let begun = self.clock.elapsed();
        let stopped = self.listeners.stop(self.stop_grace).await;
        let left = self.stop_grace.saturating_sub(self.clock.elapsed().saturating_sub(begun));
        let worked = tokio::select! {
            biased;
            () = self.front.close() => Stopped::Clean,
            () = self.clock.sleep(left) => Stopped::CutOff,
        };
        // A store that is gone is retried for ever. What was acknowledged is in the log already, so
        // closing may be given up.
        let closed = tokio::select! {
            biased;
            () = self.assembly.close() => true,
            () = self.clock.sleep(self.close_timeout) => false,
        };
        if !closed {
            tracing::error!(data_dir = %self.data_dir.display(), "the data could not be closed; what was acknowledged is in its log");
            return Ended::CutOff;
        }
        if (stopped, worked) == (Stopped::Clean, Stopped::Clean) {
            tracing::info!("stopped");
            Ended::Clean
        } else {
            tracing::warn!("stopped; some requests took too long and were cut off");
            Ended::CutOff
        }
    }

    /// Runs until SIGTERM or SIGINT, then stops. A second signal ends the wait. SIGHUP reads the
    /// certificate again. `announce` is called once signals are listened for, so that whoever waits
    /// for it may send one.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub async fn run(self, announce: impl FnOnce()) -> Result<Ended, StartError> {
        let mut signals = Signals::new().map_err(StartFailure::Signals)?;
        announce();
        let tls = self.tls.clone();
        signals.next(tls.as_deref()).await;
        tokio::select! {
            biased;
            ended = self.stop() => Ok(ended),
            () = signals.next(None) => Ok(Ended::Forced),
        }
    }
}

/// The signals that ask a service to stop, and the one that asks it to look at its files again.
struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits until it is to stop.
    async fn next(&mut self, tls: Option<&Tls>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => match tls {
                    Some(tls) => tls.tell(),
                    None => tracing::info!("SIGHUP: there is no certificate to read again"),
                },
            }
        }
    }
}

async fn bind_control(address: SocketAddr) -> Result<TcpListener, StartFailure> {
    TcpListener::bind(address).await.map_err(|cause| listen_failure(address, cause))
}

fn listen_failure(address: SocketAddr, cause: io::Error) -> StartFailure {
    if cause.kind() == io::ErrorKind::AddrInUse {
        StartFailure::PortInUse(address)
    } else {
        StartFailure::Listen { address, cause }
    }
}

/// Where the certificate comes from; none without TLS.
fn tls_source(settings: &Settings, address: SocketAddr) -> Option<Source> {
    if !settings.tls_cert.as_os_str().is_empty() {
        let (certificate, key) = (settings.tls_cert.clone(), settings.tls_key.clone());
        return Some(Source::Files { certificate, key });
    }
    match settings.tls {
        TlsMode::Off => None,
        TlsMode::Local => Some(Source::Local {
            folder: settings.tls_folder(),
            names: crate::tls::names(&settings.domain, &settings.tls_names, address.ip()),
        }),
    }
}

/// The domain below which indexes have names.
fn domain(settings: &Settings, service: &Service, control_port: u16) -> Option<Arc<Domain>> {
    if settings.domain.is_empty() {
        return None;
    }
    let project = match &*settings.project_id {
        "" => service.project_id(),
        given => given.to_owned(),
    };
    let port = match settings.advertised_port {
        0 => control_port,
        given => given,
    };
    Some(Arc::new(Domain::new(&settings.domain, &project, port)))
}

fn front_options(settings: &Settings, address: SocketAddr, tls: Option<Arc<Tls>>) -> FrontOptions {
    FrontOptions {
        access: Access::new(address, settings.insecure_no_auth),
        control_port: address.port(),
        host_format: settings.host_format,
        bytes_max: BytesMax {
            upsert: settings.upsert_bytes_max,
            request: settings.request_bytes_max,
        },
        request_buffer_bytes: settings.request_buffer_bytes,
        stall_timeout: Duration::from_secs(settings.stall_timeout_s.into()),
        tls,
    }
}

fn transport_limits(settings: &Settings) -> TransportLimits {
    TransportLimits {
        connections_max: settings.connections_max,
        header_timeout: Duration::from_secs(settings.header_timeout_s.into()),
        stall_timeout: Duration::from_secs(settings.stall_timeout_s.into()),
        idle_timeout: Duration::from_secs(settings.idle_timeout_s.into()),
        tls_only: settings.tls_only,
    }
}

/// Every connection is an open file, and the usual limit of 1,024 is far below what is served.
/// Raising it up to the hard limit needs no privilege.
fn raise_file_limit(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return;
    }
    let raised = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let outcome =
        setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    if outcome.is_err() || raised < wanted {
        let open_files_max = if outcome.is_ok() { raised } else { current };
        tracing::warn!(
            open_files_max,
            wanted,
            "the limit on open files is low: raise it, or set connections_max lower"
        );
    }
}
