//! A change of the store that is held until it is let go.
//!
//! So that a test can look around at each moment of a longer work, one moment after the other,
//! instead of hoping to meet them.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A held change. Dropping it lets the change go.
#[derive(Debug)]
pub struct Held {
    gate: Arc<Gate>,
}

/// Both sides of a held change; a permit is an event that has come.
#[derive(Debug)]
pub(super) struct Gate {
    reached: Semaphore,
    released: Semaphore,
}

impl Held {
    pub(super) fn new() -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate { reached: Semaphore::new(0), released: Semaphore::new(0) });
        (Self { gate: Arc::clone(&gate) }, gate)
    }

    /// Returns once the change has reached the store.
    pub async fn reached(&self) {
        // Never closed, so there is always a permit in the end.
        let _ = self.gate.reached.acquire().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.released.add_permits(1);
    }
}

impl Gate {
    /// Says that the change is there, and waits until it is let go.
    pub(super) async fn pass(&self) {
        self.reached.add_permits(1);
        let _ = self.released.acquire().await;
    }
}
