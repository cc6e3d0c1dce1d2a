//! An index of a running server, found as clients find it, and ways to call its operations.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgMatches, value_parser};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{http1, http2};

/// How requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Rest,
    Grpc,
}

impl Door {
    /// Their names on the command line.
    pub(super) const NAMES: [&'static str; 2] = ["rest", "grpc"];

    /// The one of that name.
    pub(super) fn named(name: &str) -> Self {
        if name == "rest" { Self::Rest } else { Self::Grpc }
    }

    /// The request in its bytes.
    pub(super) fn encode<T: Message + Serialize>(self, message: &T) -> anyhow::Result<Vec<u8>> {
        Ok(match self {
            Self::Rest => serde_json::to_vec(message)?,
            Self::Grpc => message.encode_to_vec(),
        })
    }

    /// The reply from its bytes.
    pub(super) fn decode<T>(self, reply: &[u8]) -> anyhow::Result<T>
    where
        T: Message + Default + DeserializeOwned,
    {
        Ok(match self {
            Self::Rest => serde_json::from_slice(reply)?,
            Self::Grpc => T::decode(reply)?,
        })
    }
}

/// Which index, over which door, and how many connections: the flags of every load.
pub(super) fn flags() -> [Arg; 5] {
    let url = Arg::new("url").long("url").value_name("URL").default_value("http://127.0.0.1:5080");
    let index = Arg::new("index").long("index").value_name("NAME").required(true);
    let door = Arg::new("transport").long("transport").value_parser(Door::NAMES);
    let dimension = Arg::new("dimension").long("dimension").value_name("N").required(true);
    let connections = Arg::new("connections").long("connections").value_name("N");
    [
        url.help("Control plane of the server, without TLS"),
        index.help("Index that the load goes to"),
        door.default_value("grpc").help("How requests are sent"),
        dimension.value_parser(value_parser!(usize)).help("Floats of a row of the file"),
        connections
            .default_value("1")
            .value_parser(value_parser!(usize))
            .help("Connections at once, each with one request under way"),
    ]
}

/// What the flags say.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) index: String,
    pub(super) door: Door,
    pub(super) dimension: usize,
    pub(super) connections: usize,
}

impl Target {
    /// Reads [`flags`].
    pub(super) fn read(arguments: &ArgMatches) -> anyhow::Result<Self> {
        let text = |name: &str| arguments.get_one::<String>(name).cloned().unwrap_or_default();
        let number = |name: &str| arguments.get_one::<usize>(name).copied().context("no number");
        let (url, index, door) = (text("url"), text("index"), Door::named(&text("transport")));
        let (dimension, connections) = (number("dimension")?, number("connections")?);
        ensure!(connections > 0, "at least one connection is needed");
        Ok(Self { url, index, door, dimension, connections })
    }

    /// Where the index listens, as its description says.
    pub(super) async fn find(&self) -> anyhow::Result<SocketAddr> {
        find(&self.url, &self.index).await
    }
}

/// An operation of the data plane: its call over REST, and its method over gRPC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation(&'static str, &'static str);

pub(super) const QUERY: Operation = Operation("POST /query", "/VectorService/Query");
pub(super) const UPSERT: Operation = Operation("POST /vectors/upsert", "/VectorService/Upsert");

/// A kept connection that calls one operation.
#[derive(Debug)]
pub(super) enum Connection {
    Rest(http1::Connection),
    Grpc(http2::Connection),
}

impl Connection {
    /// Connects to the index.
    pub(super) async fn open(
        door: Door,
        index: SocketAddr,
        operation: Operation,
    ) -> anyhow::Result<Self> {
        Ok(match door {
            Door::Rest => Self::Rest(http1::Connection::open(index, operation.0).await?),
            Door::Grpc => Self::Grpc(http2::Connection::open(index, operation.1).await?),
        })
    }

    /// Sends a request and gives the reply.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        match self {
            Self::Rest(connection) => connection.exchange(request).await,
            Self::Grpc(connection) => connection.exchange(request).await,
        }
    }
}

async fn find(url: &str, name: &str) -> anyhow::Result<SocketAddr> {
    let control = url.trim_start_matches("http://").trim_end_matches('/');
    let control: SocketAddr =
        control.parse().with_context(|| format!("'{url}' is not http://ADDRESS:PORT"))?;
    let call = format!("GET /indexes/{name}");
    let mut connection = http1::Connection::open(control, &call).await?;
    let described: serde_json::Value = serde_json::from_slice(connection.exchange(&[]).await?)?;
    ensure!(described["status"]["ready"] == true, "the index {name} is not ready");
    let host = described["host"].as_str().unwrap_or_default();
    let port: Option<u16> = host.rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.with_context(|| format!("the index is at '{host}', without a port"))?;
    Ok(SocketAddr::new(control.ip(), port))
}
