// The main job, done by an official TypeScript client that knows nothing of Lodgepole.
//
// Goal: every call a user needs from the first index to the index created from a backup works, and
// answers what is true. Method: each test makes its own indexes on a running server, and compares
// with records it kept itself and with scores it computes itself.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';

import { configure, connect, Namespace, shapeOf } from './dialect.mjs';
import { best, DIMENSION, METRICS, records, vectors } from './sample.mjs';

const NAMESPACES = ['', 'books'];
const AT_ONCE_MS = 2000;

let client;
let made;
let backups;

beforeEach(() => {
  client = connect();
  made = [];
  backups = [];
});

afterEach(async () => {
  const listed = (await client.listIndexes()).indexes ?? [];
  for (const { name } of listed.filter((index) => made.includes(index.name))) {
    await client.deleteIndex(name);
  }
  const alreadyGone = (error) => assert.equal(error.name, 'PineconeNotFoundError');
  for (const id of backups) await client.deleteBackup(id).catch(alreadyGone);
});

function newName(hint) {
  const name = `${hint}-${randomUUID().slice(0, 8)}`;
  made.push(name);
  return name;
}

async function newIndex(metric = 'cosine', options = {}) {
  const name = newName(metric);
  const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };
  await client.createIndex({ name, dimension: DIMENSION, metric, spec, ...options });
  return name;
}

async function newBackup(indexName, name) {
  const backup = await client.createBackup({ indexName, name, description: `about ${name}` });
  backups.push(backup.backupId);
  assert.ok(['Initializing', 'Ready'].includes(backup.status));
  return client.describeBackup(backup.backupId);
}

// Creates an index from a backup. The call does not wait, so the index must be ready right after.
async function restore(backupId, options = {}) {
  const name = newName('restored');
  const started = performance.now();
  const reply = await client.createIndexFromBackup({ backupId, name, ...options });
  const index = await client.describeIndex(name);
  assert.ok(performance.now() - started < AT_ONCE_MS);
  assert.equal(index.status.ready, true);
  assert.equal(index.status.state, 'Ready');
  const job = await client.describeRestoreJob(reply.restoreJobId);
  assert.equal(job.restoreJobId, reply.restoreJobId);
  assert.equal(job.backupId, backupId);
  assert.equal(job.targetIndexName, name);
  assert.equal(job.targetIndexId, reply.indexId);
  assert.equal(job.status, 'Completed');
  assert.equal(job.percentComplete, 100);
  return name;
}

// The server refuses, with the error class that the client has for the status.
async function assertRefused(kind, call, message = /./) {
  await assert.rejects(call, (error) => {
    assert.equal(error.name, `Pinecone${kind}Error`, `${error.name}: ${error.message}`);
    assert.match(error.message, message);
    return true;
  });
}

async function fill(space, written, batch = 40) {
  for (let start = 0; start < written.length; start += batch) {
    await space.upsert(written.slice(start, start + batch));
  }
}

// Everything in a namespace, read with list and fetch: id -> values and metadata.
async function contents(space) {
  const found = {};
  let paginationToken;
  do {
    const page = await space.list({ limit: 60, ...(paginationToken && { paginationToken }) });
    const ids = (page.vectors ?? []).map((vector) => vector.id);
    if (ids.length > 0) {
      const fetched = (await space.fetch(ids)).records;
      assert.deepEqual(Object.keys(fetched).sort(), [...ids].sort());
      for (const [id, { values, metadata }] of Object.entries(fetched)) {
        found[id] = { values, metadata: metadata ?? {} };
      }
    }
    paginationToken = page.pagination?.next;
  } while (paginationToken);
  return found;
}

function expected(written) {
  return Object.fromEntries(
    written.map(({ id, values, metadata }) => [id, { values, metadata: metadata ?? {} }]),
  );
}

async function counts(space) {
  const stats = await space.stats();
  const found = Object.entries(stats.namespaces).map(([name, { recordCount }]) => [
    name || '__default__',
    recordCount,
  ]);
  const filled = Object.fromEntries(found.filter(([, count]) => count > 0));
  const sum = Object.values(filled).reduce((total, count) => total + count, 0);
  assert.equal(stats.totalRecordCount, sum);
  return filled;
}

