// @ts-check
/** What the pictures show: for each, what the phone remembers, how the cloud and the radio behave, and what is tapped. With
 * `inReach` it is a demo, whose bridge has heard these cards. */
import { DAY, NOW, World, paymentRequest } from './world.mjs';

/**
 * @typedef {{ keys: string, meters: any[], topUps: any[] }} Data
 * @typedef {{
 *   name: string, sees: string, path?: string, data?: Data, bluetooth?: string, whole?: boolean,
 *   inReach?: { card: string, name: string, rssi: number }[],
 *   cloud?: (route: import('playwright-core').Route) => Promise<void> | undefined,
 *   then?: (page: import('playwright-core').Page) => Promise<void>,
 * }} Scene
 */

const HOME = '20261100000101';
const MUM = '20261100000202';
const world = await World.make();

/** More in winter and at weekends. @param {number} ago */
const cold = (ago) => {
  const season = ago < 30 ? 150 : ago > 90 && ago < 180 ? 48 : 85;
  const weekend = [0, 6].includes(new Date(NOW - ago * DAY).getUTCDay()) ? 55 : 0;
  return season + weekend + ((ago * ago * 7 + ago * 31) % 53);
};
const home = world.meter({
  meter: HOME,
  name: '我家',
  unit: 'centi_cubic_metre',
  balance: 4_812,
  days: 260,
  use: cold,
});
const mum = world.meter({
  meter: MUM,
  name: '妈妈家',
  unit: 'fen',
  balance: -1_240,
  days: 40,
  use: (ago) => 60 + ((ago * 31) % 25),
  price: 2.61,
  flags: 0x0001 | 0x0004,
  battery: 11,
  readAgo: 2 * DAY,
});

const accepted = world.vend({
  meter: HOME,
  state: 'accepted',
  want: { amount_fen: 10_000 },
  at: NOW - 20 * DAY,
  bought: 28_000,
});
const refunded = world.vend({
  meter: HOME,
  state: 'refunded',
  want: { amount_fen: 5_000 },
  at: NOW - 90 * DAY,
  bought: 12_000,
});
const declined = world.vend({
  meter: HOME,
  state: 'quoted',
  want: { volume_centi_m3: 5_000 },
  at: NOW - 50 * DAY,
  agreed: false,
  declined: true,
});
const waiting = world.vend({
  meter: HOME,
  state: 'token_issued',
  want: { amount_fen: 20_000 },
  at: NOW - 40 * 60_000,
  bought: 31_832,
});
const offered = world.vend({
  meter: HOME,
  state: 'quoted',
  want: { amount_fen: 20_000 },
  at: NOW - 60_000,
  bought: 31_832,
  agreed: false,
});
const owing = world.vend({
  meter: MUM,
  state: 'quoted',
  want: { amount_fen: 10_000 },
  at: NOW - 60_000,
  unit: 'fen',
  balance: -1_240,
  agreed: false,
});
const asked = world.vend({
  meter: HOME,
  state: 'tender_requested',
  want: { amount_fen: 20_000 },
  at: NOW - 5 * 60_000,
  bought: 31_832,
});
const expired = world.vend({
  meter: HOME,
  state: 'expired',
  want: { amount_fen: 20_000 },
  at: NOW - DAY,
  bought: 31_832,
});
const pending = world.vend({
  meter: HOME,
  state: 'refund_pending',
  want: { amount_fen: 5_000 },
  at: NOW - DAY,
  bought: 31_832,
});
const unread = world.vend({ meter: HOME, state: 'none', want: { amount_fen: 5_000 }, at: NOW - 60_000 });
const stuck = world.vend({
  meter: HOME,
  state: 'tender_confirmed',
  want: { amount_fen: 10_000 },
  at: NOW - 3_600_000,
  obstacle: { code: 'debit_open', detail: 'a refund waits for the meter' },
});

const data = (/** @type {any[]} */ topUps, meters = [home, mum]) => ({ keys: world.keys, meters, topUps });
const past = [accepted, refunded, declined];
const vendOf = (/** @type {any} */ one) => JSON.parse(one.saved).vend;
const tap = (/** @type {import('playwright-core').Page} */ page, /** @type {string} */ action) =>
  page.locator(`[data-action="${action}"]`).first().click();

/** Answers to what asks for payment; what follows a vend waits for ever. @param {any} saved @param {'h5' | 'native'} how */
const asksPayment = (saved, how) => (/** @type {import('playwright-core').Route} */ route) => {
  if (!route.request().url().endsWith('/tender')) return new Promise(() => {});
  const vend = vendOf(saved);
  const timeline = [...vend.timeline, { state: 'tender_requested', at_ms: NOW }];
  const { explanation } = JSON.parse(Buffer.from(vend.quote.split('.')[1], 'base64url').toString());
  const payment_request = paymentRequest(explanation.payable_fen, how);
  return route.fulfill({
    json: { ...vend, state: 'tender_requested', version: 2, timeline, consented_at_ms: NOW, payment_request },
  });
};
/** In the page: what is shared takes the page's place. */
function showWhatIsShared() {
  navigator.canShare = () => true;
  navigator.share = async (shared) => {
    const picture = document.createElement('img');
    picture.src = URL.createObjectURL(/** @type {File} */ (shared?.files?.[0]));
    picture.alt = shared?.title ?? '';
    picture.width = 320;
    await picture.decode();
    picture.dataset.shared = '';
    document.querySelector('article')?.replaceWith(picture);
  };
}
const never = () => /** @type {Promise<void>} */ (new Promise(() => {}));

