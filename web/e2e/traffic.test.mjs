// @ts-check
/**
 * What a top-up costs on a network as slow as in a cellar: at most 12 kB and 8 round trips with the cloud, from the wish
 * until the gas company has believed the meter.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Front } from './harness/front.mjs';
import { Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';
import { BUDGET, CELLAR, trafficOf } from './harness/traffic.mjs';

const FEN = 2000;

/** @type {Household} */ let home;
/** @type {Front} */ let front;
/** @type {Browser} */ let browser;
/** @type {PhonePage} */ let phone;
/** @type {import('./harness/household.mjs').MeterNow} */ let start;

before(async () => {
  home = await Household.start({ daysLived: 20 });
  front = await Front.open(home.facts.urls.cloud);
  browser = await Browser.launch(home);
  phone = new PhonePage(await browser.open(`${front.url}/`), home);
  await phone.connect();
  // Installed: everything of the page is in the phone.
  await phone.tab.run(() => navigator.serviceWorker.ready.then(() => undefined));
  await phone.tab.slowNetwork(CELLAR);
});
after(() => closeAll(browser, front, home));
beforeEach(async () => {
  start = await home.meterNow();
});

/** Runs `work`, and holds what it cost against the budget. @param {import('node:test').TestContext} t @param {() => Promise<void>} work */
async function holdsBudget(t, work) {
  const { passed, bytes, roundTrips, tookMs } = await trafficOf(front, work);
  for (const { method, path, up, down } of passed) t.diagnostic(`${up} up, ${down} down: ${method} ${path}`);
  t.diagnostic(`${roundTrips} round trips, ${bytes} bytes, ${(tookMs / 1000).toFixed(1)} s`);
  assert.ok(roundTrips <= BUDGET.roundTrips, `${roundTrips} round trips`);
  assert.ok(bytes <= BUDGET.bytes, `${bytes} bytes`);
}

test('a top-up that is paid at the cashier on this phone', async (t) => {
  let vend = '';
  await holdsBudget(t, async () => {
    vend = await phone.agree('20');
    await phone.payHere();
    await phone.deliver();
  });
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('a top-up that somebody else pays', async (t) => {
  let vend = '';
  await holdsBudget(t, async () => {
    vend = await phone.agree('20', { elsewhere: true });
    const { body } = await home.ask('cloud', 'GET', `/v1/vends/${vend}`);
    await home.pay(body.payment_request.link);
    await phone.accepted();
  });
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});
