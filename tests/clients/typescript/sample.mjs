// Records for the tests, and what a right answer to a query is. Values have four decimals, so that
// the shortest decimal of the stored f32 is the very number that was sent.

export const DIMENSION = 8;
export const METRICS = ['cosine', 'euclidean', 'dotproduct'];

// Every kind of metadata value, and text that is easily damaged on the way.
const METADATA = [
  { title: 'plain', year: 1999, price: 12.5, inStock: true, tags: ['a', 'b'] },
  { title: 'Ünïcödé 漢字 🌲', year: -3, price: 1e-7, inStock: false, tags: ['ж'] },
  { title: 'quote " backslash \\ line\nbreak\ttab', year: 2 ** 53, tags: [] },
  { title: '', price: -0.001 },
  { 'with space': 'x', 'dotted.key': 'y', é: 'z' },
];

// A small generator of its own: the same seed gives the same records (xorshift, 32 bits).
export function vectors(seed) {
  let state = seed * 2654435761 >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return () => Array.from({ length: DIMENSION }, () => (2 * (next() % 2000) - 1999) / 2000);
}

export function records(seed, count, prefix) {
  const next = vectors(seed);
  return Array.from({ length: count }, (_, number) => ({
    id: `${prefix}${String(number).padStart(4, '0')}`,
    values: next(),
    metadata: METADATA[number % METADATA.length],
  }));
}

const product = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

// As the API defines it: euclidean is the squared distance.
export function score(metric, query, values) {
  if (metric === 'dotproduct') return product(query, values);
  if (metric === 'euclidean') {
    return query.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0);
  }
  return product(query, values) / Math.sqrt(product(query, query) * product(values, values));
}

// The right answer to a query: ids and scores, best first.
export function best(metric, query, among, topK) {
  const sign = metric === 'euclidean' ? 1 : -1;
  return among
    .map((record) => ({ id: record.id, score: score(metric, query, record.values) }))
    .sort((a, b) => sign * (a.score - b.score))
    .slice(0, topK);
}
