//! The network side of Lodgepole: settings, ports, REST, gRPC, and the life cycle of the process.
//!
//! Layers, outermost first: [`serve`] starts and stops; `transport` serves connections, with [`tls`]
//! below; `front` is what every request passes; `rest` and `grpc` are two ways to say the same thing
//! to the service. [`operator`] is the door for commands on the same machine.
//! Invariant: nothing here decides what a request means or whether it is allowed by the API's rules;
//! the service does, once for both transports.
#![forbid(unsafe_code)]

mod assembly;
mod front;
mod grpc;
mod logging;
pub mod operator;
mod ports;
mod rest;
pub mod serve;
pub mod settings;
pub mod tls;
mod transport;

pub use serve::{Components, Ended, Server, StartError};
pub use settings::{ENVIRONMENT_PREFIX, KEYS, Key, Layers, Settings, SettingsError};
