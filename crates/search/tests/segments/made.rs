//! Rows that are made up from a seed, like embeddings where it matters to a search.
//!
//! A mixture of low-rank Gaussians: cluster centres lie in a common space of few strong directions;
//! every cluster has its own few directions in which its rows differ, its own width and its own share
//! of the rows, and clusters overlap; all share an offset, and a little noise fills the dimensions
//! that are left. So a row's neighbourhood has about ten dimensions, whatever the dimension of the
//! vectors. Noise alone would have no near rows, and clusters that lie apart would be too easy.
//!
//! WHY only sums and products: the same numbers on every machine.

use lodgepole_search::{RowSource, SegmentError, SourceRow};
use lodgepole_types::{Limits, Metadata, Metric, SparseVector, StoredMetadata, Struct};

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() >> 11) as usize % end
    }

    pub(crate) fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal, of variance 1: four uniform numbers.
    fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u32 = (0..4).map(|part| u32::from((bits >> (part * 16)) as u16)).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732
    }

    /// A vector of about the given length, in any direction.
    fn direction(&mut self, dimension: usize, length: f32) -> Vec<f32> {
        let scale = length / (dimension as f32).sqrt();
        (0..dimension).map(|_| self.normal() * scale).collect()
    }
}

/// Directions that clusters' centres differ in, of falling strength.
const COMMON: usize = 32;
/// Directions that the rows of a cluster differ in.
const OWN: usize = 16;

struct Cluster {
    centre: Vec<f32>,
    directions: Vec<Vec<f32>>,
    width: f32,
}

/// Where vectors come from.
pub(crate) struct Mix {
    pub(crate) draw: Draw,
    dimension: usize,
    clusters: Vec<Cluster>,
    /// Directions that rows do not differ in, for queries from elsewhere.
    foreign: Vec<Vec<f32>>,
    varied_norms: bool,
}

impl Mix {
    /// For inner products the vectors' lengths differ by a factor of up to eight.
    pub(crate) fn new(dimension: usize, clusters: usize, metric: Metric, seed: u64) -> Self {
        let mut draw = Draw::new(seed ^ (dimension as u64) << 32);
        let offset = draw.direction(dimension, 2.0);
        let common: Vec<_> = (0..COMMON)
            .map(|at| draw.direction(dimension, 1.0 / (1.0 + at as f32 / 4.0).sqrt()))
            .collect();
        let foreign = (0..OWN).map(|_| draw.direction(dimension, 0.7)).collect();
        let clusters = (0..clusters)
            .map(|_| {
                let mut centre = offset.clone();
                common.iter().for_each(|direction| add(&mut centre, direction, draw.normal()));
                let directions = (0..OWN)
                    .map(|at| draw.direction(dimension, 1.0 / (1.0 + at as f32 / 8.0)))
                    .collect();
                Cluster { centre, directions, width: 0.6 + draw.uniform() * 0.9 }
            })
            .collect();
        let varied_norms = metric == Metric::DotProduct;
        Self { draw, dimension, clusters, foreign, varied_norms }
    }

    /// A vector like the others.
    pub(crate) fn vector(&mut self) -> Vec<f32> {
        // Some clusters have many more rows than others.
        let share = self.draw.uniform();
        let count = self.clusters.len();
        let cluster = &self.clusters[((share * share * count as f32) as usize).min(count - 1)];
        let mut vector = cluster.centre.clone();
        for direction in &cluster.directions {
            add(&mut vector, direction, self.draw.normal() * cluster.width);
        }
        let noise = 0.5 / (self.dimension as f32).sqrt();
        vector.iter_mut().for_each(|value| *value += self.draw.normal() * noise);
        if self.varied_norms {
            let share = self.draw.uniform();
            let length = 0.25 * (1.0 + 7.0 * share * share);
            vector.iter_mut().for_each(|value| *value *= length);
        }
        vector
    }

    /// A vector from another distribution: between some of the others, and off to a side where none
    /// of them lie, as questions lie to the texts that answer them.
    pub(crate) fn elsewhere(&mut self) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimension];
        for _ in 0..2 {
            let other = self.vector();
            add(&mut vector, &other, 0.5);
        }
        for at in 0..OWN {
            let strength = self.draw.normal() + if at < 4 { 1.0 } else { 0.0 };
            add(&mut vector, &self.foreign[at], strength);
        }
        vector
    }

    /// Rows with docids from `first` on.
    pub(crate) fn rows(&mut self, first: usize, count: usize) -> Set {
        let mut values = Vec::with_capacity(count * self.dimension);
        for _ in 0..count {
            values.extend(self.vector());
        }
        let somewhere = self.vector();
        let regions = regions(&values, &somewhere);
        let traits: Vec<Traits> =
            regions.into_iter().map(|region| Traits::draw(&mut self.draw, region)).collect();
        let metadata = traits.iter().map(Traits::stored).collect();
        let ids = (first..first + count).map(|docid| format!("record-{docid}")).collect();
        let sparse = vec![None; count];
        Set { dimension: self.dimension, first, values, traits, metadata, ids, sparse }
    }
}

