// Every operation that the official TypeScript client has beyond the main job: kinds of indexes,
// collections, schedules, filters, sparse and hybrid records, updates, namespaces, imports.
//
// Goal: each answers what is true, and a refusal is the error class that the client has for it.
// Method: what is right is written down in `../cases` or here. What a version lacks is not tested.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import * as dialect from './dialect.mjs';
import { DIMENSION, records } from './sample.mjs';

const { VERSION, Namespace } = dialect;
const cases = (name) => JSON.parse(readFileSync(new URL(`../cases/${name}`, import.meta.url)));
const FILTERS = cases('filters.json');
const VECTORS = cases('vectors.json');
const METADATA = FILTERS.records;
const SERVERLESS = { serverless: { cloud: 'aws', region: 'us-east-1' } };
const MODEL = 'multilingual-e5-large';
const IMPORTS = process.env.LODGEPOLE_IMPORTS;
const WRONG_KEY = process.env.LODGEPOLE_WRONG_KEY;

let client;
let made;
let collections;

beforeEach(() => {
  client = dialect.connect();
  made = [];
  collections = [];
});

afterEach(async () => {
  const listed = (await client.listIndexes()).indexes ?? [];
  for (const { name } of listed.filter((index) => made.includes(index.name))) {
    await client.deleteIndex(name);
  }
  const kept = collections.length ? (await client.listCollections()).collections : [];
  for (const { name } of kept.filter((each) => collections.includes(each.name))) {
    await client.deleteCollection(name);
  }
});

// A test of what came with a version.
function since(version, name, run) {
  if (VERSION >= version) test(name, run);
}

function newName(hint) {
  const name = `${hint}-${randomUUID().slice(0, 8)}`;
  made.push(name);
  return name;
}

async function newIndex(options = {}) {
  const name = newName(options.metric ?? 'cosine');
  const usual = { dimension: DIMENSION, metric: 'cosine', spec: SERVERLESS };
  await client.createIndex({ name, ...usual, ...options });
  return name;
}

async function newSparseIndex() {
  const name = newName('sparse');
  await client.createIndex({ name, vectorType: 'sparse', metric: 'dotproduct', spec: SERVERLESS });
  return name;
}

async function assertRefused(kind, call, message = /./) {
  await assert.rejects(call, (error) => {
    const what = `${error.name}: ${error.message}`;
    assert.ok([kind].flat().some((each) => error.name === `Pinecone${each}Error`), what);
    assert.match(error.message, message);
    return true;
  });
}

// The server refuses it, or the client does so itself.
const assertRefusedByEither = (call) => assertRefused(['BadRequest', 'Argument'], call);

async function ids(space, options = {}) {
  return ((await space.list({ limit: 100, ...options })).vectors ?? []).map((each) => each.id);
}

async function counts(space, filter) {
  const entries = Object.entries((await space.stats(filter)).namespaces);
  const named = entries.map(([name, found]) => [name || '__default__', found.recordCount]);
  return Object.fromEntries(named.filter(([, count]) => count > 0));
}

// The n-th record of filters.json lies n steps from the origin.
const films = () =>
  Object.entries(METADATA).map(([id, metadata], number) => ({
    id,
    values: [number || 0.5, 0],
    // This client refuses metadata without a key.
    ...(Object.keys(metadata).length > 0 && { metadata }),
  }));

async function filmsIndex() {
  const name = await newIndex({ metric: 'euclidean', dimension: 2 });
  const space = new Namespace(client, name, 'films');
  await space.upsert(films());
  return { name, space };
}

async function found(space, filter) {
  const { matches } = await space.query({ vector: [0, 0], topK: 100, ...(filter && { filter }) });
  return matches.map((hit) => hit.id);
}

test('a serverless index is where it was asked to be', async () => {
  const places = [['aws', 'eu-west-1'], ['gcp', 'us-central1'], ['azure', 'eastus2']];
  for (const [cloud, region] of places) {
    const name = await newIndex({ spec: { serverless: { cloud, region } } });
    const index = await client.describeIndex(name);
    const place = index.deployment ?? index.spec.serverless;
    assert.equal(place.cloud, cloud);
    assert.equal(place.region, region);
  }
  const spec = { serverless: { cloud: 'aws', region: 'invalid-region' } };
  const call = () => client.createIndex({ name: 'never-made', dimension: 2, spec });
  // Of a 404 this client shows no message.
  await assertRefused('NotFound', call);
});

