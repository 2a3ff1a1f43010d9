// @ts-check
// Writes a .br and a .gz beside every file of dist that they make smaller, and holds the first load to its budget.
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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

// The first load, without the core (its WebAssembly and the script around it).
const BUDGET = 50_000;
const page = await readFile(join(DIST, 'index.html'), 'utf8');
const first = Array.from(page.matchAll(/"\/(assets\/[^"]+\.(?:js|css))"/g), ([, name = '']) => name);
let sum = 0;
for (const name of first) {
  if (name.startsWith('assets/core-')) continue;
  sum += gzipSync(await readFile(join(DIST, name)), { level: 9 }).length;
}
console.log(`first load: ${(sum / 1000).toFixed(1)} kB of scripts and styles (gzip), of ${BUDGET / 1000} kB`);
if (first.length < 2 || sum > BUDGET) throw new Error('the first load is over its budget, or was not found');
