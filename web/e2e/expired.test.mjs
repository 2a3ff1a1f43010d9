// @ts-check
// A price is good for a while only. Here it is a few seconds: the page says so, and begins anew.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';

const FEN = 2000;
/** Long enough for a slow machine to pay in. */
const VALID_S = 6;

/** @type {Household} */ let home;
/** @type {Browser} */ let browser;
/** @type {PhonePage} */ let phone;
/** @type {import('./harness/household.mjs').MeterNow} */ let start;

before(async () => {
  home = await Household.start({ quoteValidS: VALID_S });
  browser = await Browser.launch(home);
  phone = await PhonePage.open(browser, home);
  await phone.connect();
});
after(() => closeAll(browser, home));
beforeEach(async () => {
  start = await home.meterNow();
});

/** Waits until what is quoted now is no longer valid. */
const outlast = () =>
  phone.page.waitForFunction((until) => Date.now() > until, Date.now() + 1000 * VALID_S, { polling: 200 });

test('the user thinks for too long, and gets a new price', async () => {
  await phone.press('top-up');
  await phone.button('own-amount').fill('20');
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('next');
  await phone.sees('[data-action="agree"]');
  browser.expectErrors(/status of 410/);
  await outlast();
  await phone.press('agree');
  await phone.sees('[data-trouble="quote_expired"]');
  assert.deepEqual(await home.meterNow(), start);
  await phone.press('new-quote');
  await phone.button('own-amount').fill('20');
  await phone.press('next');
  await phone.sees('[data-action="agree"]');
  await phone.press('agree');
  await phone.sees('[data-action="cashier"]');
  const vend = phone.vendId();
  await phone.payHere();
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('nobody pays in time: the page says that nothing was paid, and offers another one', async () => {
  await phone.agree('20', { elsewhere: true });
  await phone.sees('[data-state="expired"]');
  await phone.press('new-quote');
  await phone.sees('[data-screen="top-up"]');
  assert.deepEqual(await home.meterNow(), start);
});
