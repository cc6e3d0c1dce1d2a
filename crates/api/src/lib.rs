//! The API in types: what goes over the wire, in which version, and what it means.
//!
//! Four parts. [`wire`] holds one type per message, decoded by serde and prost alike, so that there
//! is no model per transport. [`parse`] turns a message into words of the domain and is the only
//! place where requests are checked: a transport cannot skip it. [`versions`] and [`endpoints`] are
//! tables. [`envelope`] prints errors.
//!
//! Invariant: nothing here does I/O, waits, or knows a web framework.
#![forbid(unsafe_code)]

pub mod endpoints;
pub mod envelope;
mod errors;
mod json;
pub mod page;
pub mod parse;
pub mod query_string;
mod reasons;
pub mod versions;
pub mod wire;

pub use endpoints::{ENDPOINTS, Endpoint, GRPC_METHODS, GrpcMethod, Method, Operation, Plane};
pub use errors::{ApiError, Because};
pub use page::{Page, PageQuery};
pub use reasons::Reason;
pub use versions::ApiVersion;
