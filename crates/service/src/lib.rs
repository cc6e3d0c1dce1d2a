//! Every operation, free of transport.
//!
//! A [`Service`] is what the doors (REST, gRPC) call: one method per operation, from a request in
//! wire types or bytes to a reply in wire types. It orders what the crates below do, so that a crash
//! between any two steps leaves nothing that [`Service::settle`] cannot put right. Invariants:
//!
//! - every request goes through `api::parse` before anything happens;
//! - a change that was begun is finished even when the caller goes away;
//! - what is answered is durable: an index that a reply names exists, is ready, and has its port.
#![forbid(unsafe_code)]

mod aliases;
mod backups;
mod collections;
mod context;
mod filtered;
mod imports;
mod indexes;
mod models;
mod namespaces;
mod operator;
mod ports;
mod reaper;
mod restores;
mod rowless;
mod running;
mod schedules;
mod search;
mod service;
mod settle;
mod undelivered;
mod vector_replies;
mod vectors;
mod verify;

pub use context::{DataReply, IndexHosts, RequestContext, Transport};
pub use lodgepole_catalog::{ApiKey, KeyState, NewKey, Role};
pub use lodgepole_engine::{AuditDepth, AuditFinding};
pub use ports::{PortBinder, PortError};
pub use schedules::ScheduleRound;
pub use service::{Service, ServiceParts};
pub use verify::VerifyReport;

#[cfg(test)]
mod tests;