test('a sparse index has no dimension', async () => {
  const index = await client.describeIndex(await newSparseIndex());
  const field = index.schema?.fields?._sparse_values;
  if (VERSION >= 9) assert.equal(field.type, 'sparse_vector');
  else assert.deepEqual([index.vectorType, index.metric], ['sparse', 'dotproduct']);
  assert.ok(!index.dimension);
  assert.equal(index.status.ready, true);
});

test('an index for a model keeps its configuration, and refuses texts for now', async () => {
  const name = newName('model');
  await dialect.createForModel(client, name, MODEL, 'chunk-text');
  const index = await client.describeIndex(name);
  assert.deepEqual(index.tags, { made: 'for-model' });
  if (VERSION >= 9) {
    assert.equal(index.schema.fields['chunk-text'].model, MODEL);
  } else {
    assert.equal(index.embed.model, MODEL);
    assert.deepEqual(index.embed.fieldMap, { text: 'chunk-text' });
    assert.deepEqual([index.dimension, index.metric], [1024, 'cosine']);
  }
  const texts = [{ _id: 'a', 'chunk-text': 'some words' }];
  const call = () => dialect.upsertTexts(client, name, texts);
  await assertRefused('BadRequest', call, new RegExp(MODEL));
});

since(8, 'dedicated read capacity is shown as given and can be changed', async () => {
  const readCapacity = { mode: 'Dedicated', nodeType: 'b1', manual: { shards: 1, replicas: 1 } };
  const serverless = { ...SERVERLESS.serverless, readCapacity };
  const name = await newIndex({ spec: { serverless } });
  const ready = { mode: 'Dedicated', state: 'Ready' };
  const first = dialect.capacityOf(await client.describeIndex(name));
  assert.deepEqual(first, { ...ready, nodeType: 'b1', shards: 1, replicas: 1 });
  const change = { mode: 'Dedicated', nodeType: 't1', manual: { shards: 2, replicas: 2 } };
  await dialect.configure(client, name, { readCapacity: change });
  const second = dialect.capacityOf(await client.describeIndex(name));
  assert.deepEqual(second, { ...ready, nodeType: 't1', shards: 2, replicas: 2 });
  await dialect.configure(client, name, { readCapacity: { mode: 'OnDemand' } });
  assert.equal(dialect.capacityOf(await client.describeIndex(name)).mode, 'OnDemand');
});

since(8, 'a byoc index is where it was asked to be', async () => {
  const capacity = { mode: 'Dedicated', nodeType: 'b1', manual: { shards: 1, replicas: 1 } };
  const byoc = { environment: 'aws-us-east-1-b921', readCapacity: capacity };
  const index = await client.describeIndex(await newIndex({ spec: { byoc } }));
  const place = index.deployment ?? index.spec.byoc;
  assert.equal(place.environment, 'aws-us-east-1-b921');
});