// Answers to a few fixed queries, complete.
async function answers(space) {
  const next = vectors(99);
  const found = [];
  for (let i = 0; i < 5; i += 1) {
    const options = { topK: 12, includeValues: true, includeMetadata: true };
    found.push((await space.query({ vector: next(), ...options })).matches);
  }
  return found;
}

function assertHits(hits, right) {
  assert.deepEqual(hits.map((hit) => hit.id), right.map((hit) => hit.id));
  hits.forEach((hit, i) => assert.ok(Math.abs(hit.score - right[i].score) < 1e-4));
}

test('an index is ready, described and listed at once', async () => {
  for (const metric of METRICS) {
    const started = performance.now();
    const name = await newIndex(metric, { tags: { team: 'search' }, waitUntilReady: true });
    assert.ok(performance.now() - started < AT_ONCE_MS);
    const index = await client.describeIndex(name);
    assert.equal(index.name, name);
    assert.deepEqual(shapeOf(index), { dimension: DIMENSION, metric });
    assert.equal(index.status.ready, true);
    assert.deepEqual(index.tags, { team: 'search' });
    assert.equal(index.deletionProtection, 'disabled');
  }
  const listed = (await client.listIndexes()).indexes.map((index) => index.name);
  assert.deepEqual(listed.filter((name) => made.includes(name)).sort(), [...made].sort());
});

test('a deleted index is gone', async () => {
  const name = await newIndex();
  await client.deleteIndex(name);
  await assertRefused('NotFound', () => client.describeIndex(name));
  await assertRefused('NotFound', () => client.deleteIndex(name));
});

test('taken and bad names are refused', async () => {
  const name = await newIndex('dotproduct');
  const backup = await newBackup(name, 'one');
  const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };
  const again = { name, dimension: 3, metric: 'cosine', spec };
  await assertRefused('Conflict', () => client.createIndex(again), /already exists/);
  const { backupId } = backup;
  await assertRefused('Conflict', () => client.createIndexFromBackup({ backupId, name }));
  for (const bad of ['Upper', 'under_score', '-start', 'end-', 'x'.repeat(46), 'sp ace', 'é']) {
    const call = () => client.createIndexFromBackup({ backupId, name: bad });
    await assertRefused('BadRequest', call, /must/);
  }
  const shape = shapeOf(await client.describeIndex(name));
  assert.deepEqual(shape, { dimension: DIMENSION, metric: 'dotproduct' });
});

test('what is not there is not found', async () => {
  for (const unknown of [randomUUID(), 'no-uuid']) {
    await assertRefused('NotFound', () => client.describeBackup(unknown));
    await assertRefused('NotFound', () => client.deleteBackup(unknown));
    await assertRefused('NotFound', () => client.describeRestoreJob(unknown));
    const options = { backupId: unknown, name: 'never-made' };
    await assertRefused('NotFound', () => client.createIndexFromBackup(options));
  }
  await assertRefused('NotFound', () => client.describeIndex('never-made'));
  await assertRefused('NotFound', () => client.createBackup({ indexName: 'never-made' }));
  await assertRefused('NotFound', () => client.listBackups({ indexName: 'never-made' }));
});

test('tags are merged, and deletion protection keeps an index', async () => {
  const name = await newIndex('cosine', { tags: { team: 'search', stage: 'test' } });
  const reply = await configure(client, name, { tags: { stage: '', owner: 'ann' } });
  assert.deepEqual(reply.tags, { team: 'search', owner: 'ann' });
  assert.deepEqual((await client.describeIndex(name)).tags, { team: 'search', owner: 'ann' });
  await configure(client, name, { deletionProtection: 'enabled' });
  // 403 is a BadRequest to this client.
  const call = () => client.deleteIndex(name);
  await assertRefused('BadRequest', call, /Deletion protection is enabled for this index/);
  assert.equal((await client.describeIndex(name)).deletionProtection, 'enabled');
  await configure(client, name, { deletionProtection: 'disabled' });
  await client.deleteIndex(name);
  await assertRefused('NotFound', () => client.describeIndex(name));
});

