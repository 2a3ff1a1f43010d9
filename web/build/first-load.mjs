// @ts-check
// Holds the first load to its budget, by the .gz files as the cloud sends them.
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

const DIST = new URL('../dist', import.meta.url).pathname;

// What a phone downloads before Home can be used: what index.html names, the files that those name in turn, and the core.
// What the page loads afterwards, or for another screen, is not of it.
const BUDGET = 130_000;
// Another machine's compilers may make it a few bytes longer, which is nobody's fault.
const NOISE = 300;
const page = await readFile(join(DIST, 'index.html'), 'utf8');
const named = Array.from(page.matchAll(/"\/(assets\/[^"]+\.(?:js|css))"/g), ([, name = '']) => name);
const assets = await readdir(join(DIST, 'assets'));
const english = assets.filter((name) => /^en-(?!first-|trouble-)[^.]*\.js$/.test(name));
// The way to the card comes beside the core.
const radio = assets.filter((name) => /^web-bluetooth-[^.]*\.js$/.test(name));
const core = assets.filter((name) => name.endsWith('.wasm'));
const wasm = await gzipped(core.map((name) => `assets/${name}`));
const inChinese = await withImports([...named, ...radio.map((name) => `assets/${name}`)]);
const inEnglish = await withImports([...inChinese, ...english.map((name) => `assets/${name}`)]);
const scripts = await gzipped(inChinese);
const kB = (/** @type {number} */ bytes) => (bytes / 1000).toFixed(1);
const sum = (await gzipped(inEnglish)) + wasm;
console.log(
  `first load: scripts+styles ${kB(scripts)} kB + core ${kB(wasm)} kB = ${kB(scripts + wasm)} kB, in English ` +
    `${kB(sum)} kB, of ${kB(BUDGET)} kB (gzip)`,
);
if (named.length < 2 || core.length !== 1 || english.length !== 1 || radio.length !== 1)
  throw new Error('the first load was not found');
// A core built with a standard library as it is tells only how far over it is (xtask-page).
if (sum > BUDGET + NOISE && process.env['PILOTLIGHT_CORE'] !== 'large')
  throw new Error('the first load is over its budget (docs/decisions/0011 says what keeps it small)');

/** @param {Iterable<string>} names */
async function gzipped(names) {
  let sum = 0;
  for (const name of names) sum += (await stat(join(DIST, `${name}.gz`))).size;
  return sum;
}

/** These files, and those that their `import` statements name.
 * @param {string[]} names */
async function withImports(names) {
  const all = new Set(names);
  for (const name of all) {
    const text = await readFile(join(DIST, name), 'utf8');
    for (const [, other] of text.matchAll(/(?:from|import)"\.\/([^"]+\.js)"/g)) all.add(`assets/${other}`);
  }
  return all;
}
