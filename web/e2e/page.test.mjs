// @ts-check
// A whole top-up in a real browser over the real radio, and what can go wrong on the way.
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
  home = await Household.start({ neighbour: true, daysLived: 20 });
  browser = await Browser.launch(home);
  phone = await PhonePage.open(browser, home);
  await phone.connect();
});
after(() => closeAll(browser, home));
beforeEach(async () => {
  await home.radioWell();
  start = await home.meterNow();
});

test('the meter is shown once its card was read', async () => {
  assert.match(await phone.page.locator('main').innerText(), /m³|¥/);
});

test('a top-up, paid at the cashier on this phone', async () => {
  const vend = await phone.agree('20');
  await phone.payHere();
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
});

test('the receipt is found genuine by the page itself', async () => {
  await phone.press('receipt');
  await phone.sees('[data-screen="receipt"]');
  await phone.press('nav-home');
});

test('a top-up, paid by somebody else from a QR code', async () => {
  const vend = await phone.agree('20', { elsewhere: true });
  const { body } = await home.ask('cloud', 'GET', `/v1/vends/${vend}`);
  assert.ok(body.payment_request.code_url, JSON.stringify(body.payment_request));
  await home.pay(body.payment_request.link);
  await phone.accepted();
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

test('the page is reloaded while it delivers', async () => {
  const vend = await phone.paid('20');
  // The card has the token, and waits for its meter.
  await home.freeze('meter');
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('deliver');
  await phone.sees('[data-doing="delivering"]');
  await phone.page.reload();
  await home.thaw('meter');
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('the card is killed and starts again before the delivery', async () => {
  const vend = await phone.paid('20');
  await home.kill('card');
  await home.start('card');
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('a double tap begins one vend', async () => {
  await phone.press('top-up');
  await phone.button('own-amount').fill('20');
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.button('next').dblclick();
  await phone.sees('[data-action="agree"]');
  await phone.button('agree').dblclick();
  await phone.sees('[data-action="cashier"]');
  const vend = phone.vendId();
  await phone.payHere();
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test("another meter's card is refused by name, and the right one goes on", async () => {
  const vend = await phone.paid('20');
  phone.tab.chooser.choose(home.facts.neighbour.card_name);
  await phone.press('deliver');
  await phone.sees('[data-trouble="other_meter"], [data-trouble="card_wrong_meter"]');
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('other-card');
  await phone.accepted();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('paid, and without internet at the meter: the receipt is passed on later', async () => {
  const vend = await phone.paid('20');
  browser.expectErrors(/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED/);
  await browser.offline(true);
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('deliver');
  await phone.sees('[data-trouble="cloud_unreachable"], [data-doing="trying_again"]');
  await browser.offline(false);
  await phone.accepted();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('the cloud is killed while the payer pays, and comes back', async () => {
  const vend = await phone.agree('20', { elsewhere: true });
  const { body } = await home.ask('cloud', 'GET', `/v1/vends/${vend}`);
  browser.expectErrors(
    /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/,
  );
  await home.kill('cloud');
  await home.pay(body.payment_request.link);
  await home.start('cloud');
  await phone.sees('[data-state="accepted"], [data-action="retry"], [data-action="deliver"]');
  if (await phone.button('retry').isVisible()) await phone.press('retry');
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
});

test('two phones carry what one has paid: it is on the meter once', async () => {
  const vend = await phone.paid('20');
  const other = await Browser.launch(home);
  const neighbour = await PhonePage.open(other, home);
  // Whoever reads the meter brings it what waits.
  await neighbour.connect();
  assert.equal((await home.meterNow()).total, start.total + FEN);
  await other.close();
  await phone.deliver();
  await home.expectAccepted(vend, start, FEN);
});