test('backups are listed newest first and in pages', async () => {
  const indexName = await newIndex();
  assert.deepEqual((await client.listBackups({ indexName })).data, []);
  const ids = [];
  for (let i = 0; i < 3; i += 1) ids.unshift((await newBackup(indexName, `backup-${i}`)).backupId);
  const listed = (await client.listBackups({ indexName })).data;
  assert.deepEqual(listed.map((backup) => backup.backupId), ids);
  assert.deepEqual(listed.map((backup) => backup.name), ['backup-2', 'backup-1', 'backup-0']);
  const first = await client.listBackups({ indexName, limit: 2 });
  assert.deepEqual(first.data.map((backup) => backup.backupId), ids.slice(0, 2));
  const paginationToken = first.pagination.next;
  const rest = await client.listBackups({ indexName, limit: 2, paginationToken });
  assert.deepEqual(rest.data.map((backup) => backup.backupId), ids.slice(2));
  const project = (await client.listBackups()).data.map((backup) => backup.backupId);
  assert.deepEqual(project.slice(0, 3), ids);
});

test('a restored index takes over what is not overridden', async () => {
  const tags = { team: 'search', stage: 'test' };
  const { backupId } = await newBackup(await newIndex('euclidean', { tags }), 'tagged');
  const copy = await client.describeIndex(await restore(backupId));
  assert.deepEqual(copy.tags, tags);
  assert.equal(copy.deletionProtection, 'disabled');
  assert.deepEqual(shapeOf(copy), { dimension: DIMENSION, metric: 'euclidean' });
  const options = { tags: { stage: 'new' }, deletionProtection: 'enabled' };
  const name = await restore(backupId, options);
  const changed = await client.describeIndex(name);
  assert.deepEqual(changed.tags, { stage: 'new' });
  assert.equal(changed.deletionProtection, 'enabled');
  await configure(client, name, { deletionProtection: 'disabled' });
  const jobs = (await client.listRestoreJobs({ limit: 2 })).data;
  assert.deepEqual(jobs.map((job) => job.targetIndexName), [name, copy.name]);
});

test('records come back as they were written', async () => {
  const name = await newIndex();
  const odd = ['a/b', 'a.b:c@d!', '[0]', 'a b&c=d?e#f%20', '+plus', '"quoted"'];
  for (const [seed, namespace] of NAMESPACES.entries()) {
    const space = new Namespace(client, name, namespace);
    const next = vectors(5);
    const written = records(seed + 1, 130, 'r').concat(odd.map((id) => ({ id, values: next() })));
    await fill(space, written);
    assert.deepEqual(await contents(space), expected(written));
    const fetched = await space.fetch(['r0001', 'unknown']);
    assert.deepEqual(Object.keys(fetched.records), ['r0001']);
  }
  const space = new Namespace(client, name);
  assert.deepEqual(await counts(space), { __default__: 136, books: 136 });
});

test('ids are listed by prefix in pages', async () => {
  const space = new Namespace(client, await newIndex(), 'books');
  for (const prefix of ['doc1#', 'doc2#', 'x']) await fill(space, records(1, 25, prefix));
  const pages = [];
  let paginationToken;
  do {
    const token = paginationToken && { paginationToken };
    const page = await space.list({ prefix: 'doc2#', limit: 10, ...token });
    pages.push(page.vectors.map((vector) => vector.id));
    paginationToken = page.pagination?.next;
  } while (paginationToken && pages.length < 10);
  assert.deepEqual(pages.flat(), records(1, 25, 'doc2#').map((record) => record.id));
  assert.deepEqual(pages.slice(0, 3).map((page) => page.length), [10, 10, 5]);
});

for (const metric of METRICS) {
  test(`queries agree with an exact reference: ${metric}`, async () => {
    const space = new Namespace(client, await newIndex(metric), 'books');
    const written = records(3, 120, 'r');
    await fill(space, written);
    const next = vectors(7);
    for (let i = 0; i < 5; i += 1) {
      const vector = next();
      const { matches } = await space.query({ vector, topK: 10 });
      assertHits(matches, best(metric, vector, written, 10));
      const bare = matches.every((hit) => !hit.values?.length && hit.metadata === undefined);
      assert.ok(bare, 'values and metadata were not asked for');
    }
    const near = written[17];
    const byId = await space.query({ id: near.id, topK: 3 });
    assertHits(byId.matches, best(metric, near.values, written, 3));
    assert.deepEqual((await space.query({ id: 'none', topK: 3 })).matches, []);
  });
}

