//! The whole server on loopback ports, over a folder that is removed afterwards.
//!
//! Goal: both transports behave as clients rely on. Method: raw HTTP and gRPC against a real server,
//! so that nothing but the network is between the test and the data.

#[cfg(test)]
mod client;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod search;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod verify;