if (VERSION < 9) {
  const environment = 'us-east-1-aws';
  const pod = (more) => ({ pod: { environment, podType: 'p1.x1', pods: 1, ...more } });
  const configured = async (name, podReplicas, podType) => {
    const change = VERSION < 8 ? { spec: { pod: { replicas: podReplicas, podType } } }
      : { podReplicas, podType };
    await dialect.configure(client, name, change);
    const { spec } = await client.describeIndex(name);
    return [spec.pod.replicas, spec.pod.podType];
  };

  test('a pod index scales by its rules', async () => {
    const name = await newIndex({ spec: pod({}) });
    assert.equal((await client.describeIndex(name)).spec.pod.environment, environment);
    assert.deepEqual(await configured(name, 3), [3, 'p1.x1']);
    assert.deepEqual(await configured(name, 1, 'p1.x2'), [1, 'p1.x2']);
    await assertRefused('BadRequest', () => configured(name, 1, 'p2.x2'), /change pod/);
    await assertRefused('BadRequest', () => configured(name, 1, 'p1.x1'), /Cannot scale down/);
    await assertRefused('BadRequest', () => configured(name, 30_000), /max pods allowed/);
    const after = (await client.describeIndex(name)).spec.pod;
    assert.deepEqual([after.replicas, after.podType], [1, 'p1.x2']);
    const serverless = await newIndex();
    await assertRefusedByEither(() => configured(serverless, 2));
  });

  test('a collection is made of a pod index, and an index of the collection', async () => {
    const source = await newIndex({ spec: pod({}) });
    const written = records(21, 30, 'c');
    await new Namespace(client, source, 'books').upsert(written);
    const name = `col-${source.slice(-8)}`;
    collections.push(name);
    await client.createCollection({ name, source });
    const collection = await client.describeCollection(name);
    assert.equal(collection.status, 'Ready');
    assert.deepEqual([collection.dimension, collection.vectorCount], [DIMENSION, 30]);
    assert.equal(collection.environment, environment);
    assert.ok(collection.size > 30 * 4 * DIMENSION);
    const listed = (await client.listCollections()).collections.map((each) => each.name);
    assert.ok(listed.includes(name));
    const copy = await newIndex({ spec: pod({ sourceCollection: name }) });
    const fetched = await new Namespace(client, copy, 'books').fetch(['c0003']);
    assert.deepEqual(fetched.records.c0003.values, written[3].values);
    const space = new Namespace(client, copy);
    assert.deepEqual(await counts(space), { books: 30 });
    await client.deleteCollection(name);
    await assertRefused('NotFound', () => client.describeCollection(name));
    const serverless = await newIndex();
    const call = () => client.createCollection({ name: 'never-made', source: serverless });
    await assertRefused('BadRequest', call);
  });

  since(8, 'statistics take a filter on pod indexes only', async () => {
    const space = new Namespace(client, await newIndex({ dimension: 2, spec: pod({}) }), 'films');
    await space.upsert(films());
    assert.deepEqual(await counts(space, { genre: 'drama' }), { films: 3 });
    const serverless = (await filmsIndex()).space;
    await assertRefused('BadRequest', () => serverless.stats({ genre: 'drama' }));
  });
}

since(9, 'a backup schedule lives through its whole life', async () => {
  const { backupSchedules } = client;
  const indexName = await newIndex();
  const options = { name: 'nightly', frequency: 'daily', retentionDays: 7 };
  const schedule = await backupSchedules.create(indexName, options);
  const { scheduleId } = schedule;
  assert.deepEqual([schedule.frequency, schedule.enabled], ['daily', true]);
  assert.equal(schedule.retentionExpireAfterDays, 7);
  assert.ok(schedule.nextScheduledRun > schedule.createdAt);
  await assertRefused('Conflict', () => backupSchedules.create(indexName, options));
  const change = { frequency: 'monthly', retentionDays: 30, enabled: false };
  const changed = await backupSchedules.update(scheduleId, change);
  assert.deepEqual([changed.frequency, changed.enabled], ['monthly', false]);
  assert.ok(changed.nextScheduledRun === null, 'what is off has no next run');
  assert.deepEqual(await backupSchedules.describe(scheduleId), changed);
  const listed = (await backupSchedules.list(indexName)).data;
  assert.deepEqual(listed.map((each) => each.scheduleId), [scheduleId]);
  await backupSchedules.update(scheduleId, { enabled: true });
  let runs = [];
  for (let waited = 0; runs.length === 0; waited += 200) {
    assert.ok(waited < 20_000, 'no scheduled backup became ready');
    await sleep(200);
    const { data } = await backupSchedules.history(scheduleId);
    runs = data.filter((run) => run.status === 'Ready');
  }
  assert.equal((await client.describeBackup(runs[0].backupId)).sourceIndexName, indexName);
  await client.deleteBackup(runs[0].backupId);
  await backupSchedules.delete(scheduleId);
  await assertRefused('NotFound', () => backupSchedules.describe(scheduleId));
  await assertRefused('NotFound', () => backupSchedules.list('never-made'));
});

