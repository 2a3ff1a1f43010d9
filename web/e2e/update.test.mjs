// @ts-check
// A newer page: it is offered once nothing is under way, and takes over when the user says so.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Front } from './harness/front.mjs';
import { Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';

const FEN = 2000;

/** @type {Household} */ let home;
/** @type {Front} */ let front;
/** @type {Browser} */ let browser;
/** @type {PhonePage} */ let phone;
let version = 0;

before(async () => {
  home = await Household.start();
  front = await Front.open(home.facts.urls.cloud);
});
after(() => closeAll(front, home));
beforeEach(async () => {
  browser = await Browser.launch(home);
  phone = new PhonePage(await browser.open(`${front.url}/`), home);
  await phone.connect();
  await phone.tab.run(() => navigator.serviceWorker.ready.then(() => undefined));
});

afterEach(async () => {
  await home.thaw('meter');
  await browser.close();
});

/** A newer page is there, and this tab's browser has heard of it. @param {PhonePage} at */
async function publish(at) {
  version += 1;
  const end = `\n// version ${version}`;
  front.change('/sw.js', (worker) => worker + end);
  await at.tab.run(async () => {
    const registration = await navigator.serviceWorker.ready;
    // As when the user looks at the page again.
    document.dispatchEvent(new Event('visibilitychange'));
    await new Promise((resolve) => {
      const look = () => registration.waiting && resolve(undefined);
      registration.addEventListener('updatefound', () => {
        registration.installing?.addEventListener('statechange', look);
      });
      registration.installing?.addEventListener('statechange', look);
      look();
    });
  });
}

/** Marks the document: a reload loses the mark. @param {PhonePage} at */
const mark = (at) => at.tab.run(() => void (/** @type {any} */ (globalThis.marked = true)));
/** @param {PhonePage} at */
const isMarked = (at) => at.tab.run(() => /** @type {any} */ (globalThis).marked === true);
/** @param {PhonePage} at */
const reloaded = (at) => at.page.waitForFunction(() => /** @type {any} */ (globalThis).marked !== true);

/** Delivers until the card waits for its meter, which stands still. @param {PhonePage} at */
async function holdDelivery(at) {
  const vend = await at.paid('20');
  await home.freeze('meter');
  at.tab.chooser.choose(home.facts.home.card_name);
  await at.press('deliver');
  await at.sees('[data-doing="delivering"]');
  return vend;
}

test('a first visit has no page to keep: a newer one takes over where nothing is under way', async () => {
  await mark(phone);
  front.change('/sw.js', (worker) => `${worker}\n// first`);
  await phone.tab.run(() => void document.dispatchEvent(new Event('visibilitychange')));
  await reloaded(phone);
  await phone.sees('[data-action="top-up"]');
  assert.equal(await phone.button('update').count(), 0);
});

test('a newer page interrupts no delivery, and is offered after it', async () => {
  const start = await home.meterNow();
  const vend = await holdDelivery(phone);
  await mark(phone);
  await publish(phone);
  await phone.sees('[data-doing="delivering"], [data-doing="trying_again"]');
  assert.equal(await phone.button('update').count(), 0, 'offered while it delivers');
  await home.thaw('meter');
  await phone.accepted();
  await home.expectAccepted(vend, start, FEN);
  await phone.sees('[data-action="update"]');
  assert.ok(await isMarked(phone), 'the page was reloaded');
  await phone.press('update');
  await reloaded(phone);
  await phone.accepted();
});

test('a newer page that the user takes in another tab interrupts no delivery in this one', async () => {
  const other = new PhonePage(await browser.open(`${front.url}/`), home);
  await other.sees('[data-action="top-up"]');
  const start = await home.meterNow();
  await phone.page.bringToFront();
  const vend = await holdDelivery(phone);
  await mark(phone);
  await mark(other);
  await other.page.bringToFront();
  await publish(other);
  await other.press('update');
  await reloaded(other);
  await phone.sees('[data-doing="delivering"], [data-doing="trying_again"]');
  assert.ok(await isMarked(phone), 'reloaded while it delivers');
  await home.thaw('meter');
  await phone.accepted();
  await home.expectAccepted(vend, start, FEN);
  // Nothing is under way any more: this tab follows.
  await reloaded(phone);
});
