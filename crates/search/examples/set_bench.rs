//! Searches one segment over a set that `./bench` has prepared, as `benchmarks/peers/lodgepole.py`
//! asks for it: one JSON line on standard input for each measurement, one on standard output.
//!
//! `set_bench <folder>` builds the segment from `base.f32`, with the attributes as metadata, and
//! says what that took. A request names the recall to aim at (null: what queries get that ask for
//! nothing special), a filter, threads and a time; without a time every query is asked once and the
//! ids are answered, so that recall is judged by the same program for every system. `queries_file`
//! names another file of the set with queries.

#![allow(clippy::print_stdout, reason = "a program that prints")]
#![allow(clippy::disallowed_methods, reason = "a program that measures real time")]
#![allow(clippy::cast_precision_loss, reason = "counts in a report")]

use std::error::Error;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lodgepole_kernels::Kernels;
use lodgepole_search::{
    AlignedBytes, LiveSegment, PreparedQuery, RecallTarget, RowSet, RowSource, SearchOptions,
    Segment, SegmentError, SegmentShape, SourceRow, TopK, build_segment, search_segments,
};
use lodgepole_types::{Filter, Limits, Metadata, Metric, StoredMetadata, Struct};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const TOP_K: usize = 10;
const WARM_UP_QUERIES: usize = 20;

fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).ok_or("usage: set_bench <folder>")?;
    let folder = Path::new(&folder);
    let set: Value = serde_json::from_slice(&std::fs::read(folder.join("set.json"))?)?;
    let dimension = usize::try_from(set["dimension"].as_u64().ok_or("no dimension")?)?;
    let kernels = Kernels::detect();
    let queries = floats(&folder.join("queries.f32"))?;
    let segment = build(folder, dimension, kernels)?;
    let dead = RowSet::new(segment.rows());
    let bench = Bench { segment: &segment, dead: &dead, queries: &queries, dimension, kernels };
    for line in std::io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let request = Request::read(&line)?;
        if let Some(name) = line["queries_file"].as_str() {
            let queries = floats(&folder.join(name))?;
            println!("{}", Bench { queries: &queries, ..bench }.answer(&request)?);
        } else {
            println!("{}", bench.answer(&request)?);
        }
    }
    Ok(())
}

/// Builds the segment and prints what it took. The rows themselves are dropped again: the segment
/// holds them too.
fn build(folder: &Path, dimension: usize, kernels: Kernels) -> Outcome<Segment> {
    let rows = Rows::read(folder, dimension)?;
    let before = anonymous_bytes()?;
    let (started, cpu) = (Instant::now(), thread_time()?);
    let shape = SegmentShape { dimension, metric: Metric::Cosine, seed: 1 };
    let mut bytes = Vec::new();
    let summary = build_segment(&rows, shape, kernels, &mut bytes, &AtomicBool::new(false))?;
    let (seconds, cpu) = (started.elapsed(), thread_time()? - cpu);
    drop(rows);
    let segment = Segment::open(Arc::new(AlignedBytes::copy_of(&bytes)))?;
    drop(bytes);
    let line = json!({
        "build_s": seconds.as_secs_f64(),
        "build_cpu_s": cpu.as_secs_f64(),
        "rows": summary.rows,
        "bytes": summary.bytes,
        "resident_bytes": segment.resident_bytes(),
        "anonymous_bytes_before": before,
        "kind": format!("{:?}", summary.kind),
    });
    println!("{line}");
    Ok(segment)
}

fn floats(path: &Path) -> Outcome<Vec<f32>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// Processor time of this thread.
fn thread_time() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("no processor time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Memory of this process that no file stands behind.
fn anonymous_bytes() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with("RssAnon:")).ok_or("no RssAnon")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no size")?.parse()?;
    Ok(kib * 1024)
}

/// The rows of the set.
struct Rows {
    values: Vec<f32>,
    dimension: usize,
    ids: Vec<String>,
    metadata: Vec<Vec<u8>>,
}

impl Rows {
    fn read(folder: &Path, dimension: usize) -> Outcome<Self> {
        let values = floats(&folder.join("base.f32"))?;
        let attribute = |name: &str| -> Outcome<Vec<u16>> {
            let bytes = std::fs::read(folder.join(name))?;
            Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
        };
        let (random, region) = (attribute("random.u16")?, attribute("region.u16")?);
        let limits = Limits::default();
        let stored = random.iter().zip(&region).map(|(random, region)| {
            let fields: Struct =
                serde_json::from_value(json!({ "random": random, "region": region }))?;
            Ok(Metadata::parse(fields, &limits)?.to_stored())
        });
        let metadata = stored.collect::<Outcome<Vec<_>>>()?;
        let ids = (0..values.len() / dimension).map(|row| row.to_string()).collect();
        Ok(Self { values, dimension, ids, metadata })
    }
}

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        Ok(SourceRow {
            docid: row as u64,
            id: &self.ids[row],
            values: &self.values[row * self.dimension..(row + 1) * self.dimension],
            sparse: None,
            metadata: StoredMetadata::new(&self.metadata[row]),
        })
    }
}

/// One measurement.
struct Request {
    recall: RecallTarget,
    scan_factor: f32,
    max_candidates: Option<usize>,
    filter: Option<Filter>,
    queries: usize,
    threads: usize,
    duration: Option<Duration>,
}

