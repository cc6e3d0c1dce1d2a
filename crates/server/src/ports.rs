//! The ports of indexes, as the service asks for them.
//!
//! An index can be reached the moment its create call is answered, so its port is bound before. The
//! port of a deleted index stays bound: it answers 404 until another index gets it, and no other
//! program can take it meanwhile.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use lodgepole_service::{PortBinder, PortError};
use lodgepole_types::BoxFuture;

use crate::transport::Listeners;

/// Binds the ports of indexes on the address of the control plane.
#[derive(Debug)]
pub(crate) struct IndexListeners {
    listeners: Arc<Listeners>,
    address: IpAddr,
}

impl IndexListeners {
    /// Ports on this address.
    pub(crate) fn new(listeners: Arc<Listeners>, address: IpAddr) -> Self {
        Self { listeners, address }
    }
}

impl PortBinder for IndexListeners {
    fn bind(&self, port: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async move {
            match self.listeners.bind(SocketAddr::new(self.address, port)).await {
                Ok(_) => Ok(()),
                Err(cause) => Err(PortError { port, reason: cause.to_string() }),
            }
        })
    }

    fn release(&self, port: u16) {
        tracing::debug!(port, "the port of a deleted index answers 404 from now on");
    }
}
