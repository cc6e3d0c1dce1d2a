//! Messages as they go over the wire, one type per message.
//!
//! The data plane's messages are read and written by serde (REST) and prost (gRPC) alike; the
//! control plane has REST only. Invariant: a reply never holds a null, because some client chokes
//! on each: what is absent is left out.

pub mod aliases;
pub mod backups;
pub mod capacity;
pub mod collections;
pub mod imports;
pub mod index_reply;
pub mod index_request;
mod lenient;
pub mod models;
pub mod namespaces;
pub mod rpc_status;
pub mod schedules;
pub mod schema_reply;
pub mod search;
pub mod vectors;