fn add(to: &mut [f32], other: &[f32], factor: f32) {
    for (value, other) in to.iter_mut().zip(other) {
        *value += other * factor;
    }
}

/// Which thousandth each row is in, by the distance to a vector.
fn regions(values: &[f32], somewhere: &[f32]) -> Vec<usize> {
    let distance =
        |row: &[f32]| -> f32 { row.iter().zip(somewhere).map(|(x, y)| (x - y) * (x - y)).sum() };
    let rows = values.chunks_exact(somewhere.len());
    let mut order: Vec<(f32, usize)> = rows.map(distance).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut regions = vec![0; order.len()];
    for (rank, (_, row)) in order.iter().enumerate() {
        regions[*row] = rank * 1_000 / order.len();
    }
    regions
}

/// What filters can ask for.
#[derive(Debug, Clone)]
pub(crate) struct Traits {
    /// 0 to 999, at random.
    pub(crate) mark: usize,
    /// 0 to 999: near rows have near numbers, the lowest lie together.
    pub(crate) region: usize,
    /// One of ten texts.
    pub(crate) group: usize,
    /// Bits: which of five tags are in the list; no list when none is.
    pub(crate) tags: usize,
    /// Quarters, 0 to 399; a quarter of the rows have none.
    pub(crate) price: Option<usize>,
    pub(crate) flag: bool,
}

impl Traits {
    fn draw(draw: &mut Draw, region: usize) -> Self {
        Self {
            mark: draw.below(1_000),
            region,
            group: draw.below(10),
            tags: draw.below(32),
            price: (draw.below(4) > 0).then(|| draw.below(400)),
            flag: draw.below(3) == 0,
        }
    }

    fn stored(&self) -> Vec<u8> {
        let Self { mark, region, group, flag, .. } = self;
        let mut json =
            format!("{{\"mark\":{mark},\"region\":{region},\"group\":\"g{group}\",\"flag\":{flag}");
        if let Some(price) = self.price {
            json += &format!(",\"price\":{}", price as f32 / 4.0);
        }
        if self.tags != 0 {
            let tags = (0..5).filter(|tag| self.has_tag(*tag)).map(|tag| format!("\"t{tag}\""));
            json += &format!(",\"tags\":[{}]", tags.collect::<Vec<_>>().join(","));
        }
        let fields: Struct = serde_json::from_str(&(json + "}")).unwrap();
        Metadata::parse(fields, &Limits::default()).unwrap().to_stored()
    }

    pub(crate) fn has_tag(&self, tag: usize) -> bool {
        self.tags >> tag & 1 == 1
    }
}

/// Rows of one segment. The docid of a row is `first` and its number.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) dimension: usize,
    pub(crate) first: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) traits: Vec<Traits>,
    metadata: Vec<Vec<u8>>,
    ids: Vec<String>,
    pub(crate) sparse: Vec<Option<SparseVector>>,
}

impl Set {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn values(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }

    /// Rows that have sparse values only, for a segment without dense ones.
    pub(crate) fn without_values(mut self) -> Self {
        self.values.clear();
        self.dimension = 0;
        self
    }
}

impl RowSource for Set {
    fn rows(&self) -> usize {
        self.len()
    }

    fn row(&self, row: usize) -> Result<SourceRow<'_>, SegmentError> {
        Ok(SourceRow {
            docid: (self.first + row) as u64,
            id: &self.ids[row],
            values: self.values(row),
            sparse: self.sparse[row].as_ref().map(Into::into),
            metadata: StoredMetadata::new(&self.metadata[row]),
        })
    }
}

/// The words of a text as dimensions: few are frequent, most are seldom.
pub(crate) fn words(draw: &mut Draw, count: usize, vocabulary: usize) -> SparseVector {
    let mut entries = std::collections::BTreeMap::new();
    while entries.len() < count {
        let share = draw.uniform();
        let word = (share * share * share * vocabulary as f32) as u32;
        entries.insert(word.wrapping_mul(2_654_435_761), draw.uniform() * 2.0 - 0.3);
    }
    let (indices, values) = entries.into_iter().unzip();
    SparseVector { indices, values }
}