/** @type {Scene[]} */
export const scenes = [
  { name: 'start-failed', sees: '[data-screen="start-failed"]' },
  { name: 'welcome', data: data([], []), sees: '[data-action="connect"]' },
  { name: 'welcome-no-bluetooth', data: data([], []), bluetooth: 'none', sees: '[data-trouble]' },
  {
    name: 'welcome-cancelled',
    data: data([], []),
    bluetooth: 'cancelled',
    sees: '[data-action="connect"]',
    then: async (page) => {
      await tap(page, 'connect');
      await page.waitForSelector('[data-trouble="cancelled"]');
    },
  },
  { name: 'demo-welcome', data: data([], []), path: '#/demo', bluetooth: 'none', inReach: [], sees: '[data-demo]' },
  { name: 'demo-home', data: data(past), path: '#/demo', bluetooth: 'none', inReach: [], sees: '[data-screen="home"]' },
  {
    name: 'demo-chooser',
    data: data([], []),
    path: '#/demo',
    bluetooth: 'none',
    inReach: [
      { card: 'F0:26:11:00:00:42', name: 'Pilotlight-0042', rssi: -48 },
      { card: 'F0:26:11:00:00:99', name: 'Pilotlight-0099', rssi: -61 },
    ],
    sees: '[data-action="connect"]',
    then: async (page) => {
      await tap(page, 'connect');
      await page.waitForSelector('[data-chooser]');
    },
  },
  {
    name: 'demo-receipt-picture',
    data: data([accepted]),
    path: '#/demo',
    bluetooth: 'none',
    inReach: [],
    sees: '[data-screen="home"]',
    then: async (page) => {
      await page.evaluate((hash) => void (location.hash = hash), `/receipt/${accepted.vend_id}`);
      await page.waitForSelector('[data-action="share"]');
      await page.evaluate(showWhatIsShared);
      await tap(page, 'share');
      await page.waitForSelector('img[data-shared]');
    },
  },
  { name: 'home', data: data([accepted, waiting]), sees: '[data-screen="home"]' },
  {
    name: 'home-month',
    data: data(past),
    sees: '[data-screen="home"]',
    then: async (page) => {
      await tap(page, 'usage-month');
      await page.locator('summary').click();
    },
  },
  {
    name: 'home-reading',
    data: data(past),
    sees: '[data-screen="home"]',
    then: async (page) => {
      await tap(page, 'read-meter');
      await page.waitForSelector('[data-doing]');
    },
  },
  {
    name: 'home-out-of-reach',
    data: data(past),
    bluetooth: 'far',
    sees: '[data-screen="home"]',
    then: async (page) => {
      await tap(page, 'read-meter');
      await page.waitForSelector('[data-trouble="out_of_reach"]');
    },
  },
  {
    name: 'home-offline',
    data: data(past),
    sees: '[data-screen="home"]',
    then: async (page) => {
      await page.context().setOffline(true);
      await page.waitForSelector('.offline');
    },
  },
  { name: 'home-arrears', data: data([owing], [mum]), sees: '[data-screen="home"]' },
  { name: 'top-up', data: data(past), path: '#/top-up', sees: '[data-action="next"]' },
  {
    name: 'top-up-permission',
    data: data(past),
    path: '#/top-up',
    bluetooth: 'permission',
    sees: '[data-action="next"]',
    then: async (page) => {
      await page.locator('[data-action="own-amount"]').fill('80.50');
      await tap(page, 'next');
      await page.waitForSelector('[data-trouble="permission"]');
    },
  },
  {
    name: 'vend-reading',
    data: data(past),
    path: '#/top-up',
    cloud: never,
    sees: '[data-action="next"]',
    then: async (page) => {
      await tap(page, 'next');
      await page.waitForSelector('[data-screen="vend"] [data-doing="reaching_card"]');
    },
  },
  {
    name: 'vend-offer',
    data: data([offered, accepted]),
    path: `#/vend/${offered.vend_id}`,
    cloud: never,
    sees: '[data-action="go-on"]',
    then: async (page) => {
      await tap(page, 'go-on');
      await page.waitForSelector('[data-action="agree"]');
    },
  },
  {
    name: 'vend-offer-arrears',
    data: data([owing], [mum]),
    path: `#/vend/${owing.vend_id}`,
    cloud: never,
    sees: '[data-action="go-on"]',
    then: async (page) => {
      await tap(page, 'go-on');
      await page.waitForSelector('[data-action="agree"]');
    },
  },
  .../** @type {const} */ (['h5', 'native']).map((how) => ({
    name: `vend-pay-${how}`,
    data: data([offered, accepted]),
    path: `#/vend/${offered.vend_id}`,
    cloud: asksPayment(offered, how),
    sees: '[data-action="go-on"]',
    then: async (/** @type {import('playwright-core').Page} */ page) => {
      await tap(page, 'go-on');
      await tap(page, how === 'h5' ? 'pay-here' : 'pay-elsewhere');
      await tap(page, 'agree');
      await page.waitForSelector('[data-action="paid"]');
      if (how === 'native') await page.waitForSelector('[data-code]');
    },
  })),
  { name: 'vend-unread', data: data([unread]), path: `#/vend/${unread.vend_id}`, sees: '[data-state="none"]' },
  { name: 'vend-asked', data: data([asked]), path: `#/vend/${asked.vend_id}`, sees: '[data-state="tender_requested"]' },
  { name: 'vend-deliver', data: data([waiting]), path: `#/vend/${waiting.vend_id}`, sees: '[data-action="deliver"]' },
  {
    name: 'vend-delivering',
    data: data([waiting]),
    path: `#/vend/${waiting.vend_id}`,
    cloud: never,
    sees: '[data-action="deliver"]',
    then: async (page) => {
      await tap(page, 'deliver');
      await page.waitForSelector('[data-doing="reaching_card"]');
    },
  },
  {
    name: 'vend-trying-again',
    data: data([waiting]),
    path: `#/vend/${waiting.vend_id}`,
    bluetooth: 'far',
    sees: '[data-action="deliver"]',
    then: async (page) => {
      await tap(page, 'deliver');
      await page.waitForSelector('[data-doing="trying_again"]');
    },
  },
  {
    name: 'vend-bluetooth-off',
    data: data([waiting]),
    path: `#/vend/${waiting.vend_id}`,
    bluetooth: 'off',
    sees: '[data-action="deliver"]',
    then: async (page) => {
      await tap(page, 'deliver');
      await page.waitForSelector('[data-trouble="bluetooth_off"]');
    },
  },
  { name: 'vend-obstacle', data: data([stuck]), path: `#/vend/${stuck.vend_id}`, sees: '[data-trouble="debit_open"]' },
  { name: 'vend-done', data: data([accepted]), path: `#/vend/${accepted.vend_id}`, sees: '[data-doing="done"]' },
  { name: 'vend-expired', data: data([expired]), path: `#/vend/${expired.vend_id}`, sees: '[data-state="expired"]' },
  {
    name: 'vend-refund',
    data: data([pending]),
    path: `#/vend/${pending.vend_id}`,
    sees: '[data-state="refund_pending"]',
  },
  {
    name: 'vend-unknown',
    data: data([]),
    path: `#/vend/${pending.vend_id}`,
    cloud: (route) => route.fulfill({ status: 404, json: { code: 'vend_unknown', detail: '' } }),
    sees: '[data-action="take-up"]',
    then: async (page) => {
      await tap(page, 'take-up');
      await page.waitForSelector('[data-state="unknown"]');
    },
  },
  {
    name: 'vend-sent-closed',
    data: data([], []),
    bluetooth: 'none',
    path: `#/vend/${offered.vend_id}`,
    sees: '[data-action="take-up"]',
  },
  {
    name: 'vend-sent',
    data: data([], []),
    bluetooth: 'none',
    path: `#/vend/${offered.vend_id}`,
    cloud: (route) => route.fulfill({ json: vendOf(offered) }),
    sees: '[data-action="take-up"]',
    then: async (page) => {
      await tap(page, 'take-up');
      await page.waitForSelector('[data-action="go-on"]');
    },
  },
  { name: 'history', data: data([waiting, expired, ...past]), path: '#/history', sees: '[data-state="accepted"]' },
  { name: 'history-empty', data: data([]), path: '#/history', sees: '[data-screen="history"]' },
  { name: 'receipt', data: data([accepted]), path: `#/receipt/${accepted.vend_id}`, sees: '[data-genuine="true"]' },
  {
    name: 'receipt-picture',
    data: data([accepted]),
    path: `#/receipt/${accepted.vend_id}`,
    sees: '[data-action="share"]',
    then: async (page) => {
      await page.evaluate(showWhatIsShared);
      await tap(page, 'share');
      await page.waitForSelector('img[data-shared]');
    },
  },
  {
    name: 'receipt-refunded',
    data: data([refunded]),
    path: `#/receipt/${refunded.vend_id}`,
    sees: '[data-genuine="true"]',
  },
  {
    name: 'meters',
    data: data(past),
    path: '#/meters',
    sees: '[data-meter]',
    then: async (page) => {
      await page.locator('[data-action="forget"]').last().click();
    },
  },
  {
    name: 'help',
    data: data(past),
    path: '#/help',
    sees: 'details',
    then: async (page) => {
      await page.locator('summary').first().click();
    },
  },
];
