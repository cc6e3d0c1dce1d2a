//! Recall and time of searches over one segment of real embeddings, one JSON line a measurement.
//!
//! `segment_bench <folder> [rows] [quick]`: the folder holds `base-100k.f16` and `queries-1k.f16`, rows of
//! 384 half-precision floats; `quick` leaves out filters and larger k. Times are the best of several rounds, per query, on one thread; `us`
//! is wall time and `cpu_us` the time of the thread, which is what to compare on a busy machine.

#![allow(clippy::print_stdout, reason = "a program that prints")]
#![allow(clippy::disallowed_methods, reason = "a program that measures real time")]
#![allow(clippy::cast_precision_loss, reason = "counts in a report")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lodgepole_kernels::Kernels;
use lodgepole_search::{
    AlignedBytes, LiveSegment, PreparedQuery, RecallTarget, RowSet, RowSource, SearchCounters,
    SearchOptions, Segment, SegmentError, SegmentShape, SourceRow, TopK, build_segment,
    search_segments,
};
use lodgepole_types::{Filter, Limits, Metadata, Metric, StoredMetadata, Struct};

const DIMENSION: usize = 384;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: segment_bench <folder> [rows] [quick]")?;
    let rows = arguments.next().map(|rows| rows.parse()).transpose()?.unwrap_or(usize::MAX);
    let quick = arguments.next().is_some();
    let base = floats(&Path::new(&folder).join("base-100k.f16"), rows)?;
    let queries = floats(&Path::new(&folder).join("queries-1k.f16"), 1_000)?;
    let data = Data::new(base, &queries)?;
    let kernels = Kernels::detect();
    let started = cpu_time()?;
    let shape = SegmentShape { dimension: DIMENSION, metric: Metric::Cosine, seed: 1 };
    let mut bytes = Vec::new();
    let stop = AtomicBool::new(false);
    let summary = build_segment(&data, shape, kernels, &mut bytes, &stop)?;
    let seconds = (cpu_time()? - started).as_secs_f64();
    let segment = Segment::open(Arc::new(AlignedBytes::copy_of(&bytes)))?;
    drop(bytes);
    println!(
        "{{\"build_cpu_s\":{seconds:.3},\"rows\":{},\"bytes\":{},\"resident_per_row\":{:.1},\"kind\":\"{:?}\"}}",
        summary.rows,
        summary.bytes,
        segment.resident_bytes() as f64 / summary.rows as f64,
        summary.kind,
    );
    let dead = RowSet::new(segment.rows());
    let bench = Bench { data: &data, segment: &segment, dead: &dead, queries: &queries, kernels };
    bench.run(quick)
}

/// Half-precision rows from a file.
fn floats(path: &Path, rows: usize) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let rows = rows.min(bytes.len() / 2 / DIMENSION);
    let halves = bytes[..rows * DIMENSION * 2].chunks_exact(2);
    Ok(halves.map(|half| half_to_f32(u16::from_le_bytes([half[0], half[1]]))).collect())
}

fn half_to_f32(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(half >> 10 & 31);
    let mantissa = f32::from(half & 1023);
    match exponent {
        0 => sign * mantissa * 2.0_f32.powi(-24),
        _ => sign * (1.0 + mantissa / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

/// Processor time of this thread.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("no processor time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// The rows, with metadata for filters: `r` is a random number from 0 to 999; `near` says how many
/// thousandths of all rows are nearer to an unrelated query than this one.
struct Data {
    values: Vec<f32>,
    ids: Vec<String>,
    metadata: Vec<Vec<u8>>,
    marks: Vec<[usize; 2]>,
}

impl Data {
    fn new(values: Vec<f32>, queries: &[f32]) -> Result<Self, Box<dyn Error>> {
        let rows = values.len() / DIMENSION;
        let far = &queries[queries.len() - DIMENSION..];
        let mut scores = vec![0.0; rows];
        Kernels::detect().dot_rows(far, &values, &mut scores);
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut marks = vec![[0; 2]; rows];
        let mut state = 7_u64;
        for (place, &row) in order.iter().enumerate() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = usize::try_from(state >> 33)? % 1_000;
            marks[row] = [random, place * 1_000 / rows];
        }
        let limits = Limits::default();
        let stored = marks.iter().map(|[random, near]| {
            let json = format!("{{\"r\":{random},\"near\":{near}}}");
            let fields: Struct = serde_json::from_str(&json)?;
            Ok(Metadata::parse(fields, &limits)?.to_stored())
        });
        let metadata = stored.collect::<Result<_, Box<dyn Error>>>()?;
        let ids = (0..rows).map(|row| format!("row-{row}")).collect();
        Ok(Self { values, ids, metadata, marks })
    }
}

impl RowSource for Data {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        Ok(SourceRow {
            docid: row as u64,
            id: &self.ids[row],
            values: &self.values[row * DIMENSION..(row + 1) * DIMENSION],
            sparse: None,
            metadata: StoredMetadata::new(&self.metadata[row]),
        })
    }
}

struct Bench<'a> {
    data: &'a Data,
    segment: &'a Segment,
    dead: &'a RowSet,
    queries: &'a [f32],
    kernels: Kernels,
}

