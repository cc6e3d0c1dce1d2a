//! Writes a segment: surveys the rows, puts them in order, encodes them, and copies what they are.
//!
//! The rows are read several times, once for each section that needs them, and never held together:
//! what grows with their number is codes, list numbers and a few columns of numbers.

mod calibrate;
mod cluster;
mod directions;
mod encode;
mod records;
mod split;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use lodgepole_kernels::{BLOCK_ROWS, Kernels};

use self::cluster::Clusters;
use self::encode::{Codes, encode_level, quantise, quantise_level, read_level};
use super::directions::Directions;
use super::meta::Meta;
use super::random::Draw;
use super::space::{Space, square, to_f32};
use super::{RowSource, SegmentError, SegmentKind, SegmentShape, SegmentSummary};
use lodgepole_container::{Section, SegmentHeader, SegmentWriter};

/// Up to so many values all dense rows are scored: 2,700 rows of 384 dimensions.
const EXACT_VALUES_MAX: usize = 1 << 20;
/// Below so many dimensions a sign says too little, and the 8-bit rows are scanned.
pub(super) const CODE_DIMENSION_MIN: usize = 64;
/// Up to so many rows one list of codes is scanned faster than many.
const FLAT_ROWS_MAX: usize = 40_000;
/// From so many rows on clusters are split into short lists, whose centroids are found by codes.
/// Below, looking at all centroids costs less than what is saved.
const SPLIT_ROWS_MIN: usize = 250_000;
/// Rows of a cluster, about.
const LIST_ROWS: usize = 200;
/// Rows of a cluster that is split, about: the smaller, the less is left to halving, which makes worse
/// lists than clustering does, but fewer of these fill their blocks.
const SPLIT_LIST_ROWS: usize = 120;
/// Samples for each list.
const LIST_SAMPLES: usize = 32;
/// Values that the samples may take, 256 MiB.
const SAMPLE_VALUES_MAX: usize = 64 << 20;
/// Rows placed and assigned at once, and between two looks at the stop sign.
const BATCH_ROWS: usize = 512;

/// Writes a segment of all rows of `source` on the calling thread. Memory is a small part of the
/// vectors' size: codes, list numbers and samples, never a copy of all vectors.
///
/// The same rows in the same order with the same shape give the same bytes on one tier of kernels.
///
/// # Errors
/// [`SegmentError::Stopped`] soon after `stop` is set; [`SegmentError::Row`] for a row of another
/// dimension or a docid that comes twice; what `source` and `out` answer.
pub fn build_segment(
    source: &dyn RowSource,
    shape: SegmentShape,
    kernels: Kernels,
    out: &mut dyn Write,
    stop: &AtomicBool,
) -> Result<SegmentSummary, SegmentError> {
    build_split_from(SPLIT_ROWS_MIN, source, shape, kernels, (out, stop))
}

/// As [`build_segment`], with another number of rows from which on clusters are split.
pub(super) fn build_split_from(
    split_rows_min: usize,
    source: &dyn RowSource,
    shape: SegmentShape,
    kernels: Kernels,
    (out, stop): (&mut dyn Write, &AtomicBool),
) -> Result<SegmentSummary, SegmentError> {
    let survey = Survey::of(source, shape, kernels, stop)?;
    let mut writer = SegmentWriter::new(out, SegmentHeader::default())?;
    let kind = survey.kind(shape);
    let dense = match kind {
        SegmentKind::Exact => Dense { order: survey.dense.clone(), ..Dense::default() },
        SegmentKind::Flat | SegmentKind::Lists => {
            let space = Space::new(shape, kernels);
            let split = kind == SegmentKind::Lists
                && shape.dimension >= CODE_DIMENSION_MIN
                && survey.dense.len() >= split_rows_min;
            DenseBuild { source, survey: &survey, space: &space, kind, split, stop }
                .run(&mut writer)?
        }
    };
    let mut order = dense.order;
    order.extend_from_slice(&survey.plain);
    records::write(source, &order, survey.dense.len(), &mut writer, stop)?;
    let docid_min = survey.docids.iter().copied().min().unwrap_or(0);
    let docid_max = survey.docids.iter().copied().max().unwrap_or(0);
    let meta = Meta {
        shape,
        kind,
        padded: dense.padded,
        rows: order.len(),
        dense_rows: survey.dense.len(),
        lists: dense.lists,
        blocks: dense.blocks,
        docid_min,
        docid_max,
        reference: survey.reference(shape),
    };
    writer.section(Section::Meta, &meta.encode())?;
    let bytes = writer.finish()?;
    Ok(SegmentSummary { rows: order.len() as u64, bytes, kind, docid_min, docid_max })
}

