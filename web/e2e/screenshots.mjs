// @ts-check
/**
 * Pictures of every screen, in both languages, both themes, on a small phone and on a desk; and axe's opinion of each.
 * `node e2e/screenshots.mjs FOLDER [--only NAME] [--language zh-CN|en] [--theme light|dark] [--size phone|desk]`
 * after `npm run build` (or with `--dist` another build). Fails where axe finds anything.
 */
import { mkdir, readFile, readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

import { scenes } from './screenshots/scenes.mjs';
import { NOW } from './screenshots/world.mjs';

const AXE = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const TYPES = /** @type {Record<string, string>} */ ({
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
});
/** As the cloud says it (gas-cloud, page). */
const POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; " +
  "connect-src 'self'; manifest-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'";
/** Where no bridge is. */
const BRIDGE = 'ws://127.0.0.1:1';
const SIZES = { phone: { width: 360, height: 640 }, desk: { width: 1280, height: 800 } };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dist: { type: 'string', default: new URL('../dist/', import.meta.url).pathname },
    only: { type: 'string' },
    language: { type: 'string' },
    theme: { type: 'string' },
    size: { type: 'string' },
  },
});
const [folder] = positionals;
if (!folder) throw new Error('which folder?');
await mkdir(folder, { recursive: true });

/** All of it at once: a build meanwhile changes nothing. @type {Map<string, Buffer>} */
const files = new Map();
for (const name of await readdir(values.dist, { recursive: true })) {
  if ((await stat(join(values.dist, name))).isFile()) files.set(`/${name}`, await readFile(join(values.dist, name)));
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://page');
  const path = pathname === '/' ? '/index.html' : pathname;
  const body = files.get(path);
  if (!body) return void response.writeHead(404).end();
  const type = TYPES[extname(path)] ?? 'application/octet-stream';
  response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': POLICY }).end(body);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
const address = /** @type {import('node:net').AddressInfo} */ (server.address());
const origin = `http://127.0.0.1:${address.port}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'],
});
/** @type {string[]} */
const complaints = [];
let count = 0;

for (const language of ['zh-CN', 'en'].filter((one) => !values.language || one === values.language)) {
  for (const theme of /** @type {const} */ (['light', 'dark']).filter((one) => !values.theme || one === values.theme)) {
    for (const [size, viewport] of Object.entries(SIZES).filter(([name]) => !values.size || name === values.size)) {
      for (const scene of scenes.filter(({ name }) => !values.only || name.startsWith(values.only))) {
        const name = `${scene.name}.${language}.${theme}.${size}`;
        await take(scene, name, { locale: language, colorScheme: theme, viewport });
      }
    }
  }
}
await browser.close();
server.close();
console.log(`${count} pictures in ${folder}`);
if (complaints.length > 0) {
  console.error(complaints.join('\n'));
  process.exitCode = 1;
}

/** @param {import('./screenshots/scenes.mjs').Scene} scene @param {string} name @param {import('playwright-core').BrowserContextOptions} options */
async function take(scene, name, options) {
  const context = await browser.newContext({
    ...options,
    timezoneId: 'Asia/Shanghai',
    reducedMotion: 'reduce',
    serviceWorkers: 'block',
    isMobile: options.viewport?.width === 360,
    hasTouch: options.viewport?.width === 360,
    deviceScaleFactor: options.viewport?.width === 360 ? 2 : 1,
  });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      const isExpected = /Failed to load resource|ERR_FAILED|Content Security Policy.*axe/.test(message.text());
      if (message.type() === 'error' && !isExpected) complaints.push(`${name}: console: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`${name}: ${error.stack ?? error}`));
    await page.clock.setFixedTime(NOW);
    await page.addInitScript(bluetooth, scene.bluetooth ?? 'waits');
    await page.route('**/v1/**', (route) => scene.cloud?.(route) ?? route.abort());
    const { inReach } = scene;
    if (inReach) {
      await page.route('**/v1/bridge', (route) => route.fulfill({ json: { origin: BRIDGE } }));
      await page.routeWebSocket(`${BRIDGE}/v1/card`, (socket) => {
        socket.onMessage(() => socket.send(JSON.stringify({ event: 'cards', cards: inReach })));
      });
    }
    if (scene.data) {
      await page.route('**/fill', (route) => route.fulfill({ contentType: 'text/html', body: '<title>fill</title>' }));
      await page.goto(`${origin}/fill`);
      await page.evaluate(fill, { ...scene.data, memory: scene.inReach ? 'pilotlight-demo' : 'pilotlight' });
    }
    await page.goto(`${origin}/${scene.path ?? ''}`);
    await page.waitForSelector(scene.sees);
    await scene.then?.(page);
    // The whole screen, with what is fixed at the bottom at its bottom.
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    if (height > (options.viewport?.height ?? 0))
      await page.setViewportSize({ width: options.viewport?.width ?? 0, height });
    await page.waitForTimeout(150);
    await page.screenshot({ path: join(folder ?? '', `${name}.png`) });
    count += 1;
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run(document));
    for (const { id, nodes } of violations) {
      complaints.push(
        `${name}: axe: ${id}: ${nodes.map((/** @type {any} */ node) => node.html.slice(0, 160)).join(' | ')}`,
      );
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) complaints.push(`${name}: ${wide} px too wide`);
  } catch (error) {
    const shown = await context.pages()[0]?.locator('body').innerText();
    complaints.push(`${name}: ${error instanceof Error ? error.message : error}\n${shown}`);
  } finally {
    await context.close();
  }
}

/** In the page, before it: a radio that waits for ever, or fails as a scene wants. @param {string} kind */
function bluetooth(kind) {
  const device = {
    name: 'Pilotlight-000101',
    gatt: {
      connect: () => (kind === 'far' ? Promise.reject(new DOMException('far', 'NetworkError')) : new Promise(() => {})),
      disconnect: () => {},
    },
    addEventListener: () => {},
  };
  const radio = {
    getAvailability: async () => kind !== 'off',
    requestDevice: async () => {
      if (kind === 'cancelled') throw new DOMException('cancelled', 'NotFoundError');
      if (kind === 'permission') throw new DOMException('denied', 'NotAllowedError');
      return device;
    },
  };
  if (kind !== 'none') Object.defineProperty(navigator, 'bluetooth', { value: radio, configurable: true });
  else delete (/** @type {any} */ (Navigator.prototype).bluetooth);
}

/** In the page: what the store holds. @param {import('./screenshots/scenes.mjs').Data & { memory: string }} data */
function fill({ keys, meters, topUps, memory }) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(memory, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore('settings');
      opening.result.createObjectStore('meters', { keyPath: 'meter' });
      opening.result.createObjectStore('top_ups', { keyPath: 'vend_id' });
    };
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      const tx = db.transaction(['settings', 'meters', 'top_ups'], 'readwrite');
      tx.objectStore('settings').put(keys, 'keys');
      const first = meters[0];
      if (first) tx.objectStore('settings').put(first.meter, 'current_meter');
      for (const meter of meters) tx.objectStore('meters').put(meter);
      for (const topUp of topUps) tx.objectStore('top_ups').put(topUp);
      tx.oncomplete = () => {
        db.close();
        resolve(undefined);
      };
    };
  });
}