impl Request {
    #[expect(clippy::cast_possible_truncation, reason = "a share and a factor")]
    fn read(line: &Value) -> Outcome<Self> {
        let number = |name: &str| line[name].as_f64().ok_or_else(|| format!("no {name}"));
        let count = |name: &str| line[name].as_u64().ok_or_else(|| format!("no {name}"));
        let mut filter = None;
        if !line["filter"].is_null() {
            let source = serde_json::from_value(line["filter"].clone())?;
            filter = Some(Filter::parse(&source, &Limits::default())?);
        }
        let seconds = number("seconds")?;
        Ok(Self {
            recall: line["recall"].as_f64().map_or(SearchOptions::nearest(TOP_K).recall, |share| {
                RecallTarget::new(share as f32)
            }),
            scan_factor: number("scan_factor")? as f32,
            max_candidates: line["max_candidates"].as_u64().map(usize::try_from).transpose()?,
            filter,
            queries: usize::try_from(count("queries")?)?,
            threads: usize::try_from(count("threads")?)?,
            duration: (seconds > 0.0).then(|| Duration::from_secs_f64(seconds)),
        })
    }
}

struct Bench<'a> {
    segment: &'a Segment,
    dead: &'a RowSet,
    queries: &'a [f32],
    dimension: usize,
    kernels: Kernels,
}

impl Bench<'_> {
    fn answer(&self, request: &Request) -> Outcome<Value> {
        let count = request.queries.min(self.queries.len() / self.dimension);
        let Some(duration) = request.duration else { return self.once(request, count) };
        let ready = Barrier::new(request.threads);
        let runs = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..request.threads)
                .map(|thread| {
                    let ready = &ready;
                    scope.spawn(move || self.repeat(request, count, thread * 37, (ready, duration)))
                })
                .collect();
            let joined = runs.into_iter().map(|run| run.join().map_err(|_| "a thread panicked")?);
            joined.collect::<Outcome<Vec<_>>>()
        })?;
        let wall = runs.iter().map(|run| run.wall).max().unwrap_or_default().as_secs_f64();
        let cpu: Duration = runs.iter().map(|run| run.cpu).sum();
        let mut times: Vec<_> = runs.into_iter().flat_map(|run| run.times).collect();
        times.sort_unstable();
        let ms = |part: usize| {
            let place = (times.len() * part / 100).min(times.len().saturating_sub(1));
            times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Ok(json!({
            "qps": times.len() as f64 / wall,
            "queries": times.len(),
            "cpu_us": cpu.as_secs_f64() * 1e6 / times.len() as f64,
            "p50_ms": ms(50),
            "p95_ms": ms(95),
            "p99_ms": ms(99),
        }))
    }

    /// Asks every query once.
    fn once(&self, request: &Request, count: usize) -> Outcome<Value> {
        for query in 0..WARM_UP_QUERIES {
            self.search(request, query % count)?;
        }
        let (started, cpu) = (Instant::now(), thread_time()?);
        let ids = (0..count).map(|query| self.search(request, query));
        let ids = ids.collect::<Outcome<Vec<_>>>()?;
        let (wall, cpu) = (started.elapsed(), thread_time()? - cpu);
        Ok(json!({ "ids": ids, "wall_s": wall.as_secs_f64(), "cpu_s": cpu.as_secs_f64() }))
    }

    fn repeat(
        &self,
        request: &Request,
        count: usize,
        first: usize,
        (ready, duration): (&Barrier, Duration),
    ) -> Outcome<Run> {
        let warm = (0..WARM_UP_QUERIES).try_for_each(|query| {
            self.search(request, query % count)?;
            Ok(())
        });
        ready.wait();
        warm.map_err(|problem: Box<dyn Error + Send + Sync>| problem)?;
        let (started, cpu) = (Instant::now(), thread_time()?);
        let (mut times, mut query, mut now) = (Vec::new(), first, Duration::ZERO);
        while now < duration {
            self.search(request, query % count)?;
            query += 1;
            let then = std::mem::replace(&mut now, started.elapsed());
            times.push(now - then);
        }
        Ok(Run { times, wall: now, cpu: thread_time()? - cpu })
    }

    /// What the engine does for a query: prepare it, search, sort what was found.
    fn search(&self, request: &Request, query: usize) -> Outcome<Vec<u64>> {
        let values = &self.queries[query * self.dimension..(query + 1) * self.dimension];
        let query = PreparedQuery::dense(Metric::Cosine, values.to_vec(), self.kernels);
        let options = SearchOptions {
            filter: request.filter.as_ref(),
            scan_factor: request.scan_factor,
            max_candidates: request.max_candidates,
            recall: request.recall,
            ..SearchOptions::nearest(TOP_K)
        };
        let live = [LiveSegment { segment: self.segment, dead: self.dead }];
        let mut top = TopK::new(TOP_K, Metric::Cosine);
        search_segments(self.kernels, &query, &live, &options, &mut top)?;
        Ok(top.into_sorted().iter().map(|hit| hit.docid).collect())
    }
}

/// What one thread saw.
struct Run {
    times: Vec<Duration>,
    wall: Duration,
    cpu: Duration,
}