test('every filter operator finds what matches', async () => {
  const { space } = await filmsIndex();
  for (const [filter, expected] of FILTERS.matching) {
    assert.deepEqual(await found(space, filter), expected, JSON.stringify(filter));
  }
  assert.deepEqual(await found(space), Object.keys(METADATA));
  const options = { vector: [0, 0], topK: 2, includeMetadata: true };
  const { matches } = await space.query({ ...options, filter: { year: { $gte: 2020 } } });
  assert.deepEqual(matches.map(({ id, score }) => [id, score]), [['f02', 1], ['f03', 4]]);
  assert.deepEqual(matches.map((hit) => hit.metadata), [METADATA.f02, METADATA.f03]);
});

test('bad filters are refused', async () => {
  const { space } = await filmsIndex();
  for (const filter of FILTERS.refused) {
    await assertRefused('BadRequest', () => found(space, filter));
    await assertRefused('BadRequest', () => space.deleteMatching(filter));
  }
  assert.deepEqual(await ids(space), Object.keys(METADATA));
});

test('deletes by filter and of one record', async () => {
  const { space, name } = await filmsIndex();
  await space.deleteMatching({ year: { $gte: 2020 } });
  assert.deepEqual(await ids(space), ['f01', 'f05', 'f06', 'f07', 'f08', 'f10']);
  await space.deleteOne('f05');
  await space.deleteMatching({ genre: 'drama' });
  assert.deepEqual(await ids(space), ['f06', 'f07', 'f08', 'f10']);
  const nowhere = new Namespace(client, name, 'nowhere');
  await assertRefused('NotFound', () => nowhere.deleteMatching({ genre: 'drama' }));
  await assertRefused('NotFound', () => nowhere.deleteOne('a'));
});

since(8, 'records are fetched and updated by filter', async () => {
  const { space } = await filmsIndex();
  for (const [filter, expected] of FILTERS.matching) {
    const reply = await space.fetchByMetadata({ filter });
    assert.deepEqual(Object.keys(reply.records).sort(), expected, JSON.stringify(filter));
    assert.equal(reply.pagination?.next, undefined);
  }
  const filter = { genre: { $exists: true } };
  const pages = [];
  let paginationToken;
  do {
    const reply = await space.fetchByMetadata({ filter, limit: 3, paginationToken });
    pages.push(...Object.keys(reply.records));
    paginationToken = reply.pagination?.next;
  } while (paginationToken && pages.length < 20);
  assert.deepEqual(pages.sort(), ['f01', 'f02', 'f03', 'f04', 'f05', 'f06', 'f09', 'f10']);
  await space.update({ filter: { genre: 'drama' }, metadata: { seen: true } });
  assert.deepEqual(await found(space, { seen: true }), ['f01', 'f03', 'f09']);
});

function written(kind) {
  return VECTORS[kind].records.map(({ id, values, sparse, metadata }) => ({
    id,
    metadata,
    ...(values && { values }),
    ...(sparse && { sparseValues: sparse }),
  }));
}

async function scored(space, query) {
  const { values, sparse, id, filter, top_k: topK = 10 } = query;
  const { matches } = await space.query({
    topK,
    ...(values && { vector: values }),
    ...(sparse && { sparseVector: sparse }),
    ...(id && { id }),
    ...(filter && { filter }),
  });
  return matches.map((hit) => [hit.id, hit.score]);
}

test('a sparse index scores exactly', async () => {
  const space = new Namespace(client, await newSparseIndex(), 'v');
  await space.upsert(written('sparse'));
  for (const query of VECTORS.sparse.queries) {
    assert.deepEqual(await scored(space, query), query.hits, JSON.stringify(query));
  }
  const fetched = (await space.fetch(['s1', 's3'])).records;
  for (const record of written('sparse').filter(({ id }) => id in fetched)) {
    assert.deepEqual(fetched[record.id].sparseValues, record.sparseValues);
    assert.deepEqual(fetched[record.id].metadata, record.metadata);
  }
  await space.update({ id: 's4', sparseValues: { indices: [7], values: [2.5] } });
  const query = { sparse: { indices: [7], values: [2] } };
  assert.deepEqual(await scored(space, query), [['s4', 5]]);
  await space.deleteMatching({ kind: 'one' });
  assert.deepEqual(await ids(space), ['s1', 's3']);
  await assertRefused('BadRequest', () => space.upsert([{ id: 'd', values: [1, 2] }]));
  await assertRefused('BadRequest', () => space.query({ vector: [1, 2], topK: 1 }));
});

