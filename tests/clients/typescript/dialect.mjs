// What differs between versions of the official TypeScript client, and nothing else: version 6
// takes plain arguments where later ones take an object. The folder with the client, installed by
// its lock file, is given in PINECONE_CLIENT, the server in LODGEPOLE_URL.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.PINECONE_CLIENT, 'package.json'));
const { Pinecone } = require('@pinecone-database/pinecone');
const installed = require('./package.json').dependencies['@pinecone-database/pinecone'];

export const VERSION = Number(installed.split('.')[0]);

export function connect() {
  return new Pinecone({ apiKey: 'any', controllerHostUrl: process.env.LODGEPOLE_URL });
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

  deleteAll() {
    return this.target.deleteAll();
  }

  query(options) {
    return this.target.query(options);
  }

  list(options) {
    return this.target.listPaginated(options);
  }

  stats() {
    return this.target.describeIndexStats();
  }
}

// Dimension and metric of an index or a backup: version 9 knows them only as a schema.
export function shapeOf(described) {
  const field = described.schema?.fields?._values ?? described;
  return { dimension: field.dimension, metric: field.metric };
}
