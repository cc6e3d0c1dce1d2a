//! Which rows lie together: k-means on a sample, then the nearest centroid of every row.
//!
//! A few rounds on a few dozen samples per list are enough: what a search needs is that near rows
//! share a list, not that the centroids are at an optimum. Above [`DIRECT_LISTS_MAX`] lists there
//! are two levels: the samples are split first into about as many regions as lists in a region, and
//! a row looks only at the lists of the few regions nearest to it.

use std::sync::atomic::{AtomicBool, Ordering};

use lodgepole_kernels::{Centroids, Kernels};

use crate::segment::SegmentError;
use crate::segment::random::Draw;

/// Lloyd's rounds.
const ROUNDS: usize = 5;
/// Up to so many lists every row is compared with every centroid.
const DIRECT_LISTS_MAX: usize = 256;
/// Regions whose lists a row is compared with.
const REGIONS_LOOKED_AT: usize = 6;

/// Centroids in rows, ready to be compared with.
#[derive(Debug, Clone)]
pub(super) struct Level {
    padded: usize,
    values: Vec<f32>,
    half_norms: Vec<f32>,
    kernels: Kernels,
}

impl Level {
    pub(super) fn new(values: Vec<f32>, padded: usize, kernels: Kernels) -> Self {
        let half_norms =
            values.chunks_exact(padded).map(|row| kernels.squared_norm(row) / 2.0).collect();
        Self { padded, values, half_norms, kernels }
    }

    /// Other values with the norms of these.
    pub(super) fn with_values(&self, values: Vec<f32>) -> Self {
        Self { values, half_norms: self.half_norms.clone(), ..*self }
    }

    pub(super) fn len(&self) -> usize {
        self.half_norms.len()
    }

    pub(super) fn of(&self, list: usize) -> &[f32] {
        &self.values[list * self.padded..(list + 1) * self.padded]
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn half_norm(&self, list: u32) -> f32 {
        self.half_norms[list as usize]
    }

    /// The nearest centroid of each vector.
    fn assign(&self, vectors: &[f32], lists: &mut [u32]) {
        let mut values = vec![0.0; lists.len()];
        let centroids = Centroids {
            values: &self.values,
            half_norms: &self.half_norms,
            dimension: self.padded,
        };
        self.kernels.assign(vectors, centroids, lists, &mut values);
    }

    /// The nearest few centroids of one vector.
    fn nearest_few(&self, vector: &[f32], count: usize) -> Vec<u32> {
        let mut products = vec![0.0; self.len()];
        self.kernels.dot_rows(vector, &self.values, &mut products);
        for (product, half_norm) in products.iter_mut().zip(&self.half_norms) {
            *product -= half_norm;
        }
        let mut order: Vec<u32> = (0_u32..).take(self.len()).collect();
        let farther = |a: &u32, b: &u32| {
            products[*b as usize].total_cmp(&products[*a as usize]).then(a.cmp(b))
        };
        if count < order.len() {
            order.select_nth_unstable_by(count, farther);
            order.truncate(count);
        }
        order
    }
}

/// The lists of a segment in the making.
#[derive(Debug)]
pub(super) struct Clusters {
    pub(super) lists: Level,
    /// With two levels: the regions, and the lists of each.
    regions: Option<(Level, Vec<Level>, Vec<u32>)>,
}

impl Clusters {
    /// One list.
    pub(super) fn single(centroid: Vec<f32>, kernels: Kernels) -> Self {
        let padded = centroid.len();
        Self { lists: Level::new(centroid, padded, kernels), regions: None }
    }

    /// Finds `lists` centroids, or about as many.
    pub(super) fn find(
        samples: &[f32],
        padded: usize,
        lists: usize,
        draw: &mut Draw,
        kernels: Kernels,
        stop: &AtomicBool,
    ) -> Result<Self, SegmentError> {
        let mut lloyd = Lloyd { padded, kernels, draw, stop };
        if lists <= DIRECT_LISTS_MAX {
            return Ok(Self { lists: lloyd.run(samples, lists)?, regions: None });
        }
        let regions = lloyd.run(samples, lists.isqrt().max(2))?;
        let count = samples.len() / padded;
        let mut nearest = vec![0; count];
        regions.assign(samples, &mut nearest);
        let (mut all, mut levels, mut firsts) = (Vec::new(), Vec::new(), Vec::new());
        for region in (0_u32..).take(regions.len()) {
            let members = nearest.iter().enumerate().filter(|(_, of)| **of == region);
            let mut own = Vec::new();
            for (sample, _) in members {
                own.extend_from_slice(&samples[sample * padded..(sample + 1) * padded]);
            }
            firsts.push(u32::try_from(all.len() / padded).unwrap_or(u32::MAX));
            let share = (lists * (own.len() / padded)).div_ceil(count).max(1);
            let level = if own.is_empty() {
                Level::new(regions.of(region as usize).to_vec(), padded, kernels)
            } else {
                lloyd.run(&own, share)?
            };
            all.extend_from_slice(&level.values);
            levels.push(level);
        }
        let lists = Level::new(all, padded, kernels);
        Ok(Self { lists, regions: Some((regions, levels, firsts)) })
    }