/// What a first pass over the rows finds.
#[derive(Debug)]
struct Survey {
    docids: Vec<u64>,
    /// Source rows with a dense vector, and without.
    dense: Vec<u32>,
    plain: Vec<u32>,
    square_sum: f64,
    /// Whether all vectors allow estimates in f32.
    trusted: bool,
}

impl Survey {
    fn of(
        source: &dyn RowSource,
        shape: SegmentShape,
        kernels: Kernels,
        stop: &AtomicBool,
    ) -> Result<Self, SegmentError> {
        let rows =
            u32::try_from(source.rows()).map_err(|_| SegmentError::TooLarge { what: "rows" })?;
        let mut survey = Self {
            docids: Vec::with_capacity(rows as usize),
            dense: Vec::new(),
            plain: Vec::new(),
            square_sum: 0.0,
            trusted: true,
        };
        for number in 0..rows {
            halt(stop, number as usize)?;
            let row = source.row(number as usize)?;
            survey.docids.push(row.docid);
            if row.values.is_empty() {
                survey.plain.push(number);
                continue;
            }
            if row.values.len() != shape.dimension {
                return Err(SegmentError::Row { what: "another dimension" });
            }
            let square = square(kernels, row.values);
            survey.square_sum += square;
            survey.trusted &= super::space::is_trusted(shape.metric, square);
            survey.dense.push(number);
        }
        Ok(survey)
    }

    fn kind(&self, shape: SegmentShape) -> SegmentKind {
        let rows = self.dense.len();
        if rows * shape.dimension <= EXACT_VALUES_MAX || !self.trusted {
            SegmentKind::Exact
        } else if rows <= FLAT_ROWS_MAX && shape.dimension >= CODE_DIMENSION_MIN {
            SegmentKind::Flat
        } else {
            SegmentKind::Lists
        }
    }

    /// The root mean square of the norms; 1 where it does not matter.
    fn reference(&self, shape: SegmentShape) -> f32 {
        let mean = self.square_sum / self.dense.len().max(1) as f64;
        let scaled = shape.metric == lodgepole_types::Metric::DotProduct && mean > 0.0;
        if scaled { to_f32(mean.sqrt()) } else { 1.0 }
    }
}

/// What the dense part of a segment came to.
#[derive(Debug, Default)]
struct Dense {
    /// Source rows in the order of the segment.
    order: Vec<u32>,
    padded: usize,
    lists: usize,
    blocks: usize,
}

/// Builds the sections that approximate search needs.
struct DenseBuild<'a> {
    source: &'a dyn RowSource,
    survey: &'a Survey,
    space: &'a Space,
    kind: SegmentKind,
    /// Whether clusters are split into short lists.
    split: bool,
    stop: &'a AtomicBool,
}

/// Lists, and what they were made from.
struct Clustered {
    mean: Vec<f32>,
    /// In which codes are taken; empty for all dimensions.
    directions: Vec<f32>,
    clusters: Clusters,
    /// Source rows, ascending.
    sampled: Vec<u32>,
}

/// Rows in list order.
struct Arranged {
    order: Vec<u32>,
    /// First row of each list, and the end of the last.
    starts: Vec<u32>,
}

impl Arranged {
    /// First row of each block of codes.
    fn block_rows(&self) -> Vec<u32> {
        let lists = self.starts.windows(2);
        lists.flat_map(|bounds| (bounds[0]..bounds[1]).step_by(BLOCK_ROWS)).collect()
    }
}

