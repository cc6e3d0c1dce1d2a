// @mastra/pinecone against a running server.
//
// Goal: the vector store of Mastra makes an index, adds, searches with filters, updates and
// deletes. Method: an embedding of our own, so every score is known.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import * as harness from './harness.mjs';

const { TEXTS, IDS, nearest, assertScored } = harness;
process.env.MASTRA_TELEMETRY_DISABLED = '1';
const { PineconeVector } = await harness.load('@mastra/pinecone');

const store = new PineconeVector({
  id: 'lodgepole',
  apiKey: 'any',
  controllerHostUrl: harness.URL_OF_SERVER,
});
const namespace = 'animals';
const made = [];

after(async () => {
  for (const indexName of made) await store.deleteIndex({ indexName });
});

async function newIndex(metric = 'cosine') {
  const indexName = harness.newName('mastra');
  await store.createIndex({ indexName, dimension: harness.DIMENSION, metric });
  made.push(indexName);
  return indexName;
}

async function filled(options = {}) {
  const indexName = await newIndex(options.metric);
  const vectors = IDS.map((id) => harness.embed(TEXTS[id][0]));
  const metadata = IDS.map((id) => ({ text: TEXTS[id][0], ...TEXTS[id][1] }));
  const given = { indexName, vectors, metadata, ids: IDS, namespace, ...options };
  assert.deepEqual(await store.upsert(given), IDS);
  return indexName;
}

async function scored(indexName, query, topK, filter, options = {}) {
  const queryVector = harness.embed(query);
  const given = { indexName, queryVector, topK, namespace, ...(filter && { filter }), ...options };
  const found = await store.query(given);
  for (const { id, metadata } of found) assert.equal(metadata.text, TEXTS[id][0]);
  return found.map(({ id, score }) => [id, score]);
}

test('an index is made, described, listed and deleted', async () => {
  const indexName = await newIndex('euclidean');
  const described = await store.describeIndex({ indexName });
  assert.equal(described.dimension, harness.DIMENSION);
  assert.deepEqual([described.metric, described.count], ['euclidean', 0]);
  assert.ok((await store.listIndexes()).includes(indexName));
  // Making it again is no error when it is the same, and one when it is not.
  const again = { indexName, dimension: harness.DIMENSION, metric: 'euclidean' };
  await store.createIndex(again);
  await assert.rejects(() => store.createIndex({ ...again, dimension: 3 }));
  await store.deleteIndex({ indexName });
  made.pop();
  assert.ok(!(await store.listIndexes()).includes(indexName));
});

test('a search finds the nearest', async () => {
  const indexName = await filled();
  for (const query of ['the cat', 'red ball', 'テキスト']) {
    assertScored(assert, await scored(indexName, query, 6), nearest(query));
  }
  const queryVector = harness.embed('the cat');
  const given = { indexName, queryVector, topK: 1, namespace, includeVector: true };
  const [hit] = await store.query(given);
  assert.equal(hit.vector.length, harness.DIMENSION);
  assert.equal((await store.describeIndex({ indexName })).count, 6);
});

test('a search keeps to its filter', async () => {
  const indexName = await filled();
  const cases = [
    [{ kind: 'cat' }, ['d1', 'd2']],
    [{ year: { $gte: 2020, $lt: 2022 } }, ['d2', 'd5', 'd6']],
    [{ kind: { $in: ['car', 'dog'] } }, ['d3', 'd4', 'd5']],
    [{ kind: { $nin: ['car', 'dog'] } }, ['d1', 'd2', 'd6']],
    [{ kind: { $in: [] } }, []],
    [{ tags: { $all: ['field', 'home'] } }, ['d4']],
    [{ nothing: { $exists: false }, year: 2019 }, ['d1', 'd3']],
    [{ $or: [{ kind: 'car' }, { tags: '漢字' }] }, ['d5', 'd6']],
    [{ $and: [{ kind: { $ne: 'dog' } }, { year: { $lte: 2019 } }] }, ['d1']],
    [{ kind: 'bird' }, []],
  ];
  for (const [filter, among] of cases) {
    const found = await scored(indexName, 'the cat sleeps', 6, filter);
    assertScored(assert, found, nearest('the cat sleeps', among));
  }
});

test('updates', async () => {
  const indexName = await filled();
  const seen = async () => (await scored(indexName, 'cat', 9, { seen: true })).map(([id]) => id);
  const update = { metadata: { seen: true } };
  await store.updateVector({ indexName, id: 'd5', update, namespace });
  assert.deepEqual(await seen(), ['d5']);
  await store.updateVector({ indexName, filter: { kind: 'cat' }, update, namespace });
  assert.deepEqual((await seen()).sort(), ['d1', 'd2', 'd5']);
  const vector = harness.embed('red ball');
  await store.updateVector({ indexName, id: 'd1', update: { vector }, namespace });
  assertScored(assert, await scored(indexName, 'red ball', 1), [['d1', 1]]);
});

test('deletes', async () => {
  const indexName = await filled();
  const left = async () => (await scored(indexName, 'cat', 9)).map(([id]) => id).sort();
  await store.deleteVector({ indexName, id: 'd1', namespace });
  assert.deepEqual(await left(), ['d2', 'd3', 'd4', 'd5', 'd6']);
  await store.deleteVectors({ indexName, filter: { kind: 'dog' }, namespace });
  assert.deepEqual(await left(), ['d2', 'd5', 'd6']);
  await store.deleteVectors({ indexName, ids: ['d2', 'd6'], namespace });
  assert.deepEqual(await left(), ['d5']);
});

test('hybrid search adds both parts', async () => {
  const sparseVectors = IDS.map((id) => harness.embedSparse(TEXTS[id][0]));
  const indexName = await filled({ metric: 'dotproduct', sparseVectors });
  const query = 'red cat';
  const sparseVector = harness.embedSparse(query);
  const right = nearest(query).map(([id, cosine]) => {
    const { indices, values } = harness.embedSparse(TEXTS[id][0]);
    const shared = sparseVector.indices.map((place, i) => {
      const at = indices.indexOf(place);
      return at < 0 ? 0 : values[at] * sparseVector.values[i];
    });
    return [id, cosine + shared.reduce((sum, value) => sum + value, 0)];
  });
  right.sort((a, b) => b[1] - a[1]);
  assertScored(assert, await scored(indexName, query, 6, undefined, { sparseVector }), right);
});
