//! The ports of indexes, as the service asks for them.
//!
//! An index can be reached the moment its create call is answered, so its port is bound before. The
//! port of a deleted index stays bound: it answers 404 until another index gets it, and no other
//! program can take it meanwhile. Where indexes are told apart by their names, no port is opened.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use lodgepole_service::{PortBinder, PortError};
use lodgepole_types::BoxFuture;

use crate::transport::Listeners;

/// Binds the ports of indexes on the address of the control plane.
#[derive(Debug)]
pub(crate) struct IndexListeners {
    listeners: Arc<Listeners>,
    /// Absent when no ports are opened.
    address: Option<IpAddr>,
}

impl IndexListeners {
    /// Ports on this address, or none at all.
    pub(crate) fn new(listeners: Arc<Listeners>, address: Option<IpAddr>) -> Self {
        Self { listeners, address }
    }
}

impl PortBinder for IndexListeners {
    fn bind(&self, port: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async move {
            let Some(address) = self.address else { return Ok(()) };
            match self.listeners.bind(SocketAddr::new(address, port)).await {
                Ok(_) => Ok(()),
                Err(cause) => Err(PortError { port, reason: cause.to_string() }),
            }
        })
    }

    fn release(&self, port: u16) {
        tracing::debug!(port, "the port of a deleted index answers 404 from now on");
    }
}
