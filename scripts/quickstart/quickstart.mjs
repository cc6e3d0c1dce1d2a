import { Pinecone } from '@pinecone-database/pinecone';

const pc = new Pinecone({ apiKey: 'any', controllerHostUrl: 'http://localhost:5080' });
await pc.createIndex({ name: 'first-ts', dimension: 3, metric: 'cosine',
                       spec: { serverless: { cloud: 'aws', region: 'us-east-1' } } });
const index = pc.index({ name: 'first-ts' });
await index.upsert({ records: [{ id: 'a', values: [0.1, 0.2, 0.3] },
                               { id: 'b', values: [0.3, 0.2, 0.1] }] });
console.log((await index.query({ vector: [0.1, 0.2, 0.25], topK: 1 })).matches);
const backup = await pc.createBackup({ indexName: 'first-ts', name: 'before' });
await index.deleteMany({ ids: ['a'] });
await pc.createIndexFromBackup({ backupId: backup.backupId, name: 'restored-ts' });
console.log((await pc.index({ name: 'restored-ts' }).describeIndexStats()).totalRecordCount);
