//! The requests, and how many of them are answered in a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lodgepole_api::wire::vectors::{
    QueryRequest, QueryResponse, UpsertRequest, UpsertResponse, Vector,
};
use lodgepole_types::Clock;
use tokio::task::JoinSet;

use super::server::Server;
use super::{Kind, Operation, http1, target};

const DIMENSION: u8 = 8;
/// Records of the namespace that is queried.
const QUERIED: usize = 100;
/// Ids that upserts write to, over and over.
const WRITTEN: usize = 10_000;
/// Digits of the number in an id.
const ID_DIGITS: usize = 8;
/// Load before a measurement begins.
const WARM_UP: Duration = Duration::from_millis(300);

/// An index to be asked, and what is known about the server.
#[derive(Debug)]
pub(super) struct Load<'a, C> {
    server: &'a Server,
    index: SocketAddr,
    clock: Arc<C>,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Processor time of the server per request, in microseconds.
    pub(super) server_us: f64,
}

impl<'a, C: Clock + 'static> Load<'a, C> {
    /// Creates the index and fills the namespace that is queried.
    pub(super) async fn prepare(server: &'a Server, clock: C) -> anyhow::Result<Self> {
        let body = format!(
            r#"{{"name":"bench","dimension":{DIMENSION},"metric":"cosine",
                "spec":{{"serverless":{{"cloud":"aws","region":"us-east-1"}}}}}}"#
        );
        let mut control = http1::Connection::open(server.address(), "POST /indexes").await?;
        let created = control.exchange(body.as_bytes()).await?;
        let created: serde_json::Value = serde_json::from_slice(created)?;
        let host = created["host"].as_str().unwrap_or_default();
        let port: Option<u16> = host.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("the index is at '{host}', without a port"))?;
        let index = SocketAddr::new(server.address().ip(), port);

        let vectors = (0..QUERIED).map(vector).collect();
        let request = UpsertRequest { vectors, namespace: "queried".to_owned() };
        let mut data = http1::Connection::open(index, "POST /vectors/upsert").await?;
        data.exchange(&serde_json::to_vec(&request)?).await?;
        Ok(Self { server, index, clock: Arc::new(clock) })
    }

    /// Sends requests of a kind over so many connections for so long.
    ///
    /// # Errors
    /// When an answer is wrong.
    pub(super) async fn measure(
        &self,
        kind: Kind,
        connections: usize,
        duration: Duration,
    ) -> anyhow::Result<Sample> {
        let mut callers = Vec::with_capacity(connections);
        for number in 0..connections {
            callers.push(Caller::open(kind, self.index, number).await?);
        }
        let from = self.clock.elapsed() + WARM_UP;
        let until = from + duration;
        let mut running = JoinSet::new();
        for caller in callers {
            running.spawn(caller.call(Arc::clone(&self.clock), from, until));
        }
        self.clock.sleep(WARM_UP).await;
        let (begun, used_before) = (self.clock.elapsed(), self.server.processor_time()?);
        self.clock.sleep(until.saturating_sub(begun)).await;
        let (ended, used_after) = (self.clock.elapsed(), self.server.processor_time()?);
        let mut latencies = Vec::new();
        while let Some(outcome) = running.join_next().await {
            latencies.extend(outcome.context("a caller is gone")??);
        }
        ensure!(!latencies.is_empty(), "no request was answered in time");
        latencies.sort_unstable();
        let ms = |part: usize| {
            let place = (latencies.len() * part / 100).min(latencies.len() - 1);
            latencies[place].as_secs_f64() * 1_000.0
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 requests")]
        let count = latencies.len() as f64;
        Ok(Sample {
            per_second: count / (ended - begun).as_secs_f64(),
            p50_ms: ms(50),
            p99_ms: ms(99),
            server_us: (used_after - used_before).as_secs_f64() * 1e6 / count,
        })
    }
}

/// One connection with the request that it repeats.
#[derive(Debug)]
struct Caller {
    connection: target::Connection,
    request: Vec<u8>,
    /// Where the number of the record stands in the request, when each writes another record.
    digits_at: Option<usize>,
    number: usize,
    /// What every reply must be.
    reply: Vec<u8>,
}

impl Caller {
    /// Connects, sends the first request and checks what it answers.
    async fn open(kind: Kind, index: SocketAddr, number: usize) -> anyhow::Result<Self> {
        let operation = match kind.operation {
            Operation::Upsert => target::UPSERT,
            Operation::Query => target::QUERY,
        };
        let connection = target::Connection::open(kind.door, index, operation).await?;
        let request = match kind.operation {
            Operation::Upsert => {
                let vectors = vec![vector(0)];
                let message = UpsertRequest { vectors, namespace: "written".to_owned() };
                kind.door.encode(&message)?
            }
            Operation::Query => {
                let message = QueryRequest {
                    vector: vector(7).values,
                    top_k: 1,
                    namespace: "queried".to_owned(),
                    ..QueryRequest::default()
                };
                kind.door.encode(&message)?
            }
        };
        let zeros = [b'0'; ID_DIGITS];
        let digits_at = match kind.operation {
            Operation::Upsert => request.windows(ID_DIGITS).position(|bytes| bytes == zeros),
            Operation::Query => None,
        };
        // Connections begin at different records, so that they do not write the same ones at once.
        let number = number * 97;
        let mut caller = Self { connection, request, digits_at, number, reply: Vec::new() };
        let reply = caller.exchange().await?.to_vec();
        check(kind, &reply)?;
        caller.reply = reply;
        Ok(caller)
    }

    /// Repeats the request until the end; gives the time of each that began and ended in between.
    async fn call<C: Clock>(
        mut self,
        clock: Arc<C>,
        from: Duration,
        until: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        loop {
            let begun = clock.elapsed();
            if begun >= until {
                return Ok(latencies);
            }
            let expected = std::mem::take(&mut self.reply);
            let is_expected = self.exchange().await? == expected;
            ensure!(is_expected, "a reply differs from the first one");
            self.reply = expected;
            let ended = clock.elapsed();
            if begun >= from && ended <= until {
                latencies.push(ended - begun);
            }
        }
    }

    async fn exchange(&mut self) -> anyhow::Result<&[u8]> {
        if let Some(at) = self.digits_at {
            self.number = (self.number + 1) % WRITTEN;
            let digits = format!("{:0ID_DIGITS$}", self.number);
            self.request[at..at + ID_DIGITS].copy_from_slice(digits.as_bytes());
        }
        self.connection.exchange(&self.request).await
    }
}

/// Wrong answers are not timed.
fn check(kind: Kind, reply: &[u8]) -> anyhow::Result<()> {
    match kind.operation {
        Operation::Upsert => {
            let reply: UpsertResponse = kind.door.decode(reply)?;
            ensure!(reply.upserted_count == 1, "an upsert of one record counted {reply:?}");
        }
        Operation::Query => {
            let reply: QueryResponse = kind.door.decode(reply)?;
            let ids: Vec<_> = reply.matches.iter().map(|hit| hit.id.as_str()).collect();
            ensure!(ids == [vector(7).id], "record 7 was to be found, not {ids:?}");
        }
    }
    Ok(())
}

/// A record whose direction differs from that of every other record.
fn vector(number: usize) -> Vector {
    let spread = |place: u8| {
        let mixed = (number * 31 + usize::from(place) * 17 + number * usize::from(place)) % 199;
        f32::from(u8::try_from(mixed).unwrap_or(0)) / 100.0 - 1.0
    };
    Vector {
        id: format!("record-{number:0ID_DIGITS$}"),
        values: (0..DIMENSION).map(spread).collect(),
        ..Vector::default()
    }
}