test('deletes remove what they name, and a refused upsert leaves nothing', async () => {
  const name = await newIndex();
  const [space, books] = NAMESPACES.map((namespace) => new Namespace(client, name, namespace));
  const written = records(2, 60, 'r');
  await fill(space, written);
  await fill(books, written);
  await books.deleteMany(written.slice(0, 20).map((record) => record.id));
  assert.deepEqual(await contents(books), expected(written.slice(20)));
  assert.deepEqual(await contents(space), expected(written));
  await space.deleteAll();
  assert.deepEqual(await counts(space), { books: 40 });
  const short = { id: 'short', values: Array(DIMENSION - 1).fill(0.5) };
  const zero = { id: 'zero', values: Array(DIMENSION).fill(0) };
  const nested = { id: 'n', values: written[0].values, metadata: { a: { b: 1 } } };
  for (const bad of [short, zero, nested]) {
    await assertRefused('BadRequest', () => space.upsert([...written.slice(0, 5), bad]));
    assert.deepEqual(await contents(space), {}, bad.id);
  }
  const wrong = { vector: Array(7).fill(0.5), topK: 3 };
  await assertRefused('BadRequest', () => space.query(wrong), /dimension/i);
});

for (const metric of METRICS) {
  test(`the main job: ${metric}`, async () => {
    const source = await newIndex(metric, { tags: { job: 'main' } });
    const [space, books] = NAMESPACES.map((namespace) => new Namespace(client, source, namespace));
    const first = records(11, 120, 'doc');
    const kept = [first.slice(0, 115), records(12, 80, 'book')];
    await fill(space, first);
    await fill(books, kept[1]);
    await space.deleteMany(first.slice(115).map((record) => record.id));
    const before = [await answers(space), await answers(books)];
    const backup = await newBackup(source, 'whole');
    assertDescribes(backup, source, metric);

    const half = kept[0].filter((_, i) => i % 2 === 0);
    await space.deleteMany(half.map((record) => record.id));
    await books.deleteAll();
    await fill(space, records(14, 30, 'later'));
    const rest = kept[0].filter((_, i) => i % 2 === 1).concat(records(14, 30, 'later'));

    const restoredName = await restore(backup.backupId);
    const restored = NAMESPACES.map((namespace) => new Namespace(client, restoredName, namespace));
    for (const [i, part] of restored.entries()) {
      assert.deepEqual(await contents(part), expected(kept[i]));
      assert.deepEqual(await answers(part), before[i]);
    }
    assert.deepEqual(await counts(restored[0]), { __default__: 115, books: 80 });
    assert.deepEqual(await contents(space), expected(rest));

    // The restored index lives on without its source and without its backup.
    await client.deleteIndex(source);
    assert.equal((await client.describeBackup(backup.backupId)).status, 'Ready');
    assert.deepEqual(await answers(restored[0]), before[0]);
    await client.deleteBackup(backup.backupId);
    await assertRefused('NotFound', () => client.describeBackup(backup.backupId));
    assert.deepEqual(await contents(restored[1]), expected(kept[1]));
    await fill(restored[0], records(15, 10, 'new'));
    assert.deepEqual(await counts(restored[0]), { __default__: 125, books: 80 });
  });
}

function assertDescribes(backup, source, metric) {
  assert.equal(backup.status, 'Ready');
  assert.equal(backup.name, 'whole');
  assert.equal(backup.description, 'about whole');
  assert.equal(backup.sourceIndexName, source);
  assert.equal(backup.recordCount, 195);
  assert.equal(backup.namespaceCount, 2);
  assert.ok(backup.sizeBytes >= 195 * 4 * DIMENSION);
  assert.deepEqual(shapeOf(backup), { dimension: DIMENSION, metric });
  assert.deepEqual(backup.tags, { job: 'main' });
  assert.equal(backup.cloud, 'aws');
  assert.equal(backup.region, 'us-east-1');
}
