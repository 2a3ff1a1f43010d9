// @ts-check
// Writes a .br and a .gz beside every file of dist that they make smaller, and holds the first load to its budget.
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = new URL('../dist', import.meta.url).pathname;
const COMPRESSIBLE = /\.(js|css|html|svg|wasm|webmanifest|json|txt)$/;

for (const name of await readdir(DIST, { recursive: true })) {
  if (!COMPRESSIBLE.test(name)) continue;
  const path = join(DIST, name);
  if (!(await stat(path)).isFile()) continue;
  const bytes = await readFile(path);
  const br = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  const gz = gzipSync(bytes, { level: 9 });
  if (br.length < bytes.length) await writeFile(`${path}.br`, br);
  if (gz.length < bytes.length) await writeFile(`${path}.gz`, gz);
}

// What a phone downloads before Home can be used: what index.html names, the files that those name in turn, and the core.
// What the page loads afterwards, or for another screen, is not of it.
const BUDGET = 130_000;
const page = await readFile(join(DIST, 'index.html'), 'utf8');
const named = Array.from(page.matchAll(/"\/(assets\/[^"]+\.(?:js|css))"/g), ([, name = '']) => name);
const core = (await readdir(join(DIST, 'assets'))).filter((name) => name.endsWith('.wasm'));
const scripts = await gzipped(await withImports(named));
const wasm = await gzipped(core.map((name) => `assets/${name}`));
const kB = (/** @type {number} */ bytes) => (bytes / 1000).toFixed(1);
const sum = scripts + wasm;
console.log(
  `first load: scripts+styles ${kB(scripts)} kB + core ${kB(wasm)} kB = ${kB(sum)} of ${kB(BUDGET)} kB (gzip)`,
);
if (named.length < 2 || core.length !== 1) throw new Error('the first load was not found');
// A core built with a standard library as it is tells only how far over it is (xtask-page).
if (sum > BUDGET && process.env['PILOTLIGHT_CORE'] !== 'large')
  throw new Error('the first load is over its budget (docs/decisions/0011 says what keeps it small)');

/** @param {Iterable<string>} names */
async function gzipped(names) {
  let sum = 0;
  for (const name of names) sum += gzipSync(await readFile(join(DIST, name)), { level: 9 }).length;
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
