// What the tests of the Node frameworks share: where their packages are, an embedding, right
// answers. The folder with the packages, installed by a lock file, is given in FRAMEWORK, the
// server in LODGEPOLE_URL.
//
// The embedding is made up here, so that nothing is downloaded and every score can be worked out:
// each word is a direction that its letters alone decide, and a text is the normalised sum of them.

import { createHash, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const URL_OF_SERVER = process.env.LODGEPOLE_URL;
export const DIMENSION = 16;

const require = createRequire(join(process.env.FRAMEWORK, 'package.json'));

// The file with which a package begins.
export const fileOf = (name) => require.resolve(name);

// A package of the framework, loaded as a user's program would load it.
export async function load(name) {
  return import(pathToFileURL(fileOf(name)).href);
}

// Six texts about two things, and what is known of each.
export const TEXTS = {
  d1: ['the cat sleeps on the warm mat', { kind: 'cat', year: 2019, tags: ['home'] }],
  d2: ['a cat hunts the small mouse', { kind: 'cat', year: 2021, tags: ['field'] }],
  d3: ['the dog sleeps on the porch', { kind: 'dog', year: 2019, tags: ['home'] }],
  d4: ['a dog chases the red ball', { kind: 'dog', year: 2022, tags: ['field', 'home'] }],
  d5: ['the red car waits on the road', { kind: 'car', year: 2020, tags: ['street'] }],
  d6: ['カタカナ の テキスト 🌲', { kind: 'other', year: 2020, tags: ['漢字'] }],
};
export const IDS = Object.keys(TEXTS);

const words = (text) => text.toLowerCase().split(/\s+/);

function direction(word) {
  const digest = createHash('sha256').update(word).digest();
  return Array.from({ length: DIMENSION }, (_, place) => digest[place] / 127.5 - 1);
}

// A unit vector; texts that share words lie close to each other.
export function embed(text) {
  const summed = Array(DIMENSION).fill(0);
  for (const word of words(text)) direction(word).forEach((value, i) => { summed[i] += value; });
  const length = Math.hypot(...summed);
  return summed.map((value) => value / length);
}

// How often each word occurs, under a number that stands for it.
export function embedSparse(text) {
  const found = new Map();
  for (const word of words(text)) {
    const place = createHash('sha256').update(word).digest().readUInt32BE(0);
    found.set(place, (found.get(place) ?? 0) + 1);
  }
  return { indices: [...found.keys()], values: [...found.values()] };
}

export function cosine(one, other) {
  const [a, b] = [embed(one), embed(other)];
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

// The right answer to a search among these of TEXTS: ids and cosines, best first.
export function nearest(query, among = IDS) {
  return among.map((id) => [id, cosine(query, TEXTS[id][0])]).sort((a, b) => b[1] - a[1]);
}

export function assertScored(assert, found, right) {
  assert.deepEqual(found.map(([id]) => id), right.map(([id]) => id));
  found.forEach(([id, score], i) => assert.ok(Math.abs(score - right[i][1]) < 1e-5, id));
}

export const newName = (hint) => `${hint}-${randomUUID().slice(0, 8)}`;