impl Bench<'_> {
    fn run(&self, quick: bool) -> Result<(), Box<dyn Error>> {
        let truth = self.truth(10, |_| true);
        for target in [0.90, 0.95, 0.97, 0.98, 0.99] {
            self.measure("none", &truth, 10, target, None)?;
        }
        if quick {
            return Ok(());
        }
        let truth_100 = self.truth(100, |_| true);
        self.measure("none", &truth_100, 100, 0.97, None)?;
        for (field, at) in [("r", 0), ("near", 1)] {
            for thousandths in [500, 100, 10, 1] {
                let truth = self.truth(10, |row| self.data.marks[row][at] < thousandths);
                let text = format!("{{\"{field}\":{{\"$lt\":{thousandths}}}}}");
                let filter = Filter::parse(&serde_json::from_str(&text)?, &Limits::default())?;
                let name = format!("{field}<{thousandths}");
                self.measure(&name, &truth, 10, 0.97, Some(&filter))?;
            }
        }
        Ok(())
    }

    /// The ids of the true nearest rows of each query.
    fn truth(&self, k: usize, keep: impl Fn(usize) -> bool) -> Vec<Vec<u64>> {
        let rows: Vec<usize> = (0..self.data.ids.len()).filter(|row| keep(*row)).collect();
        let norms = |v: &[f32]| 1.0 / self.kernels.squared_norm(v).sqrt();
        let value = |row: usize| &self.data.values[row * DIMENSION..(row + 1) * DIMENSION];
        let inverse: Vec<f32> = rows.iter().map(|row| norms(value(*row))).collect();
        let nearest = |query: &[f32]| {
            let mut scored: Vec<(f32, u64)> = rows
                .iter()
                .zip(&inverse)
                .map(|(row, inverse)| {
                    (-self.kernels.dot(query, value(*row)) * inverse, *row as u64)
                })
                .collect();
            let k = k.min(scored.len());
            scored.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0));
            scored[..k].iter().map(|(_, row)| *row).collect()
        };
        self.queries.chunks_exact(DIMENSION).map(nearest).collect()
    }

    fn measure(
        &self,
        name: &str,
        truth: &[Vec<u64>],
        k: usize,
        target: f32,
        filter: Option<&Filter>,
    ) -> Result<(), Box<dyn Error>> {
        const ROUNDS: usize = 5;
        let options = SearchOptions {
            filter,
            recall: RecallTarget::new(target),
            ..SearchOptions::nearest(k)
        };
        let live = [LiveSegment { segment: self.segment, dead: self.dead }];
        let (mut wall, mut cpu) = (Duration::MAX, Duration::MAX);
        let (mut found, mut wanted) = (0, 0);
        let mut counters = SearchCounters::default();
        for round in 0..ROUNDS {
            let (wall_start, cpu_start) = (std::time::Instant::now(), cpu_time()?);
            let mut answers = Vec::with_capacity(truth.len());
            for query in self.queries.chunks_exact(DIMENSION) {
                let query = PreparedQuery::dense(Metric::Cosine, query.to_vec(), self.kernels);
                let mut top = TopK::new(k, Metric::Cosine);
                let did = search_segments(self.kernels, &query, &live, &options, &mut top)?;
                if round == 0 {
                    counters += did;
                }
                answers.push(top.into_sorted());
            }
            wall = wall.min(wall_start.elapsed());
            cpu = cpu.min(cpu_time()?.saturating_sub(cpu_start));
            if round == 0 {
                for (answer, truth) in answers.iter().zip(truth) {
                    wanted += truth.len();
                    found += answer.iter().filter(|hit| truth.contains(&hit.docid)).count();
                }
            }
        }
        let queries = truth.len() as f64;
        println!(
            "{{\"filter\":\"{name}\",\"k\":{k},\"target\":{target},\"recall\":{:.4},\"us\":{:.1},\"cpu_us\":{:.1},\"lists\":{:.1},\"scanned\":{:.0},\"refined\":{:.1},\"scored\":{:.1}}}",
            found as f64 / f64::from(u32::try_from(wanted)?),
            wall.as_secs_f64() * 1e6 / queries,
            cpu.as_secs_f64() * 1e6 / queries,
            counters.lists_probed as f64 / queries,
            counters.rows_scanned as f64 / queries,
            counters.rows_reranked_i8 as f64 / queries,
            counters.rows_scored_f32 as f64 / queries,
        );
        Ok(())
    }
}
