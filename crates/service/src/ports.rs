//! The ports of indexes, and who opens them.
//!
//! The server owns sockets; the service decides when one is opened. All opening and closing is done
//! under one lock, and a port is closed only while the catalog gives it to nobody: a port freed by a
//! deletion may by then belong to the index that took the name over.

use std::collections::BTreeSet;
use std::sync::Arc;

use lodgepole_api::ApiError;
use lodgepole_catalog::CatalogError;
use lodgepole_types::{BoxFuture, DeletionProtection, ErrorKind, Index, IndexName};

use crate::service::Shared;

/// Ports tried for one index before it is given up: as many as other programs may hold in a row.
const BIND_TRIES_MAX: usize = 4_096;

/// Opens and closes ports for data planes. Requests on an open port are routed by asking the
/// service which index has it at that moment.
pub trait PortBinder: Send + Sync + std::fmt::Debug {
    /// Listens on `port`; returns when connections are accepted. A port that is open already is
    /// fine.
    fn bind(&self, port: u16) -> BoxFuture<'_, Result<(), PortError>>;

    /// Stops listening on `port`; a port that is not open is fine.
    fn release(&self, port: u16);
}

/// A port that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on port {port}: {reason}")]
pub struct PortError {
    /// The port.
    pub port: u16,
    /// What the system said.
    pub reason: String,
}

impl Shared {
    /// Opens the port of an index; when another program holds it, gives the index another one.
    pub(crate) async fn open_port(&self, mut index: Arc<Index>) -> Result<Arc<Index>, ApiError> {
        let mut unusable = BTreeSet::new();
        loop {
            let refused = match self.bind(&index).await? {
                Ok(()) => return Ok(index),
                Err(refused) => refused,
            };
            tracing::warn!(index = %index.config.name, error = %refused, "trying other ports");
            unusable.insert(index.port);
            self.skip_held_ports(&index.config.name, &mut unusable).await;
            if unusable.len() >= BIND_TRIES_MAX {
                return Err(ApiError::new(
                    ErrorKind::FailedPrecondition,
                    format!(
                        "No port could be opened for index {}. Give the server other ports.",
                        index.config.name
                    ),
                )
                .caused_by(refused));
            }
            index = self.catalog.move_index(index.id, &unusable).await?;
        }
    }

    /// Adds those ports that the index would be given next and that cannot be opened, up to the first that
    /// can: the catalog is written to once, however many other programs hold.
    async fn skip_held_ports(&self, name: &IndexName, unusable: &mut BTreeSet<u16>) {
        while unusable.len() < BIND_TRIES_MAX {
            let Some(port) = self.catalog.next_port(name, unusable) else { return };
            let _turn = self.port_turn.lock().await;
            if self.catalog.index_by_port(port).is_some() {
                // Given away meanwhile: the next look says another one.
                continue;
            }
            let Err(refused) = self.ports.bind(port).await else {
                self.ports.release(port);
                return;
            };
            tracing::debug!(error = %refused, "held by another program");
            unusable.insert(port);
        }
    }

    async fn bind(&self, index: &Index) -> Result<Result<(), PortError>, ApiError> {
        let _turn = self.port_turn.lock().await;
        if let Err(refused) = self.ports.bind(index.port).await {
            return Ok(Err(refused));
        }
        // The index may have been deleted meanwhile.
        match self.catalog.index_by_port(index.port) {
            Some(owner) if owner.id == index.id => Ok(Ok(())),
            Some(_) => Err(CatalogError::IndexIdNotFound(index.id).into()),
            None => {
                self.ports.release(index.port);
                Err(CatalogError::IndexIdNotFound(index.id).into())
            }
        }
    }

    /// Closes a port unless an index has it.
    pub(crate) async fn close_port(&self, port: u16) {
        let _turn = self.port_turn.lock().await;
        if self.catalog.index_by_port(port).is_none() {
            self.ports.release(port);
        }
    }

    /// Opens the port of an index that was just made. When that fails the index is taken back, so
    /// that the refusal is whole.
    pub(crate) async fn open_first_port(&self, index: Arc<Index>) -> Result<Arc<Index>, ApiError> {
        let name = index.config.name.clone();
        match self.open_port(index).await {
            Ok(index) => Ok(index),
            Err(error) => {
                let unprotect = |config: &mut lodgepole_types::IndexConfig| {
                    config.deletion_protection = DeletionProtection::Disabled;
                    Ok::<_, CatalogError>(())
                };
                self.catalog.configure_index(&name, unprotect).await?;
                self.remove_index(&name).await?;
                Err(error)
            }
        }
    }
}
