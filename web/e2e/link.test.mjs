// @ts-check
/**
 * The chain under the page: Chromium's Bluetooth, BlueZ's face, the radio, the card, the meter. A page of this test's
 * own asks the card what it says of itself, whatever happens to the link.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { ATT, Household } from './harness/household.mjs';
import { LinkPage, UNKNOWN_MTU } from './harness/link-page.mjs';
import { servePages } from './harness/pages.mjs';

/** Fits what Chromium and the card agree on. */
const WIDE = 180;

/** @type {Household} */ let household;
/** @type {Browser} */ let browser;
/** @type {import('./harness/browser.mjs').Tab} */ let tab;
/** @type {LinkPage} */ let link;
/** @type {Awaited<ReturnType<typeof servePages>>} */ let pages;

before(async () => {
  household = await Household.start({ neighbour: true });
  browser = await Browser.launch(household);
  pages = await servePages(path.join(import.meta.dirname, 'pages'));
  tab = await browser.open(`${pages.url}/link.html`);
  link = new LinkPage(tab, household.facts.home);
});

after(() => closeAll(browser, pages, household));

test('the chooser can be cancelled', async () => {
  tab.chooser.cancel();
  await link.find(/NotFoundError/);
});

test('both cards are on the air, and the one that is chosen is found', async () => {
  const { home, neighbour } = household.facts;
  assert(neighbour);
  const wrong = new LinkPage(tab, neighbour);
  tab.chooser.choose(neighbour.card_name);
  await wrong.find(new RegExp(`found ${neighbour.card_name}`));
  await wrong.open();
  assert.equal((await wrong.readInfo()).card, neighbour.card);
  await wrong.exchange();
  await wrong.leave();

  tab.chooser.choose(home.card_name);
  await link.find(new RegExp(`found ${home.card_name}`));
  assert.deepEqual(tab.chooser.offered.toSorted(), [home.card_name, neighbour.card_name]);
});

test('Info is read before anything else', async () => {
  await link.open();
  assert.deepEqual(await link.readInfo(), {
    length: 16,
    versions: [1, 1],
    valueMax: 244,
    messageMax: 1024,
    window: 4,
    needsPairing: true,
    card: household.facts.home.card,
  });
});

test('the card answers in short segments and in one', async () => {
  assert.equal((await link.exchange(UNKNOWN_MTU)).segments, 3);
  assert.equal((await link.exchange(WIDE)).segments, 1);
});

test('reading Bond pairs, and the bond outlives the link and the card', async () => {
  assert.equal(await link.readBond(), '01');
  await household.cut();
  await link.recover();
  assert.equal(await link.readBond(), '01');
  await household.restart('card');
  await link.recover();
  assert.equal(await link.readBond(), '01');
});

for (const [name, att, skip, deliver] of /** @type {[string, number, number, boolean][]} */ ([
  ['before the hello arrives', ATT.writeRequest, 0, false],
  ['before CARD arrives', ATT.writeRequest, 1, false],
  ['right after CARD has arrived', ATT.writeRequest, 1, true],
  ['before the write is confirmed', ATT.writeResponse, 1, false],
  ['before the answer arrives', ATT.indication, 1, false],
  ['in the middle of the answer', ATT.indication, 2, false],
])) {
  test(`the link is cut ${name}`, async () => {
    await household.cutOn(att, { skip, deliver });
    await link.exchangeFails();
    await link.recover();
  });
}

test('the link is cut after each packet of an exchange', async () => {
  await link.exchange();
  let cuts = 0;
  for (; ; cuts += 1) {
    await household.radio({ op: 'set', drop_after: cuts });
    const exchanged = link.exchange();
    await Promise.allSettled([exchanged]);
    const { drop_after: left } = await household.radio({ op: 'stat' });
    await household.radioWell();
    if (left !== null) {
      await exchanged;
      break;
    }
    await link.recover();
  }
  // Hello and CARD, each written and confirmed; their answers in 1 + 3 segments, each confirmed; 2 acknowledgements.
  assert.equal(cuts, 16);
});

test('the radio carries nothing for a while', async () => {
  await household.blackhole(true);
  await link.exchangeFails();
  await household.blackhole(false);
  await link.recover();
});

test('the card dies in the middle of an exchange, and comes back', async () => {
  await household.radio({ op: 'set', interval_ms: 30, per_event: 1 });
  const failed = assert.rejects(link.exchange());
  await household.kill('card');
  await failed;
  await household.radioWell();
  await household.start('card');
  await link.recover();
});

test('the page lets go in the middle of an exchange', async () => {
  await household.radio({ op: 'set', interval_ms: 30, per_event: 1 });
  const failed = assert.rejects(link.exchange());
  await link.leave();
  await failed;
  await household.radioWell();
  await link.recover();
});

test('Bluetooth is switched off and on again', async () => {
  await household.bluetooth(false);
  await link.shows(/disconnected/);
  await assert.rejects(link.open());
  await household.bluetooth(true);
  await link.recover();
});

test('the meter may stand still: the card still says what it is', async () => {
  await household.freeze('meter');
  await link.exchange();
  await household.thaw('meter');
});
