// @ts-check
/** The harness itself: a test of a page is worth as much as what would fail it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { Household, programs } from './harness/household.mjs';
import { servePages } from './harness/pages.mjs';

/** @type {Household} */ let household;
/** @type {Awaited<ReturnType<typeof servePages>>} */ let pages;

before(async () => {
  household = await Household.start();
  pages = await servePages(path.join(import.meta.dirname, 'pages'));
});

after(() => closeAll(pages, household));

/** A browser with the test's page open. @param {Parameters<typeof Browser.launch>[1]} [options] */
async function opened(options) {
  const browser = await Browser.launch(household, options);
  return { browser, tab: await browser.open(`${pages.url}/link.html`) };
}

test('an error in the page fails the test, unless it was expected', async () => {
  const { browser, tab } = await opened();
  browser.expectErrors(/it rains/);
  await tab.run(() => {
    console.error('it rains');
    setTimeout(() => {
      throw new Error('nobody caught me');
    });
  });
  await assert.rejects(browser.close(), (error) => {
    assert(error instanceof assert.AssertionError);
    const [left, ...more] = /** @type {string[]} */ (error.actual);
    assert.match(left, /nobody caught me/);
    assert.deepEqual(more, []);
    return true;
  });
});

test('a person may hesitate before the chooser, and a browser come back', async () => {
  const profile = await household.folder('profile');
  const first = await opened({ profile });
  first.tab.chooser.hesitate();
  await first.tab.page.click('#find');
  await first.tab.chooser.opened();
  assert.equal(first.tab.chooser.answers, 0);
  first.tab.chooser.chooseAny();
  await first.tab.page.locator('#state').filter({ hasText: /found/ }).waitFor();
  assert.equal(first.tab.chooser.answers, 1);
  await first.tab.run(() => localStorage.setItem('note', 'kept'));
  await first.browser.close();

  const second = await opened({ profile });
  assert.equal(await second.tab.run(() => localStorage.getItem('note')), 'kept');
  await second.browser.close();
});

test('it is a small phone that speaks Chinese, slow when it shall be', async () => {
  const { browser, tab } = await opened();
  const phone = await tab.run(() => [innerWidth, innerHeight, navigator.language, navigator.maxTouchPoints > 0]);
  assert.deepEqual(phone, [360, 640, 'zh-CN', true]);
  await tab.slowProcessor(4);
  await tab.slowNetwork({ latencyMs: 300 });
  const tookMs = await tab.run(async () => {
    const started = performance.now();
    await fetch('link.mjs', { cache: 'no-store' });
    return performance.now() - started;
  });
  assert(tookMs >= 300, `${tookMs} ms`);
  browser.expectErrors(/ERR_INTERNET_DISCONNECTED/);
  await browser.offline(true);
  const isUnreachable = await tab.run(() =>
    fetch('link.mjs', { cache: 'no-store' }).then(
      () => false,
      () => true,
    ),
  );
  assert(isUnreachable);
  await browser.close();
});

test('a vend is held against the meter and the book', async () => {
  const before = await household.meterNow();
  const words = ['--run-dir', household.facts.run_dir, 'phone', 'top-up', '--amount', '20.00', '--yes', '--json'];
  const { stdout } = await promisify(execFile)(path.join(programs, 'pilotlight'), words);
  const vendId = JSON.parse(stdout).vend_id;
  const { vend } = await household.expectAccepted(vendId, before, 2_000);
  assert.equal(vend.state, 'accepted');
  await assert.rejects(household.expectAccepted(vendId, before, 2_001), /paid 2001/);
  assert.match(await household.book(), /20\.00/);
});

test('what cannot be done is refused, and the household goes on', async () => {
  await assert.rejects(household.command({ op: 'jump' }), /unknown variant/);
  await assert.rejects(household.kill('neighbour-card'), /does not run/);
  await assert.rejects(household.meter({ op: 'fly' }), /not a command/);
  await assert.rejects(household.radio({ op: 'set', colour: 'blue' }), /no such setting/);
  await household.kill('pay');
  await household.start('pay');
  assert.equal((await household.providerFaults({ answer: { fail_next: 1 } })).status, 200);
});

test('a part that dies by itself is told at the end', async () => {
  const other = await Household.start();
  const pidFile = path.join(path.dirname(other.facts.logs.pay), 'pid');
  process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGKILL');
  while ((await other.died()).length === 0);
  await assert.rejects(other.close(), /parts died by themselves.*"pay"/s);
});
