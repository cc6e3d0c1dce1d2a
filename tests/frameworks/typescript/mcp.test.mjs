// @pinecone-database/mcp, whose hosts are built in, against a server that stands in for them.
//
// Goal: with a certificate for api.pinecone.io and that name leading here, its tools work as they
// are: what they list, create and describe is what the server has, and tools that need a hosted
// model say which one is missing. Method: the tools are called by the protocol's own client; what
// is on the server is made and looked at by another client.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as harness from './harness.mjs';

const { Client } = await harness.load('@modelcontextprotocol/sdk/client/index.js');
const stdio = await harness.load('@modelcontextprotocol/sdk/client/stdio.js');
const { Pinecone } = await harness.load('@pinecone-database/pinecone');

const direct = new Pinecone({ apiKey: 'any', controllerHostUrl: harness.URL_OF_SERVER });
const mcp = new Client({ name: 'lodgepole-tests', version: '0' });
const name = harness.newName('mcp');
const made = [];

// The program as it is, below another hosts file, or led here by a module.
function program() {
  const file = harness.fileOf('@pinecone-database/mcp');
  if (!process.env.HOSTS) {
    const module = new URL('stand-in.mjs', import.meta.url).href;
    return { command: process.execPath, args: ['--import', module, file] };
  }
  const script = 'mount --bind "$HOSTS" /etc/hosts && exec "$0" "$1"';
  return { command: 'unshare', args: ['--mount', 'sh', '-c', script, process.execPath, file] };
}

before(async () => {
  const transport = new stdio.StdioClientTransport({
    ...program(),
    env: { ...process.env, PINECONE_API_KEY: 'any' },
    stderr: 'inherit',
  });
  await mcp.connect(transport);
  const spec = { serverless: { cloud: 'aws', region: 'us-east-1' } };
  await direct.createIndex({ name, dimension: harness.DIMENSION, metric: 'cosine', spec });
  made.push(name);
  const records = harness.IDS.map((id) => ({
    id,
    values: harness.embed(harness.TEXTS[id][0]),
    metadata: harness.TEXTS[id][1],
  }));
  await direct.index({ name, namespace: 'animals' }).upsert({ records });
});

after(async () => {
  await mcp.close();
  for (const each of made) await direct.deleteIndex(each);
});

// The text of a tool's answer; an answer that is an error fails.
async function call(tool, given = {}) {
  const reply = await mcp.callTool({ name: tool, arguments: given });
  assert.ok(!reply.isError, reply.content[0].text);
  return reply.content[0].text;
}

async function refusal(tool, given) {
  const reply = await mcp.callTool({ name: tool, arguments: given });
  assert.ok(reply.isError, reply.content[0].text);
  return reply.content[0].text;
}

test('its tools are there', async () => {
  const { tools } = await mcp.listTools();
  const names = tools.map((tool) => tool.name);
  for (const wanted of ['list-indexes', 'describe-index', 'describe-index-stats']) {
    assert.ok(names.includes(wanted), wanted);
  }
});

test('indexes are listed and described', async () => {
  const { indexes } = JSON.parse(await call('list-indexes'));
  assert.ok(indexes.some((index) => index.name === name && index.status.ready));
  const described = JSON.parse(await call('describe-index', { name }));
  assert.deepEqual([described.dimension, described.metric], [harness.DIMENSION, 'cosine']);
  const text = await refusal('describe-index', { name: 'never-made' });
  assert.match(text, /does not exist/);
});

test('the data plane is reached by the host that was handed out', async () => {
  const stats = JSON.parse(await call('describe-index-stats', { name }));
  assert.deepEqual([stats.totalRecordCount, stats.dimension], [6, harness.DIMENSION]);
  assert.equal(stats.namespaces.animals.recordCount, 6);
});

test('an index for a model is made, and its texts are refused for now', async () => {
  const texts = harness.newName('mcp-texts');
  const model = 'multilingual-e5-large';
  const embed = { model, fieldMap: { text: 'chunk' } };
  const created = JSON.parse(await call('create-index-for-model', { name: texts, embed }));
  made.push(texts);
  assert.equal(created.embed.model, model);
  assert.equal((await direct.describeIndex(texts)).tags.source, 'mcp');
  assert.match(await call('create-index-for-model', { name: texts, embed }), /already exists/);
  const given = { name: texts, namespace: 'n' };
  const records = [{ _id: 'a', chunk: 'some words' }];
  assert.match(await refusal('upsert-records', { ...given, records }), new RegExp(model));
  const query = { topK: 1, inputs: { text: 'words' } };
  assert.match(await refusal('search-records', { ...given, query }), new RegExp(model));
});