test('a hybrid index scores exactly', async () => {
  const name = await newIndex({ metric: 'dotproduct', dimension: 2 });
  const space = new Namespace(client, name, 'v');
  await space.upsert(written('hybrid'));
  for (const query of VECTORS.hybrid.queries) {
    assert.deepEqual(await scored(space, query), query.hits, JSON.stringify(query));
  }
  await space.update({ id: 'h1', values: [2, 0] });
  await space.update({ id: 'h3', sparseValues: { indices: [9, 7], values: [0.5, 4] } });
  await space.update({ id: 'h2', metadata: { part: 'c', new: 'x' } });
  const { h1, h2, h3 } = (await space.fetch(['h1', 'h2', 'h3'])).records;
  assert.deepEqual([h1.values, h1.sparseValues.values], [[2, 0], [0.5, 2]]);
  assert.deepEqual([h3.values, h3.sparseValues.indices], [[0.5, 0.25], [9, 7]]);
  assert.deepEqual([h2.values, h2.metadata], [[0.25, 1], { part: 'c', new: 'x' }]);
});

test('sparse values belong to dotproduct', async () => {
  const space = new Namespace(client, await newIndex({ dimension: 2 }), 'v');
  await assertRefused('BadRequest', () => space.upsert([written('hybrid')[0]]));
  await space.upsert([{ id: 'c', values: [1, 0] }]);
  const sparse = { indices: [3], values: [0.5] };
  const call = () => space.query({ vector: [1, 0], sparseVector: sparse, topK: 1 });
  await assertRefused('BadRequest', call);
  await space.update({ id: 'c', sparseValues: sparse });
  assert.deepEqual((await space.fetch(['c'])).records.c.sparseValues, sparse);
  assert.deepEqual(await scored(space, { values: [1, 0] }), [['c', 1]]);
});

test('an update merges metadata, and keeps to what is there', async () => {
  const name = await newIndex();
  const space = new Namespace(client, name, 'books');
  const given = records(41, 2, 'u');
  await space.upsert(given);
  await space.update({ id: 'u0000', metadata: { title: 'changed', added: ['x'] } });
  await space.update({ id: 'u0001', values: Array(DIMENSION).fill(0.25) });
  await space.update({ id: 'unknown', metadata: { a: 'b' } });
  const { u0000, u0001, ...others } = (await space.fetch(['u0000', 'u0001', 'unknown'])).records;
  assert.deepEqual(u0000.metadata, { ...given[0].metadata, title: 'changed', added: ['x'] });
  assert.deepEqual(u0000.values, given[0].values);
  assert.deepEqual(u0001.values, Array(DIMENSION).fill(0.25));
  assert.deepEqual(u0001.metadata, given[1].metadata);
  assert.deepEqual(others, {});
  const short = { id: 'u0000', values: [0.5] };
  await assertRefused('BadRequest', () => space.update(short));
  const nowhere = new Namespace(client, name, 'nowhere');
  await assertRefused('NotFound', () => nowhere.update({ id: 'u0000', metadata: { a: 'b' } }));
});

test('a wrong dimension is named', async () => {
  const space = new Namespace(client, await newIndex());
  const said = /dimension 3 does not match the dimension of the index 8/;
  const values = [0.5, 0.5, 0.5];
  await assertRefused('BadRequest', () => space.upsert([{ id: 'a', values }]), said);
  await assertRefused('BadRequest', () => space.query({ vector: values, topK: 1 }), said);
  const usual = { vector: Array(DIMENSION).fill(0.5) };
  await assertRefusedByEither(() => space.query({ ...usual, topK: 10_001 }));
});