    /// The list of each vector.
    pub(super) fn assign(&self, vectors: &[f32], lists: &mut [u32]) {
        let Some((regions, levels, firsts)) = &self.regions else {
            return self.lists.assign(vectors, lists);
        };
        let padded = self.lists.padded;
        let mut best = vec![f32::NEG_INFINITY; lists.len()];
        let mut visits: Vec<(u32, u32)> = Vec::new();
        for (row, vector) in (0_u32..).zip(vectors.chunks_exact(padded)) {
            let near = regions.nearest_few(vector, REGIONS_LOOKED_AT);
            visits.extend(near.into_iter().map(|region| (region, row)));
        }
        visits.sort_unstable();
        for visits in visits.chunk_by(|a, b| a.0 == b.0) {
            let region = visits[0].0 as usize;
            let mut own = Vec::with_capacity(visits.len() * padded);
            for (_, row) in visits {
                let row = *row as usize;
                own.extend_from_slice(&vectors[row * padded..(row + 1) * padded]);
            }
            let level = &levels[region];
            let (mut index, mut value) = (vec![0; visits.len()], vec![0.0; visits.len()]);
            let centroids = Centroids {
                values: &level.values,
                half_norms: &level.half_norms,
                dimension: padded,
            };
            level.kernels.assign(&own, centroids, &mut index, &mut value);
            for ((_, row), (index, value)) in visits.iter().zip(index.iter().zip(value)) {
                let row = *row as usize;
                if value > best[row] {
                    best[row] = value;
                    lists[row] = firsts[region] + index;
                }
            }
        }
    }
}

/// K-means.
struct Lloyd<'a> {
    padded: usize,
    kernels: Kernels,
    draw: &'a mut Draw,
    stop: &'a AtomicBool,
}

impl Lloyd<'_> {
    /// Lloyd's rounds, started from samples drawn at random.
    fn run(&mut self, samples: &[f32], lists: usize) -> Result<Level, SegmentError> {
        let padded = self.padded;
        let count = samples.len() / padded;
        let mut values = Vec::with_capacity(lists * padded);
        for sample in self.draw.sample(lists, count) {
            values.extend_from_slice(&samples[sample * padded..(sample + 1) * padded]);
        }
        let mut level = Level::new(values, padded, self.kernels);
        let mut nearest = vec![0; count];
        for _ in 0..ROUNDS {
            if self.stop.load(Ordering::Relaxed) {
                return Err(SegmentError::Stopped);
            }
            level.assign(samples, &mut nearest);
            let values = self.means(samples, &nearest, level.len());
            level = Level::new(values, padded, self.kernels);
        }
        Ok(level)
    }

    /// The mean of the samples of each list. A list with hardly any moves onto a sample drawn at
    /// random: that hits large lists most, and so splits them.
    fn means(&mut self, samples: &[f32], nearest: &[u32], lists: usize) -> Vec<f32> {
        let padded = self.padded;
        let mut sums = vec![0.0_f32; lists * padded];
        let mut counts = vec![0_u32; lists];
        for (sample, &list) in samples.chunks_exact(padded).zip(nearest) {
            let list = list as usize;
            counts[list] += 1;
            for (sum, value) in sums[list * padded..(list + 1) * padded].iter_mut().zip(sample) {
                *sum += value;
            }
        }
        let few = (nearest.len() / lists / 8).max(1);
        for (mean, count) in sums.chunks_exact_mut(padded).zip(counts) {
            if (count as usize) < few {
                let sample = self.draw.below(nearest.len());
                mean.copy_from_slice(&samples[sample * padded..(sample + 1) * padded]);
                continue;
            }
            let share = 1.0 / count as f32;
            for value in mean {
                *value *= share;
            }
        }
        sums
    }
}
