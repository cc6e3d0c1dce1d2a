// @langchain/pinecone against a running server.
//
// Goal: the vector store of LangChain.js adds, searches with filters and deletes. Method: an
// embedding of our own, so every score is known.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import * as harness from './harness.mjs';

const { TEXTS, IDS, nearest, assertScored } = harness;
const { Embeddings } = await harness.load('@langchain/core/embeddings');
const { Document } = await harness.load('@langchain/core/documents');
const { PineconeStore } = await harness.load('@langchain/pinecone');
const { Pinecone } = await harness.load('@pinecone-database/pinecone');

class WordEmbeddings extends Embeddings {
  constructor() {
    super({});
  }

  async embedDocuments(texts) {
    return texts.map(harness.embed);
  }

  async embedQuery(text) {
    return harness.embed(text);
  }
}

// As its guide says: without arguments, everything is read from the environment.
process.env.PINECONE_API_KEY = 'any';
process.env.PINECONE_CONTROLLER_HOST = harness.URL_OF_SERVER;
const client = new Pinecone();
const made = [];

after(async () => {
  for (const name of made) await client.deleteIndex(name);
});

async function filled(options = {}) {
  const name = harness.newName('langchain');
  const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };
  await client.createIndex({ name, dimension: harness.DIMENSION, metric: 'cosine', spec });
  made.push(name);
  const pineconeIndex = client.Index(name);
  const store = await PineconeStore.fromExistingIndex(new WordEmbeddings(), {
    pineconeIndex,
    namespace: 'animals',
    ...options,
  });
  const documents = Object.values(TEXTS).map(
    ([pageContent, metadata]) => new Document({ pageContent, metadata }),
  );
  assert.deepEqual(await store.addDocuments(documents, { ids: IDS }), IDS);
  return store;
}

async function scored(store, query, k, filter) {
  const found = await store.similaritySearchWithScore(query, k, filter);
  for (const [document] of found) {
    assert.deepEqual([document.pageContent, document.metadata], TEXTS[document.id]);
  }
  return found.map(([document, score]) => [document.id, score]);
}

test('a search finds the nearest', async () => {
  const store = await filled();
  for (const query of ['the cat', 'red ball', 'テキスト']) {
    assertScored(assert, await scored(store, query, 6), nearest(query));
    assertScored(assert, await scored(store, query, 2), nearest(query).slice(0, 2));
  }
});

test('a search keeps to its filter', async () => {
  const store = await filled();
  const cases = [
    [{ kind: 'cat' }, ['d1', 'd2']],
    [{ year: { $gte: 2020, $lt: 2022 } }, ['d2', 'd5', 'd6']],
    [{ tags: { $in: ['home'] } }, ['d1', 'd3', 'd4']],
    [{ $or: [{ kind: 'car' }, { tags: '漢字' }] }, ['d5', 'd6']],
    [{ kind: { $ne: 'dog' }, year: 2019 }, ['d1']],
    [{ kind: 'bird' }, []],
  ];
  for (const [filter, among] of cases) {
    const found = await scored(store, 'the cat sleeps', 6, filter);
    assertScored(assert, found, nearest('the cat sleeps', among));
  }
});

test('diverse answers', async () => {
  const store = await filled();
  const found = await store.maxMarginalRelevanceSearch('the dog', { k: 3, fetchK: 6 });
  assert.equal(new Set(found.map((document) => document.id)).size, 3);
  assert.equal(found[0].id, nearest('the dog')[0][0]);
});

test('deletes', async () => {
  const store = await filled();
  const left = async () => (await scored(store, 'cat', 9)).map(([id]) => id).sort();
  await store.delete({ ids: ['d1', 'unknown'] });
  assert.deepEqual(await left(), ['d2', 'd3', 'd4', 'd5', 'd6']);
  await store.delete({ filter: { kind: { $in: ['dog', 'car'] } } });
  assert.deepEqual(await left(), ['d2', 'd6']);
  await store.delete({ deleteAll: true });
  assert.deepEqual(await left(), []);
});