test('namespaces are listed, described and deleted', async () => {
  const name = await newIndex({ dimension: 2 });
  const space = new Namespace(client, name);
  const names = Array.from({ length: 7 }, (_, number) => `n${number}`);
  for (const each of names) {
    await new Namespace(client, name, each).upsert([{ id: 'one', values: [1, 0.5] }]);
  }
  const listed = [];
  let paginationToken;
  do {
    const page = await space.listNamespaces({ limit: 3, paginationToken });
    assert.ok(page.namespaces.length <= 3);
    listed.push(...page.namespaces.map((each) => each.name));
    paginationToken = page.pagination?.next;
  } while (paginationToken && listed.length < 20);
  assert.deepEqual(listed.filter((each) => each !== '__default__'), names);
  const about = await space.target.describeNamespace('n3');
  assert.deepEqual([about.name, Number(about.recordCount)], ['n3', 1]);
  await space.target.deleteNamespace('n3');
  await assertRefused('NotFound', () => space.target.describeNamespace('n3'));
  await assertRefused('NotFound', () => space.target.deleteNamespace('n3'));
  assert.equal(Object.keys(await counts(space)).length, 6);
});

since(8, 'a namespace is made with a schema', async () => {
  const name = await newIndex({ dimension: 2 });
  const { target } = new Namespace(client, name);
  const schema = { fields: { genre: { filterable: true } } };
  const reply = await target.createNamespace({ name: 'films', schema });
  assert.deepEqual([reply.name, Number(reply.recordCount ?? 0)], ['films', 0]);
  await assertRefused('Conflict', () => target.createNamespace({ name: 'films' }));
  const page = await target.listNamespaces({ prefix: 'fi' });
  assert.deepEqual(page.namespaces.map((each) => each.name), ['films']);
  assert.equal(page.totalCount, 1);
  const space = new Namespace(client, name, 'films');
  await space.upsert([{ id: 'a', values: [1, 0.5], metadata: { genre: 'drama', year: 2019 } }]);
  assert.deepEqual(await found(space, { genre: 'drama' }), ['a']);
  await assertRefused('BadRequest', () => found(space, { year: 2019 }), /year/);
});

async function ended(target, id) {
  for (let waited = 0; waited < 30_000; waited += 50) {
    const job = await target.describeImport(id);
    if (!['Pending', 'InProgress'].includes(job.status)) return job;
    await sleep(50);
  }
  throw new Error('the import did not end');
}

// Whoever starts these tests says what the server allows.
const given = (what, name, run) => what && test(name, run);

given(IMPORTS, 'an import brings every record', async () => {
  const uri = (folder) => pathToFileURL(`${IMPORTS}/${folder}`).href;
  const space = new Namespace(client, await newIndex({ metric: 'euclidean', dimension: 2 }));
  const { target } = space;
  const { id } = await space.startImport(uri('good'), 'abort');
  const done = await ended(target, id);
  assert.deepEqual([done.status, done.percentComplete, done.error], ['Completed', 100, undefined]);
  assert.equal(done.recordsImported, 171);
  assert.equal(done.uri, uri('good'));
  assert.deepEqual(await counts(space), { __default__: 20, books: 151 });
  const failed = await ended(target, (await space.startImport(uri('broken'), 'abort')).id);
  assert.equal(failed.status, 'Failed');
  const slow = (await space.startImport('s3://no-such-bucket-of-lodgepole/', 'continue')).id;
  assert.equal((await target.listImports()).data.length, 3);
  await target.cancelImport(slow);
  assert.equal((await target.describeImport(slow)).status, 'Cancelled');
  await assertRefused('BadRequest', () => space.startImport('file:///etc', 'abort'));
});

given(WRONG_KEY, 'a wrong key opens nothing', async () => {
  const name = await newIndex();
  const stranger = dialect.connect(WRONG_KEY);
  await assertRefused('Authorization', () => stranger.listIndexes());
  await assertRefused('Authorization', () => stranger.describeIndex('never-made'));
  await assertRefused('Authorization', () => stranger.deleteIndex(name));
  assert.equal((await client.describeIndex(name)).name, name);
});
