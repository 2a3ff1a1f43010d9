// The types of the cloud's API, made from openapi/cloud.json: `--write` writes them, otherwise they must be fresh.
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';

import openapiTS, { astToString } from 'openapi-typescript';

const document = new URL('../../openapi/cloud.json', import.meta.url);
const file = new URL('../src/lib/api.d.ts', import.meta.url);

const head = '// Made from openapi/cloud.json by `npm run api`; not edited by hand.\n\n';
// What is asked by which path, the page's own client says (src/lib/cloud.ts).
const types = (await openapiTS(document)).filter((node) => node.name?.text === 'components');
const fresh = head + astToString(types);
if (process.argv.includes('--write')) {
  await writeFile(file, fresh);
} else if ((await readFile(file, 'utf8')) !== fresh) {
  process.stderr.write('web/src/lib/api.d.ts is not what openapi/cloud.json says; run: npm run api\n');
  process.exitCode = 1;
}
