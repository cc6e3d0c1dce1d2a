//! The ports this server listens on.
//!
//! Invariant: a port that was bound stays bound until the server stops. A port whose index was
//! deleted thus keeps answering (404) instead of being taken by another program, which would then
//! receive the requests of clients that still know the old address.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lodgepole_types::Clock;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::connection::{self, Admission};
use super::{Handler, TransportLimits};
use crate::tls::Tls;

/// Pause after a failed accept, which mostly means that open files have run out.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Connections beyond the limit that are told so at one time; further ones are closed without a
/// word.
const TURNED_AWAY_MAX: usize = 64;
/// How long telling one of them may take.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the server is on its way to stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It accepts connections and requests.
    Running,
    /// It accepts nothing new and finishes what is in progress.
    Draining,
    /// It drops what is still in progress.
    GivenUp,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: TransportLimits,
    pub(super) stage: watch::Sender<Stage>,
    /// What a handshake needs; none when TLS is off.
    pub(super) tls: Option<Arc<Tls>>,
    slots: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    /// Whether it has been said that there are too many connections.
    is_full: AtomicBool,
}

/// How stopping went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Every request in progress was answered.
    Clean,
    /// Some took too long and were cut off.
    CutOff,
}

/// The listeners, and through them all connections.
#[derive(Debug)]
pub(crate) struct Listeners {
    shared: Arc<Shared>,
    /// Local ports, all on one address.
    bound: Mutex<BTreeSet<u16>>,
}

impl Listeners {
    /// No listener yet; requests on those to come go to `handler`.
    pub(crate) fn new(
        handler: Arc<dyn Handler>,
        clock: Arc<dyn Clock>,
        limits: TransportLimits,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let slots = usize::try_from(limits.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(slots));
        let stage = watch::Sender::new(Stage::Running);
        let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
        let is_full = AtomicBool::new(false);
        let shared = Shared { handler, clock, limits, stage, tls, slots, turned_away, is_full };
        let shared = Arc::new(shared);
        Self { shared, bound: Mutex::default() }
    }

    /// Listens on an address and begins to accept. Does nothing for a port that is bound already.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn bind(&self, address: SocketAddr) -> io::Result<()> {
        if self.bound.lock().contains(&address.port()) {
            return Ok(());
        }
        self.adopt(TcpListener::bind(address).await?)
    }

    /// Begins to accept on a socket that listens already.
    ///
    /// # Errors
    /// When the socket has no address.
    pub(crate) fn adopt(&self, listener: TcpListener) -> io::Result<()> {
        let port = listener.local_addr()?.port();
        self.bound.lock().insert(port);
        tokio::spawn(accept(Arc::clone(&self.shared), listener, port));
        Ok(())
    }

    /// Stops accepting, waits up to `grace` for requests in progress, then drops the rest.
    pub(crate) async fn stop(&self, grace: Duration) -> Stopped {
        self.shared.stage.send_replace(Stage::Draining);
        let all = self.shared.limits.connections_max;
        let drained = tokio::select! {
            biased;
            _ = self.shared.slots.acquire_many(all) => Stopped::Clean,
            () = self.shared.clock.sleep(grace) => Stopped::CutOff,
        };
        self.shared.stage.send_replace(Stage::GivenUp);
        let _ = self.shared.slots.acquire_many(all).await;
        drained
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, port: u16) {
    let mut stage = shared.stage.subscribe();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage != Stage::Running) => return,
            accepted = accept_one(&shared, &listener, port) => accepted,
        };
        let Some(stream) = accepted else { continue };
        if let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() {
            shared.is_full.store(false, Ordering::Relaxed);
            let served = connection::serve(Arc::clone(&shared), port, stream, Admission::Served);
            tokio::spawn(async move {
                served.await;
                drop(slot);
            });
        } else {
            turn_away(&shared, port, stream);
        }
    }
}

/// Tells a connection beyond the limit that it is one, if that many are not being told already.
///
/// WHY not let it wait for its turn: a client that waits knows nothing, and holds a place in the
/// system's queue that health checks need as well.
fn turn_away(shared: &Arc<Shared>, port: u16, stream: TcpStream) {
    let Ok(slot) = Arc::clone(&shared.turned_away).try_acquire_owned() else { return };
    if !shared.is_full.swap(true, Ordering::Relaxed) {
        let connections_max = shared.limits.connections_max;
        tracing::warn!(
            port,
            connections_max,
            "there are as many connections as allowed: further ones are turned away"
        );
    }
    let told = connection::serve(Arc::clone(shared), port, stream, Admission::TurnedAway);
    let timeout = shared.clock.sleep(TURN_AWAY_TIMEOUT);
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = told => {}
            () = timeout => {}
        }
        drop(slot);
    });
}

/// WHY the slot is taken after accepting: a thousand idle ports must not hold a thousand slots.
async fn accept_one(shared: &Shared, listener: &TcpListener, port: u16) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(port, %error, "TCP_NODELAY was refused");
            }
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(port, %error, "a connection could not be accepted");
            shared.clock.sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    }
}
