//! Ports for a service that nobody calls from outside: commands that open the data folder themselves.

use lodgepole_service::{PortBinder, PortError};
use lodgepole_types::BoxFuture;

/// Opens none, and says that it did.
#[derive(Debug)]
pub(crate) struct NoPorts;

impl PortBinder for NoPorts {
    fn bind(&self, _port: u16) -> BoxFuture<'_, Result<(), PortError>> {
        Box::pin(async { Ok(()) })
    }

    fn release(&self, _port: u16) {}
}
