// @ts-check
// What dies around a top-up: the phone's browser, each server at each step, the price. The page goes on, and the meter has
// what was paid, once.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';

const FEN = 2000;
/** What Chromium says of requests to a server that is down, or that says that another one is. */
const DOWN = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|status of 50[0-9]/;

/** @type {Household} */ let home;
/** @type {string} */ let profile;
/** @type {Browser} */ let browser;
/** @type {PhonePage} */ let phone;
/** @type {import('./harness/household.mjs').MeterNow} */ let start;

before(async () => {
  home = await Household.start({ daysLived: 3 });
  profile = await home.folder('phone');
  await turnOn();
  await phone.connect();
  await phone.tab.run(() => navigator.serviceWorker.ready.then(() => undefined));
});
after(() => closeAll(browser, home));
beforeEach(async () => {
  start = await home.meterNow();
});

/** The same phone, switched on (again). */
async function turnOn() {
  browser = await Browser.launch(home, { profile });
  browser.expectErrors(DOWN);
  phone = await PhonePage.open(browser, home);
}

/** Takes up the vend that waits, from Home. */
async function takeUp() {
  await phone.press('open-vend');
  await phone.sees('[data-action="go-on"], [data-action="deliver"], [data-state="accepted"]');
  if (await phone.button('go-on').isVisible()) {
    phone.tab.chooser.choose(home.facts.home.card_name);
    await phone.press('go-on');
  }
}

/** @param {string} vend */
async function isThereOnce(vend) {
  await home.expectAccepted(vend, start, FEN);
  await phone.press('nav-home');
}

/** @param {string} vend */
const linkOf = async (vend) => (await home.ask('cloud', 'GET', `/v1/vends/${vend}`)).body.payment_request.link;

test('the phone dies while the payer pays, and is paid meanwhile', async () => {
  const vend = await phone.agree('20', { elsewhere: true });
  await browser.kill();
  await home.pay(await linkOf(vend));
  await turnOn();
  await takeUp();
  await phone.deliver();
  await isThereOnce(vend);
});

test('the phone dies at the cashier, before it is paid', async () => {
  const vend = await phone.agree('20');
  await phone.press('cashier');
  await phone.page.locator('form button[type=submit]').waitFor();
  await browser.kill();
  await turnOn();
  await takeUp();
  await phone.payHere();
  await phone.deliver();
  await isThereOnce(vend);
});

test('the phone dies while it delivers', async () => {
  const vend = await phone.paid('20');
  await home.freeze('meter');
  phone.tab.chooser.choose(home.facts.home.card_name);
  await phone.press('deliver');
  await phone.sees('[data-doing="delivering"]');
  await browser.kill();
  await home.thaw('meter');
  await turnOn();
  await takeUp();
  await phone.deliver();
  await isThereOnce(vend);
});

for (const part of /** @type {const} */ (['company', 'cloud'])) {
  test(`the ${part} is down when the price is asked for`, async () => {
    await phone.press('top-up');
    await phone.button('own-amount').fill('20');
    phone.tab.chooser.choose(home.facts.home.card_name);
    await home.kill(part);
    await phone.press('next');
    await phone.sees('[data-doing="trying_again"]');
    await home.start(part);
    await phone.sees('[data-action="agree"]');
    await phone.press('agree');
    await phone.sees('[data-action="cashier"]');
    const vend = phone.vendId();
    await phone.payHere();
    await phone.deliver();
    await isThereOnce(vend);
  });
}

for (const part of /** @type {const} */ (['company', 'pay', 'cloud'])) {
  test(`the ${part} is down when the user agrees`, async () => {
    await phone.press('top-up');
    await phone.button('own-amount').fill('20');
    phone.tab.chooser.choose(home.facts.home.card_name);
    await phone.press('next');
    await phone.sees('[data-action="agree"]');
    await home.kill(part);
    await phone.press('agree');
    await phone.sees('[data-doing]');
    await home.start(part);
    await phone.sees('[data-action="cashier"]');
    const vend = phone.vendId();
    await phone.payHere();
    await phone.deliver();
    await isThereOnce(vend);
  });
}

for (const part of /** @type {const} */ (['company', 'pay'])) {
  test(`the ${part} is down when it was paid`, async () => {
    const vend = await phone.agree('20');
    await home.kill(part);
    await phone.payHere();
    await phone.sees('[data-doing]');
    await home.start(part);
    await phone.deliver();
    await isThereOnce(vend);
  });
}

for (const part of /** @type {const} */ (['company', 'cloud'])) {
  test(`the ${part} is down when the meter has it`, async () => {
    const vend = await phone.paid('20');
    await home.kill(part);
    phone.tab.chooser.choose(home.facts.home.card_name);
    await phone.press('deliver');
    await phone.sees('[data-doing="trying_again"], [data-doing="waiting_for_company"]');
    assert.equal((await home.meterNow()).total, start.total + FEN, 'the gas waits for no server');
    await home.start(part);
    await phone.accepted();
    await isThereOnce(vend);
  });
}

test('the installed page starts without a cloud, and shows what it knows', async () => {
  const balance = await phone.page.locator('main').innerText();
  await home.kill('cloud');
  await browser.kill();
  await turnOn();
  await phone.sees('[data-screen="home"] [data-action="top-up"]');
  assert.equal(firstFigure(await phone.page.locator('main').innerText()), firstFigure(balance));
  await phone.press('nav-history');
  await phone.sees('[data-screen="history"] a[href*="#/vend/"], [data-screen="history"] [href*="#/receipt/"]');
  await home.start('cloud');
});

/** The balance is the first amount on Home. @param {string} text */
const firstFigure = (text) => /[¥￥][\s\d.,-]+/.exec(text)?.[0].trim();