impl DenseBuild<'_> {
    fn run(&self, writer: &mut SegmentWriter<'_>) -> Result<Dense, SegmentError> {
        let space = self.space;
        let mut draw = Draw::new(space.shape.seed ^ self.survey.dense.len() as u64);
        let Clustered { mean, directions, mut clusters, sampled } = self.cluster(&mut draw)?;
        let mut arranged = self.arrange(&mean, &clusters)?;
        if self.split {
            self.split(&mean, &mut clusters, &mut arranged)?;
        }
        let directions = Directions { padded: space.padded, rows: &directions };
        writer.section(Section::Mean, &mean)?;
        writer.section(Section::Directions, directions.rows)?;
        let (values, terms) = quantise_level(space, &clusters.lists);
        writer.section(Section::Centroids, &values)?;
        writer.section(Section::CentroidTerms, &terms)?;
        writer.section(Section::ListOffsets, &arranged.starts)?;
        let codes = self.encode((directions, &mean), &clusters, &arranged, writer)?;
        let has_codes = !codes.blocks.is_empty();
        if self.kind != SegmentKind::Exact {
            let parts = calibrate::Parts {
                source: self.source,
                space,
                mean: &mean,
                lists: &read_level(&clusters.lists, (&values, &terms)),
                arranged: &arranged,
                codes: &codes,
                short_lists: self.split,
                sampled: &sampled,
                stop: self.stop,
            };
            let numbers = calibrate::calibrate(&parts, &mut draw)?;
            writer.section(Section::Calibration, &numbers)?;
        }
        if has_codes {
            writer.section(Section::BlockOffsets, &codes.starts)?;
            writer.section(Section::BlockRows, &arranged.block_rows())?;
            if self.split {
                let measured = (codes.reference, codes.spreads.as_slice());
                let blocks = encode_level(space, &clusters.lists, measured, (directions, &mean));
                writer.section(Section::ListBlocks, &blocks)?;
            }
            writer.section(Section::Blocks, &codes.blocks)?;
        }
        writer.section(Section::ListTerms, &codes.spreads)?;
        let blocks = codes.count_blocks();
        let lists = clusters.lists.len();
        Ok(Dense { order: arranged.order, padded: space.padded, lists, blocks })
    }

    /// The mean of all rows, and lists around it.
    fn cluster(&self, draw: &mut Draw) -> Result<Clustered, SegmentError> {
        let (space, rows) = (self.space, self.survey.dense.len());
        let lists = match self.kind {
            SegmentKind::Exact | SegmentKind::Flat => 1,
            SegmentKind::Lists if self.split => (rows / SPLIT_LIST_ROWS).max(16),
            SegmentKind::Lists => (rows / LIST_ROWS).max(16),
        };
        let wanted = (lists * LIST_SAMPLES).max(8_192);
        let count = wanted.min(SAMPLE_VALUES_MAX / space.padded).max(lists * 2);
        let chosen = draw.sample(count, rows);
        let sampled = chosen.iter().map(|at| self.survey.dense[*at]).collect();
        let (kernels, stop) = (space.kernels, self.stop);
        if lists == 1 {
            let mean = self.mean_of(&chosen)?;
            let clusters = Clusters::single(vec![0.0; space.padded], kernels);
            return Ok(Clustered { mean, directions: Vec::new(), clusters, sampled });
        }
        let mut samples = vec![0.0; chosen.len() * space.padded];
        for (at, sample) in samples.chunks_exact_mut(space.padded).enumerate() {
            self.place(&chosen, at, sample)?;
        }
        let mut mean = Mean::new(space.padded);
        samples.chunks_exact(space.padded).for_each(|sample| mean.add(sample));
        let mean = mean.take();
        for sample in samples.chunks_exact_mut(space.padded) {
            subtract(sample, &mean);
        }
        let directions = if self.split {
            directions::find(&samples, space.padded, draw, (kernels, stop))?
        } else {
            Vec::new()
        };
        let clusters = Clusters::find(&samples, space.padded, lists, draw, kernels, stop)?;
        Ok(Clustered { mean, directions, clusters, sampled })
    }

    /// The mean of some dense rows. WHY not of samples as above: one list needs nothing else of them,
    /// and they would be the largest thing that building takes.
    fn mean_of(&self, chosen: &[usize]) -> Result<Vec<f32>, SegmentError> {
        let mut mean = Mean::new(self.space.padded);
        let mut placed = vec![0.0; self.space.padded];
        for at in 0..chosen.len() {
            self.place(chosen, at, &mut placed)?;
            mean.add(&placed);
        }
        Ok(mean.take())
    }

    /// Puts one of the chosen rows into `out`, as the space has it.
    fn place(&self, chosen: &[usize], at: usize, out: &mut [f32]) -> Result<(), SegmentError> {
        halt(self.stop, at)?;
        let row = self.source.row(self.survey.dense[chosen[at]] as usize)?;
        self.space.place_row(row.values, out);
        Ok(())
    }

    /// Puts the rows in the order of their lists.
    fn arrange(&self, mean: &[f32], clusters: &Clusters) -> Result<Arranged, SegmentError> {
        let (space, rows) = (self.space, &self.survey.dense);
        let lists = clusters.lists.len();
        let mut of = vec![0_u32; rows.len()];
        if lists > 1 {
            let mut batch = vec![0.0; BATCH_ROWS * space.padded];
            for (rows, of) in rows.chunks(BATCH_ROWS).zip(of.chunks_mut(BATCH_ROWS)) {
                halt(self.stop, 0)?;
                let batch = &mut batch[..rows.len() * space.padded];
                for (&row, out) in rows.iter().zip(batch.chunks_exact_mut(space.padded)) {
                    space.place_row(self.source.row(row as usize)?.values, out);
                    subtract(out, mean);
                }
                clusters.assign(batch, of);
            }
        }
        let mut starts = vec![0_u32; lists + 1];
        for &list in &of {
            starts[list as usize + 1] += 1;
        }
        for list in 0..lists {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut order = vec![0; rows.len()];
        for (&row, &list) in rows.iter().zip(&of) {
            order[next[list as usize] as usize] = row;
            next[list as usize] += 1;
        }
        Ok(Arranged { order, starts })
    }

    /// Splits the lists into leaves.
    fn split(
        &self,
        mean: &[f32],
        clusters: &mut Clusters,
        arranged: &mut Arranged,
    ) -> Result<(), SegmentError> {
        let space = self.space;
        let mut starts = vec![0];
        let mut centroids = Vec::new();
        let mut vectors = Vec::new();
        for bounds in arranged.starts.windows(2) {
            let rows = &mut arranged.order[bounds[0] as usize..bounds[1] as usize];
            vectors.resize(rows.len() * space.padded, 0.0);
            for (&row, out) in rows.iter().zip(vectors.chunks_exact_mut(space.padded)) {
                space.place_row(self.source.row(row as usize)?.values, out);
                subtract(out, mean);
            }
            let leaves = split::split(space.kernels, &vectors, space.padded);
            let old = rows.to_vec();
            for (row, from) in rows.iter_mut().zip(&leaves.order) {
                *row = old[*from as usize];
            }
            for length in leaves.lengths {
                starts.push(starts[starts.len() - 1] + length);
            }
            centroids.extend_from_slice(&leaves.centroids);
        }
        arranged.starts = starts;
        clusters.lists = cluster::Level::new(centroids, space.padded, space.kernels);
        Ok(())
    }

    /// Encodes the rows; writes their 8-bit form.
    fn encode<'a>(
        &self,
        (directions, mean): (Directions<'a>, &'a [f32]),
        clusters: &Clusters,
        arranged: &Arranged,
        writer: &mut SegmentWriter<'_>,
    ) -> Result<Codes<'a>, SegmentError> {
        let space = self.space;
        let mut codes = Codes::new(directions, mean, self.survey.reference(space.shape));
        codes.packed = space.shape.dimension >= CODE_DIMENSION_MIN;
        let mut placed = vec![0.0; space.padded];
        let mut eight = vec![0; space.padded];
        let mut terms = Vec::with_capacity(arranged.order.len());
        writer.begin(Section::Rows8)?;
        for (list, bounds) in arranged.starts.windows(2).enumerate() {
            let centroid = clusters.lists.of(list);
            codes.begin_list(space, centroid);
            for &row in &arranged.order[bounds[0] as usize..bounds[1] as usize] {
                halt(self.stop, terms.len())?;
                space.place_row(self.source.row(row as usize)?.values, &mut placed);
                subtract(&mut placed, mean);
                codes.push(space, &placed, centroid);
                terms.push(quantise(space, &placed, &mut eight));
                writer.write_numbers(&eight)?;
            }
            codes.end_list(space);
        }
        writer.end()?;
        writer.section(Section::Terms8, &terms)?;
        Ok(codes)
    }
}

/// The mean of vectors that are added one after the other.
struct Mean {
    sums: Vec<f64>,
    count: usize,
}

impl Mean {
    fn new(padded: usize) -> Self {
        Self { sums: vec![0.0; padded], count: 0 }
    }

    fn add(&mut self, values: &[f32]) {
        self.count += 1;
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += f64::from(*value);
        }
    }

    fn take(self) -> Vec<f32> {
        let count = self.count.max(1) as f64;
        self.sums.into_iter().map(|sum| to_f32(sum / count)).collect()
    }
}

fn subtract(values: &mut [f32], others: &[f32]) {
    for (value, other) in values.iter_mut().zip(others) {
        *value -= other;
    }
}

/// Looks at the stop sign every [`BATCH_ROWS`] rows.
fn halt(stop: &AtomicBool, row: usize) -> Result<(), SegmentError> {
    if row.is_multiple_of(BATCH_ROWS) && stop.load(Ordering::Relaxed) {
        return Err(SegmentError::Stopped);
    }
    Ok(())
}
