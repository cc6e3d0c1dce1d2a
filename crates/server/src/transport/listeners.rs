//! The ports this server listens on.
//!
//! Invariant: a port that was bound stays bound until the server stops. A port whose index was
//! deleted thus keeps answering (404) instead of being taken by another program, which would then
//! receive the requests of clients that still know the old address.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lodgepole_types::Clock;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Handler, TransportLimits, connection};

/// Pause after a failed accept, which mostly means that open files have run out.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

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
    slots: Arc<Semaphore>,
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
    ) -> Self {
        let slots = usize::try_from(limits.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(slots));
        let stage = watch::Sender::new(Stage::Running);
        let shared = Arc::new(Shared { handler, clock, limits, stage, slots });
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
        if let Some((stream, slot)) = accepted {
            let served = connection::serve(Arc::clone(&shared), port, stream);
            tokio::spawn(async move {
                served.await;
                drop(slot);
            });
        }
    }
}

/// WHY the slot is taken after accepting: a thousand idle ports must not hold a thousand slots.
async fn accept_one(
    shared: &Shared,
    listener: &TcpListener,
    port: u16,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => {
            let slot = Arc::clone(&shared.slots).acquire_owned().await.ok()?;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(port, %error, "TCP_NODELAY was refused");
            }
            Some((stream, slot))
        }
        Err(error) => {
            tracing::warn!(port, %error, "a connection could not be accepted");
            shared.clock.sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    }
}
