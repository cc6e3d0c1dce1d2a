//! What is found and the work for it, per seed, as a text that is reviewed when it changes: with dead
//! rows, several segments, sparse and hybrid queries and large k. Recall stands beside the work, so
//! that a change of the file says whether it is for the better.
//!
//! Run with `LODGEPOLE_UPDATE_GOLDEN=1` to write the file anew. Plain kernels, so that the file is
//! the same on every machine.

use std::fmt::Write as _;

use lodgepole_kernels::{Kernels, Tier};
use lodgepole_search::{
    LiveSegment, PreparedQuery, RowSet, SearchCounters, SearchOptions, Segment, TopK,
    search_segments,
};
use lodgepole_types::Metric;

use super::judge::{bytes_of, filter, none_dead, opened, shape};
use super::made::{Draw, Mix, Set, words};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/segments/golden.txt");
const QUERIES: usize = 12;

/// Some queries, and for each the distance of every row that lives; NaN for the others.
struct Questions {
    queries: Vec<PreparedQuery>,
    distances: Vec<Vec<f32>>,
}

impl Questions {
    fn of(queries: Vec<PreparedQuery>, sets: &[Set], alive: &[bool]) -> Self {
        let kernels = Kernels::with_tier(Tier::Scalar).unwrap();
        let distance = |query: &PreparedQuery, set: &Set, row: usize| {
            let sparse = set.sparse[row].as_ref().map(Into::into);
            let score = query.rescore(kernels, set.values(row), sparse);
            score.filter(|_| alive[set.first + row]).map_or(f32::NAN, |score| -score)
        };
        let rows = |query| {
            let rows = sets.iter().flat_map(|set| (0..set.len()).map(move |row| (set, row)));
            rows.map(|(set, row)| distance(query, set, row)).collect()
        };
        let distances = queries.iter().map(rows).collect();
        Self { queries, distances }
    }
}

/// One line: recall and work over all queries, the nearest of the first one.
fn line(
    text: &mut String,
    name: &str,
    live: &[LiveSegment<'_>],
    asked: &Questions,
    options: &SearchOptions<'_>,
    keep: impl Fn(usize) -> bool,
) {
    let kernels = Kernels::with_tier(Tier::Scalar).unwrap();
    let (mut found, mut wanted, mut work) = (0, 0, SearchCounters::default());
    let mut nearest = String::new();
    for (query, distances) in asked.queries.iter().zip(&asked.distances) {
        let all = distances.iter().enumerate().filter(|(row, d)| !d.is_nan() && keep(*row));
        let mut near: Vec<f32> = all.map(|(_, distance)| *distance).collect();
        let count = options.k.min(near.len());
        let last = *near.select_nth_unstable_by(count - 1, f32::total_cmp).1;
        let mut top = TopK::new(options.k, query.metric());
        work += search_segments(kernels, query, live, options, &mut top).unwrap();
        let hits = top.into_sorted();
        wanted += count;
        found += hits.iter().filter(|hit| -hit.score <= last).count();
        if nearest.is_empty() {
            let shown = hits.iter().take(3);
            let shown = shown.map(|hit| format!("{} at {:?}", hit.docid, hit.score));
            nearest = shown.collect::<Vec<_>>().join(", ");
        }
    }
    let SearchCounters { segments, lists_probed, rows_scanned, rows_reranked_i8, rows_scored_f32 } =
        work;
    writeln!(
        text,
        "  {name}, k {}: found {found} of {wanted}; {segments} segments, {lists_probed} lists, \
         {rows_scanned} scanned, {rows_reranked_i8} refined, {rows_scored_f32} scored; {nearest}",
        options.k
    )
    .unwrap();
}

/// For cosine or inner products.
fn recorded_for(text: &mut String, metric: Metric) {
    let kernels = Kernels::with_tier(Tier::Scalar).unwrap();
    let mut mix = Mix::new(64, 60, metric, 71);
    let mut draw = Draw::new(72);
    let mut sets = [mix.rows(0, 40_200), mix.rows(40_200, 16_500), mix.rows(56_700, 800)];
    if metric == Metric::DotProduct {
        for sparse in sets.iter_mut().flat_map(|set| &mut set.sparse) {
            *sparse = (draw.below(3) > 0).then(|| words(&mut draw, 5, 1_000));
        }
    }
    let built: Vec<Segment> =
        sets.iter().map(|set| opened(&bytes_of(set, shape(64, metric), kernels))).collect();
    let mut alive = vec![true; 57_500];
    let dead: Vec<RowSet> = built
        .iter()
        .map(|segment| {
            let mut dead = none_dead(segment);
            for row in (0..u32::try_from(segment.rows()).unwrap()).step_by(8) {
                dead.insert(row);
                alive[segment.row(row).unwrap().docid as usize] = false;
            }
            dead
        })
        .collect();
    let live: Vec<_> =
        built.iter().zip(&dead).map(|(segment, dead)| LiveSegment { segment, dead }).collect();
    let kinds: Vec<_> = built.iter().map(Segment::kind).collect();
    writeln!(text, "{metric:?}, 64 dimensions, an eighth dead: {kinds:?}").unwrap();
    let questions = |queries: Vec<_>| Questions::of(queries, &sets, &alive);
    let dense = |values: Vec<f32>| PreparedQuery::dense(metric, values, kernels);
    let like = questions((0..QUERIES).map(|_| dense(mix.vector())).collect());
    let foreign = questions((0..QUERIES).map(|_| dense(mix.elsewhere())).collect());
    let only = filter("{\"group\":\"g2\"}");
    let traits: Vec<_> = sets.iter().flat_map(|set| &set.traits).collect();
    for (name, asked) in [("like the rows", &like), ("from elsewhere", &foreign)] {
        for k in [1, 10, 1_000] {
            line(text, name, &live, asked, &SearchOptions::nearest(k), |_| true);
        }
        let options = SearchOptions { filter: Some(&only), ..SearchOptions::nearest(10) };
        let name = format!("{name}, a tenth");
        line(text, &name, &live, asked, &options, |row| traits[row].group == 2);
    }
    if metric == Metric::DotProduct {
        let ten = SearchOptions::nearest(10);
        let mut texts = || words(&mut draw, 6, 1_000);
        let sparse = (0..QUERIES).map(|_| PreparedQuery::sparse(&texts())).collect();
        line(text, "sparse", &live, &questions(sparse), &ten, |_| true);
        let hybrid = (0..QUERIES).map(|_| PreparedQuery::hybrid(mix.vector(), &texts(), kernels));
        line(text, "hybrid", &live, &questions(hybrid.collect()), &ten, |_| true);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes a file of the source, when told to")]
fn answers_recall_and_work_are_as_recorded() {
    let mut text = String::new();
    for metric in [Metric::Cosine, Metric::DotProduct] {
        recorded_for(&mut text, metric);
    }
    if std::env::var_os("LODGEPOLE_UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let recorded = std::fs::read_to_string(FILE).unwrap_or_default();
    assert_eq!(recorded, text, "if this is meant: LODGEPOLE_UPDATE_GOLDEN=1");
}
