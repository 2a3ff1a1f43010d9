// @ts-check
// Badly connected: no internet at the meter, nobody at the meter, a browser that reaches no card.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Household } from './harness/household.mjs';
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
  home = await Household.start({ daysLived: 3 });
  browser = await Browser.launch(home);
  phone = await PhonePage.open(browser, home);
  await phone.connect();
});
after(() => closeAll(browser, home));
beforeEach(async () => {
  start = await home.meterNow();
});

test('the meter is read without internet, and the cloud learns of it later', async () => {
  await phone.until((meter) => (meter.asks?.length ?? 0) > 1);
  browser.expectErrors(/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED/);
  await browser.offline(true);
  const { read_at_ms: before } = (await phone.meter()).status;
  await phone.press('read-meter');
  await phone.sees('[data-doing="done"]');
  const { status } = await phone.meter();
  assert.ok(status.unsent && status.read_at_ms > before, JSON.stringify(status));
  await browser.offline(false);
  await phone.until((meter) => !meter.status.unsent);
});

test('paid away from the meter from its last reading, delivered at home', async () => {
  await home.kill('card');
  await phone.press('top-up');
  await phone.button('own-amount').fill('20');
  await phone.press('away');
  await phone.sees('[data-reading]');
  await phone.press('agree');
  await phone.sees('[data-action="cashier"]');
  const vend = phone.vendId();
  await phone.payHere();
  await phone.sees('[data-action="deliver"]');
  await home.start('card');
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('a browser that reaches no card pays for what was sent to it, and the sender delivers', async () => {
  await phone.press('top-up');
  await phone.button('own-amount').fill('20');
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('next');
  await phone.sees('[data-action="agree"]');
  await phone.sees('[data-action="share"]');
  const vend = phone.vendId();

  const elsewhere = await Browser.launch(home, { bluetooth: false });
  const payer = await PhonePage.open(elsewhere, home, `#/vend/${vend}`);
  await payer.press('take-up');
  // Whose meter it is: never this payer's own.
  await payer.page.getByText(`别人的燃气表`).first().waitFor();
  await payer.press('go-on');
  await payer.sees('[data-reading]');
  await payer.press('agree');
  await payer.sees('[data-action="cashier"]');
  await payer.payHere();
  // Nothing is promised that this browser cannot do.
  await payer.sees('[data-state="token_issued"] [data-action="go-on"]');
  assert.equal(await payer.button('deliver').count(), 0);
  await elsewhere.close();

  await phone.page.reload();
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
});

test('a link to nothing says so', async () => {
  const nothing = '019a0000-0000-7000-8000-000000000000';
  const other = await PhonePage.open(browser, home, `#/vend/${nothing}`);
  browser.expectErrors(/404/);
  await other.press('take-up');
  await other.page.getByText('没有找到这笔充值').waitFor();
  await other.page.close();
});
