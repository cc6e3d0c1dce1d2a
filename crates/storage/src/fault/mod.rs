//! An object store that fails, or holds a change, on command: for tests and the simulation.
//!
//! Operations are numbered in the order in which they reach the store, changes and reads each from
//! one. A suite runs its workload once to learn how many changes there are, then once per change with
//! a crash before or after it. INVARIANT: nothing depends on time or chance, so on a single-threaded
//! runtime the same workload meets the same fault at the same operation.

mod held;
mod plan;
mod seals;
mod store;

pub use held::Held;
pub use plan::{Action, Operation, OperationKind, Retry, Timing, Verdict};
pub use seals::{reseal, unseal};
pub use store::{FaultStore, Injected, Latency};

#[cfg(test)]
mod tests;
