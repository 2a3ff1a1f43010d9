// @ts-check
/** A page cannot know its MTU. It may offer what it likes: the card knows, and answers in what fits. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Household } from './harness/household.mjs';
import { LinkPage } from './harness/link-page.mjs';
import { servePages } from './harness/pages.mjs';

/** @type {Household} */ let household;
/** @type {Browser} */ let browser;
/** @type {Awaited<ReturnType<typeof servePages>>} */ let pages;

before(async () => {
  household = await Household.start({ attMtu: 23 });
  browser = await Browser.launch(household);
  pages = await servePages(path.join(import.meta.dirname, 'pages'));
});

after(() => closeAll(browser, pages, household));

test('at the smallest MTU the card answers in what fits', async () => {
  const link = new LinkPage(await browser.open(`${pages.url}/link.html`), household.facts.home);
  await link.find(/found/);
  await link.open();
  assert.equal(await link.readBond(), '01');
  assert.equal((await link.exchange(244, 20)).segments, 3);
});
