// @ts-check
// The radio is lost at each step of reading a meter: the reading goes on from there, and ends with all of it, once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './harness/browser.mjs';
import { closeAll } from './harness/close.mjs';
import { ATT, Household } from './harness/household.mjs';
import { PhonePage } from './harness/phone-page.mjs';

/** Some 170 readings: eight questions to the card. */
const DAYS = 7;

/** @type {Household} */ let home;
/** @type {Browser} */ let browser;
/** @type {PhonePage} */ let phone;
/** What an undisturbed reading brings: the readings that this phone holds, by number. @type {string[]} */
let everything;

before(async () => {
  home = await Household.start({ daysLived: DAYS });
  browser = await Browser.launch(home);
  // What this phone fetches ahead after each reading, and forgets, is more than the cloud gives it.
  browser.expectErrors(/429.*\/asks/);
  phone = await PhonePage.open(browser, home);
  await phone.connect();
  everything = await readings();
});
after(() => closeAll(browser, home));

/** The meter's readings in the page's store. @returns {Promise<string[]>} */
function readings() {
  return phone.tab.run(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('pilotlight');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const all = opening.result.transaction('meters').objectStore('meters').getAll();
          all.onsuccess = () => {
            opening.result.close();
            resolve(all.result.flatMap((one) => Object.keys(JSON.parse(one.history).records)));
          };
        };
      }),
  );
}

/** The phone has never met this meter. */
async function forget() {
  await phone.tab.run(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('pilotlight');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const clearing = opening.result.transaction('meters', 'readwrite');
          clearing.objectStore('meters').clear();
          clearing.oncomplete = () => {
            opening.result.close();
            resolve(undefined);
          };
        };
      }),
  );
  await phone.page.reload();
  await phone.sees('[data-action="connect"]');
}

/** Notes from now on what the page says that it does: steps, and how many readings are left. */
function watch() {
  return phone.tab.run(() => {
    const said = /** @type {string[]} */ (/** @type {any} */ (globalThis).said = []);
    new MutationObserver(() => {
      const progress = document.querySelector('[data-doing]');
      const doing = progress?.getAttribute('data-doing') ?? '';
      const left = doing === 'fetching' ? progress?.querySelector('.text')?.textContent?.replace(/\D/g, '') : '';
      const words = `${doing} ${left}`.trim();
      if (said.at(-1) !== words) said.push(words);
    }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  });
}

for (const [name, att, skip, deliver, step] of /** @type {[string, number, number, boolean, string][]} */ ([
  ['while its services are looked up', ATT.findServices, 0, false, 'reaching_card'],
  ['when it is asked what it is', ATT.read, 0, false, 'reaching_card'],
  ['at the hello', ATT.writeRequest, 1, false, 'reaching_card'],
  ["at the hello's answer", ATT.indication, 0, false, 'reaching_card'],
  ['at what it says of itself', ATT.indication, 1, true, 'reaching_card'],
  ['at the status', ATT.indication, 2, false, 'asking_meter'],
  ['at the first readings', ATT.indication, 3, true, 'fetching'],
  ['in the middle of the readings', ATT.indication, 14, false, 'fetching'],
])) {
  test(`the link to the card is cut ${name}`, async () => {
    // Also the link that outlives the page, and before the page is loaded anew: Chromium takes a moment to notice.
    await home.cut();
    await forget();
    await watch();
    await home.cutOn(att, { skip, deliver });
    await phone.connect();
    assert.equal((await home.radio({ op: 'stat' })).cut, null, 'nothing was cut');
    await phone.sees('[data-doing="done"]');
    assert.deepEqual(await readings(), everything);

    const said = await phone.tab.run(() => /** @type {string[]} */ (/** @type {any} */ (globalThis).said));
    const reached = said.flatMap((one, nth) => (one === 'reaching_card' ? [nth] : []));
    if (step !== 'reaching_card') {
      const [, again = Number.NaN] = reached;
      assert.match(said[again - 1] ?? '', new RegExp(`^${step}`), said.join(', '));
    }
    const left = said.filter((one) => one.startsWith('fetching ')).map((one) => Number(one.slice(9)));
    assert.deepEqual(
      left,
      left.toSorted((one, other) => other - one),
      'something was fetched twice',
    );
  });
}
