// @ts-check
// Nothing on the page moves by itself, from the first load through a top-up: what a finger aims at stays where it is.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';

const FEN = 2000;
const SIZES = { 'a small phone': { width: 360, height: 640 }, 'a desk': { width: 1280, height: 800 } };

/** @type {Household} */ let home;

before(async () => {
  home = await Household.start({ daysLived: 20 });
});
after(() => closeAll(home));

/** In the page, before it: keeps across documents what has moved without a tap (web.dev/cls), and what it was. */
function watch() {
  new PerformanceObserver((list) => {
    for (const entry of /** @type {any[]} */ (list.getEntries())) {
      if (entry.hadRecentInput) continue;
      const moved = entry.sources.map((/** @type {any} */ { node, previousRect: from, currentRect: to }) => {
        const element = node instanceof Element ? node : node?.parentElement;
        return `${element?.outerHTML.slice(0, 90)} from ${from.x},${from.y} ${from.width}x${from.height} to ${to.x},${to.y} ${to.width}x${to.height}`;
      });
      const before = JSON.parse(sessionStorage.getItem('shifts') ?? '[]');
      const screen = document.querySelector('main')?.getAttribute('data-screen');
      sessionStorage.setItem('shifts', JSON.stringify([...before, { value: entry.value, screen, moved }]));
    }
  }).observe({ type: 'layout-shift', buffered: true });
}

for (const [name, viewport] of Object.entries(SIZES)) {
  test(`nothing moves by itself on ${name}`, async () => {
    const start = await home.meterNow();
    const browser = await Browser.launch(home, { viewport });
    try {
      const tab = await browser.open('about:blank');
      await tab.page.addInitScript(watch);
      await tab.page.goto(`${home.facts.urls.cloud}/`);
      const phone = new PhonePage(tab, home);
      await phone.connect();
      await phone.sees('[data-doing="done"]');
      // What comes later comes into its place: the chart and its neighbours.
      await phone.sees('.usage svg, .usage figure');
      const vend = await phone.agree('20');
      await phone.payHere();
      await phone.deliver();
      await home.expectAccepted(vend, start, FEN);
      for (const [place, seen] of /** @type {[string, string][]} */ ([
        ['home', '.usage svg, .usage figure'],
        ['history', 'h1'],
        ['meters', 'h1'],
        ['help', 'h1'],
      ])) {
        await phone.press(`nav-${place}`);
        await phone.sees(`[data-screen="${place}"] ${seen}`);
      }
      await tab.page.goto(`${home.facts.urls.cloud}/#/receipt/${vend}`);
      await phone.sees('[data-screen="receipt"] h1');
      // And with everything in the phone already.
      await tab.page.goto(`${home.facts.urls.cloud}/#/`);
      await tab.page.reload();
      await phone.sees('.usage svg, .usage figure');
      await tab.page.waitForLoadState('networkidle');
      const shifts = await tab.run(() => JSON.parse(sessionStorage.getItem('shifts') ?? '[]'));
      assert.deepEqual(shifts, []);
    } finally {
      await browser.close();
    }
  });
}
