// @ts-check
/**
 * The page against its budgets: how much the first load is, how soon a cheap phone can use it, what a top-up costs in a
 * cellar, how long a delivery takes over a real radio's and a real meter's pace.
 * `node e2e/budgets.mjs [--report FILE] [--deliveries N] [--only load|traffic|delivery]` after a build of the programs and
 * of the page. It prints; what is deterministic is held by tests (traffic.test.mjs, shift.test.mjs) and by the build.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { watchDelivery } from './harness/delivery.mjs';
import { Front } from './harness/front.mjs';
import { Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';
import { BUDGET, CELLAR, trafficOf } from './harness/traffic.mjs';

/** "Slow 4G" of Lighthouse, on a processor of a quarter of this one's speed. */
const SLOW_4G = { latencyMs: 150, downBytesPerS: 200_000, upBytesPerS: 93_750 };
const SLOWER = 4;
const LOADS = 5;
/** What the radio does at this connection interval, ms: data PDUs of an event, both directions. */
const INTERVAL_MS = 30;
const PER_EVENT = 6;

const { values } = parseArgs({
  options: {
    report: { type: 'string' },
    deliveries: { type: 'string', default: '11' },
    only: { type: 'string' },
  },
});

const parts = { load, traffic, delivery };
const text = [
  '# The page against its budgets\n',
  '`./x budgets`: a real Chromium (360x640) on the testbed, debug build of the servers, all on one machine. Bytes are ' +
    'those of HTTP/1.1 on the wire, heads and bodies; HTTP/2 packs the heads tighter.\n',
];
for (const [name, part] of Object.entries(parts)) {
  if (values.only === undefined || values.only === name) text.push(await part());
}
const report = text.join('\n');
console.log(report);
if (values.report !== undefined) await writeFile(values.report, report);

async function load() {
  const home = await Household.start();
  const front = await Front.open(home.facts.urls.cloud);
  try {
    const { kinds } = await firstLoad(home, front, 'gzip');
    const { kinds: brotli } = await firstLoad(home, front, undefined);
    const code = kinds.script + kinds.styles + kinds.wasm;
    const loads = [];
    for (let nth = 0; nth < LOADS; nth += 1) loads.push(await slowLoads(home, front));
    const of = (/** @type {'first'|'second'} */ visit, /** @type {keyof Load} */ what) =>
      inMs(median(loads.map((one) => one[visit][what])));
    return `## First load

On the wire with nothing in the phone, the heads of all answers and what is fetched once the page is idle included, bytes.
The first load itself, at most 130,000 bytes in gzip, is held by the build, which prints it (decision 0011):

| | gzip | brotli |
|---|---:|---:|
${Object.keys(kinds)
  .map((kind) => `| ${kind} | ${kinds[kind]} | ${brotli[kind]} |`)
  .join('\n')}
| **scripts, styles, WebAssembly** | **${code}** | ${brotli.script + brotli.styles + brotli.wasm} |

On a processor ${SLOWER} times slower, at 1.6 Mbit/s down, 750 kbit/s up and 150 ms there and back (medians of ${LOADS}), ms from
the navigation. Usable: the button that connects to the card is visible and takes a tap. At most 1,500.

| | first visit | second visit |
|---|---:|---:|
| first contentful paint | ${of('first', 'fcp')} | ${of('second', 'fcp')} |
| largest contentful paint | ${of('first', 'lcp')} | ${of('second', 'lcp')} |
| **usable** | **${of('first', 'usable')}** | **${of('second', 'usable')}** |
`;
  } finally {
    await closeAll(front, home);
  }
}

/** @param {Household} home @param {Front} front @param {string | undefined} encodings */
async function firstLoad(home, front, encodings) {
  front.encodings = encodings;
  const before = front.passed.length;
  const browser = await Browser.launch(home);
  const tab = await browser.open(`${front.url}/`);
  await tab.page.locator('[data-action="connect"]').waitFor();
  // The service worker fetches everything once more, for later: that is asked for in the background.
  const ours = await tab.run(() =>
    performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname + new URL(name).search),
  );
  /** @type {Record<string, number>} */
  const kinds = { script: 0, styles: 0, wasm: 0, page: 0, others: 0 };
  const counted = new Set();
  await front.quiet();
  for (const { path, down } of front.passed.slice(before)) {
    if (counted.has(path) || !(path === '/' || ours.includes(path))) continue;
    counted.add(path);
    kinds[kindOf(path)] += down;
  }
  await browser.close();
  front.encodings = undefined;
  return { kinds };
}

/** @param {string} path */
function kindOf(path) {
  if (path.endsWith('.js')) return 'script';
  if (path.endsWith('.css')) return 'styles';
  if (path.endsWith('.wasm')) return 'wasm';
  return path === '/' ? 'page' : 'others';
}

/** @typedef {{ fcp: number, lcp: number, usable: number }} Load */

