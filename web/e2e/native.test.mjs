// @ts-check
// The page as in a native shell: whole top-ups by way of Capacitor's plugin, which here stands on Chromium's Bluetooth.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { ATT, Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';

const FEN = 2000;

/** @type {Household} */
let home;
/** @type {Browser} */
let browser;
/** @type {PhonePage} */
let phone;
/** @type {import('./harness/household.mjs').MeterNow} */
let start;

before(async () => {
  home = await Household.start({ daysLived: 20 });
  browser = await Browser.launch(home);
  await browser.pretendToBeAShell();
  phone = await PhonePage.open(browser, home);
});
after(() => closeAll(browser, home));
beforeEach(async () => {
  await home.radioWell();
  start = await home.meterNow();
});

test('who does not choose a card is told so', async () => {
  phone.tab.chooser.cancel();
  await phone.press('connect');
  await phone.sees('[data-trouble="cancelled"]');
});

test('the meter is read through the plugin, and Web Bluetooth is not even loaded', async () => {
  await phone.connect();
  const used = await phone.tab.run(() => ({
    plugins: Object.keys(/** @type {any} */ (globalThis).Capacitor.Plugins),
    scripts: performance.getEntriesByType('resource').map(({ name }) => name.replace(/.*\//, '')),
  }));
  assert.ok(used.plugins.includes('BluetoothLe'), JSON.stringify(used));
  assert.ok(!used.scripts.some((name) => name.startsWith('web-bluetooth-')), JSON.stringify(used));
});

test('a top-up, paid at the cashier on this phone', async () => {
  const vend = await phone.agree('20');
  await phone.payHere();
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

for (const [name, fault] of /** @type {[string, () => Promise<unknown>][]} */ ([
  ['the first write', () => home.cutOn(ATT.writeRequest)],
  ['a write that the card has heard', () => home.cutOn(ATT.writeRequest, { skip: 2, deliver: true })],
  ['the receipt', () => home.cutOn(ATT.indication, { skip: 2 })],
])) {
  test(`the link is cut at ${name} of a delivery`, async () => {
    const vend = await phone.paid('20');
    await fault();
    await phone.deliver();
    await home.expectAccepted(vend, start, FEN);
    await phone.press('nav-home');
  });
}

test('the radio carries nothing in the middle of a delivery, and then does again', async () => {
  const vend = await phone.paid('20');
  await home.blackhole(true);
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('deliver');
  await phone.sees('[data-doing="trying_again"]');
  await home.blackhole(false);
  await phone.accepted();
  await home.expectAccepted(vend, start, FEN);
});
