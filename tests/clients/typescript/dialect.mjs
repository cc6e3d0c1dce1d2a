// What differs between versions of the official TypeScript client, and nothing else: version 6
// takes plain arguments where later ones take an object. The folder with the client, installed by
// its lock file, is given in PINECONE_CLIENT, the server in LODGEPOLE_URL, and the key, if it wants
// one, in LODGEPOLE_KEY.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.PINECONE_CLIENT, 'package.json'));
const { Pinecone } = require('@pinecone-database/pinecone');
const installed = require('./package.json').dependencies['@pinecone-database/pinecone'];

export const VERSION = Number(installed.split('.')[0]);

export function connect(apiKey = process.env.LODGEPOLE_KEY ?? 'any') {
  return new Pinecone({ apiKey, controllerHostUrl: process.env.LODGEPOLE_URL });
}

export function configure(client, name, change) {
  if (VERSION < 8) return client.configureIndex(name, change);
  return client.configureIndex({ name, ...change });
}

// One namespace of an index; '' is the default one.
export class Namespace {
  constructor(client, name, namespace = '') {
    const index = VERSION < 8 ? client.index(name) : client.index({ name });
    this.target = namespace === '' ? index : index.namespace(namespace);
  }

  upsert(records) {
    return this.target.upsert(VERSION < 8 ? records : { records });
  }

  fetch(ids) {
    return this.target.fetch(VERSION < 8 ? ids : { ids });
  }

  deleteMany(ids) {
    return this.target.deleteMany(VERSION < 8 ? ids : { ids });
  }

  deleteMatching(filter) {
    return this.target.deleteMany(VERSION < 8 ? filter : { filter });
  }

  deleteOne(id) {
    return this.target.deleteOne(VERSION < 8 ? id : { id });
  }

  update(change) {
    return this.target.update(change);
  }

  fetchByMetadata(options) {
    return this.target.fetchByMetadata(options);
  }

  deleteAll() {
    return this.target.deleteAll();
  }

  query(options) {
    return this.target.query(options);
  }

  list(options) {
    return this.target.listPaginated(options);
  }

  stats(filter) {
    return this.target.describeIndexStats(...(filter ? [{ filter }] : []));
  }

  listNamespaces(options) {
    if (VERSION >= 8) return this.target.listNamespaces(options);
    return this.target.listNamespaces(options.limit, options.paginationToken);
  }

  startImport(uri, errorMode) {
    if (VERSION < 8) return this.target.startImport(uri, errorMode);
    return this.target.startImport({ uri, errorMode });
  }
}

// Dimension and metric of an index or a backup: version 9 knows them only as a schema.
export function shapeOf(described) {
  const field = described.schema?.fields?._values ?? described;
  return { dimension: field.dimension, metric: field.metric };
}

// An index for a hosted model, made of its model and the field of the text.
export function createForModel(client, name, model, field) {
  const place = { cloud: 'aws', region: 'us-east-1' };
  const embed = { model, fieldMap: { text: field } };
  return client.createIndexForModel({ name, ...place, embed, tags: { made: 'for-model' } });
}

export function upsertTexts(client, name, records) {
  const index = VERSION < 8 ? client.index(name) : client.index({ name });
  return index.upsertRecords(VERSION < 8 ? records : { records });
}

// The read capacity as a version tells of it, and the dedicated part of it.
export function capacityOf(index) {
  const found = index.readCapacity ?? index.spec.serverless.readCapacity;
  const { nodeType, manual } = found.dedicated ?? {};
  return { mode: found.mode, state: found.status?.state, nodeType, ...manual };
}