/** @param {Household} home @param {Front} front @returns {Promise<{ first: Load, second: Load }>} */
async function slowLoads(home, front) {
  const browser = await Browser.launch(home);
  const tab = await browser.open('about:blank');
  await tab.page.addInitScript(watchLoad);
  await tab.slowNetwork(SLOW_4G);
  await tab.slowProcessor(SLOWER);
  const visit = async () => {
    await tab.page.goto(`${front.url}/`);
    await tab.page.waitForFunction(() => /** @type {any} */ (globalThis).load?.usable !== undefined);
    await tab.page.waitForLoadState('networkidle');
    return tab.run(() => /** @type {Load} */ (/** @type {any} */ (globalThis).load));
  };
  const first = await visit();
  await tab.run(() => navigator.serviceWorker.ready.then(() => undefined));
  await tab.page.goto('about:blank');
  const second = await visit();
  await browser.close();
  return { first, second };
}

/** In the page, before it. */
function watchLoad() {
  /** @type {Partial<Load>} */
  const load = /** @type {any} */ (globalThis.load = {});
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') load.fcp = startTime;
  }).observe({ type: 'paint', buffered: true });
  new PerformanceObserver((list) => {
    load.lcp = list.getEntries().at(-1)?.startTime;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  const look = () => {
    /** @type {HTMLButtonElement | null} */
    const button = document.querySelector('[data-action="connect"]');
    if (!button || button.disabled || !button.checkVisibility()) return requestAnimationFrame(look);
    // It has been painted, and what the page does meanwhile is done: a tap would be heard.
    return setTimeout(() => {
      load.usable = performance.now();
    });
  };
  requestAnimationFrame(look);
}

async function traffic() {
  const home = await Household.start({ daysLived: 20 });
  const front = await Front.open(home.facts.urls.cloud);
  const browser = await Browser.launch(home);
  try {
    const phone = new PhonePage(await browser.open(`${front.url}/`), home);
    await phone.connect();
    await phone.tab.run(() => navigator.serviceWorker.ready.then(() => undefined));
    await phone.tab.slowNetwork(CELLAR);
    const here = await trafficOf(front, async () => {
      await phone.agree('20');
      await phone.payHere();
      await phone.deliver();
    });
    await phone.press('nav-home');
    const elsewhere = await trafficOf(front, async () => {
      const vend = await phone.agree('20', { elsewhere: true });
      const { body } = await home.ask('cloud', 'GET', `/v1/vends/${vend}`);
      await home.pay(body.payment_request.link);
      await phone.accepted();
    });
    const line = (/** @type {string} */ name, /** @type {Awaited<ReturnType<typeof trafficOf>>} */ it) =>
      `| ${name} | ${it.roundTrips} | ${it.bytes} | ${(it.tookMs / 1000).toFixed(1)} |`;
    return `## A top-up in a cellar

With the cloud, page installed, from the wish until Accepted, at 50 kbit/s and 800 ms. At most ${BUDGET.roundTrips} round trips and
${BUDGET.bytes} bytes; the time includes the provider's pages and is only told.

| | round trips | bytes | s |
|---|---:|---:|---:|
${line('paid at the cashier on this phone', here)}
${line('paid by somebody else', elsewhere)}
`;
  } finally {
    await closeAll(browser, front, home);
  }
}

async function delivery() {
  const home = await Household.start({ slowSerial: true });
  const browser = await Browser.launch(home);
  const deliveries = [];
  try {
    const phone = await PhonePage.open(browser, home);
    await phone.connect();
    await phone.page.addInitScript(watchDelivery);
    await phone.page.reload();
    for (let nth = 0; nth < Number(values.deliveries); nth += 1) {
      const start = await home.meterNow();
      const vend = await phone.agree('20');
      await phone.payHere();
      await phone.sees('[data-action="deliver"]');
      // No link outlives the one before, as on most phones.
      await home.cut();
      await home.radio({ op: 'set', interval_ms: INTERVAL_MS, per_event: PER_EVENT });
      await phone.deliver();
      deliveries.push(
        await phone.tab.run(() => /** @type {Record<string, number>} */ (/** @type {any} */ (globalThis).phases())),
      );
      await home.radioWell();
      await home.expectAccepted(vend, start, 2000);
      await phone.press('nav-home');
    }
  } finally {
    await closeAll(browser, home);
  }
  const names = Object.keys(deliveries[0] ?? {});
  const lines = names.map((name) => {
    const took = deliveries.map((one) => one[name] ?? Number.NaN);
    return `| ${name} | ${inMs(median(took))} | ${inMs(percentile(took, 90))} |`;
  });
  return `## A delivery

The radio carries at most ${PER_EVENT} packets a direction every ${INTERVAL_MS} ms, the card and its meter speak at 2400 8E1 (11 bits a
byte). ${deliveries.length} deliveries, ms. From connected to Accepted at most 3,000, from the chooser at most 6,000 (medians).

| | median | 90 % |
|---|---:|---:|
${lines.join('\n')}
`;
}

/** @param {number[]} list @param {number} percent */
function percentile(list, percent) {
  const sorted = list.toSorted((one, other) => one - other);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}
/** @param {number[]} list */
function median(list) {
  return percentile(list, 50);
}

/** @param {number} ms */
function inMs(ms) {
  return Math.round(ms).toLocaleString('en');
}
