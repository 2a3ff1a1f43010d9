// @ts-check
// A visitor without Bluetooth: the page with the demo card, through the bridge.
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
  home = await Household.start({ neighbour: true, bridge: true });
  browser = await Browser.launch(home, { bluetooth: false });
});
after(() => closeAll(browser, home));
beforeEach(async () => {
  await home.radioWell();
  start = await home.meterNow();
});

test('without the demo link the page says that this browser has no Bluetooth, and is no demo', async () => {
  phone = await PhonePage.open(browser, home);
  await phone.sees('[data-trouble="no_bluetooth"]');
  assert.equal(await phone.tab.run(() => 'bluetooth' in navigator), false);
  assert.equal(await phone.page.locator('[data-demo]').count(), 0);
});

test('a link cannot name a bridge of its own', async () => {
  await phone.page.goto(`${home.facts.urls.cloud}/#/demo?bridge=ws://127.0.0.1:1`);
  await phone.sees('[data-trouble="no_bluetooth"]');
  assert.equal(await phone.page.locator('[data-demo]').count(), 0);
});

test('the demo link marks the page, and of several cards one is chosen with the keyboard', async () => {
  // In a page that is open already, as somebody does who pastes the link.
  await phone.tab.run((link) => void (location.href = link), home.facts.bridge?.demo_link);
  await phone.sees('[data-demo]');
  assert.match(await phone.page.locator('[data-demo]').innerText(), /演示/);
  await phone.press('connect');
  await phone.sees('[data-chooser]');
  await phone.page.keyboard.press('Escape');
  await phone.sees('[data-trouble="cancelled"]');
  await phone.press('connect');
  await phone.sees(`[data-card="${home.facts.neighbour?.card_name}"]`);
  await phone.page.locator(`[data-card="${home.facts.home.card_name}"]`).focus();
  await phone.page.keyboard.press('Enter');
  await phone.sees('[data-action="top-up"]');
  assert.match(await phone.page.locator('main').innerText(), /m³|¥/);
  assert.equal(phone.tab.chooser.answers, 0, 'no Bluetooth was asked');
  // From here on there is one card.
  await home.stop('neighbour-card');
});

test('a whole top-up, paid at the cashier', async () => {
  const vend = await phone.agree('20');
  await phone.payHere();
  // Back from another site, and still a demo.
  await phone.sees('[data-demo]');
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

for (const [name, fault] of /** @type {[string, () => Promise<unknown>][]} */ ([
  ['at a write that the card has heard', () => home.cutOn(ATT.writeRequest, { skip: 2, deliver: true })],
  ['at the receipt', () => home.cutOn(ATT.indication, { skip: 2 })],
])) {
  test(`the link is cut ${name}, in the middle of a delivery`, async () => {
    const vend = await phone.paid('20');
    await fault();
    await phone.deliver();
    await home.expectAccepted(vend, start, FEN);
    await phone.press('nav-home');
  });
}

test('the bridge is killed while it delivers, and comes back', async () => {
  const vend = await phone.paid('20');
  // The card has the token, and waits for its meter.
  await home.freeze('meter');
  await phone.press('deliver');
  await phone.sees('[data-doing="delivering"]');
  browser.expectErrors(/WebSocket connection to .* failed/);
  await home.kill('bridge');
  await home.thaw('meter');
  await home.start('bridge');
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('a second visitor is told that the card is in use, and gets it afterwards', async () => {
  await home.freeze('meter');
  await phone.press('read-meter');
  await phone.sees('[data-doing="asking_meter"]');
  const second = new PhonePage(await browser.open(home.facts.bridge?.demo_link ?? ''), home);
  await second.sees('[data-demo]');
  await second.press('read-meter');
  await second.sees('[data-trouble="bridge_busy"]');
  await home.thaw('meter');
  await phone.sees('[data-doing="done"]');
  await second.press('retry');
  await second.sees('[data-doing="done"]');
  await second.page.close();
});

test('who leaves the demo finds nothing of it', async () => {
  await phone.press('leave-demo');
  await phone.sees('[data-trouble="no_bluetooth"]');
  assert.equal(await phone.page.locator('[data-demo]').count(), 0);
});
