// @ts-check
// The product's page, as a person uses it.
import assert from 'node:assert/strict';

/** @typedef {import('./browser.mjs').Tab} Tab */
/** @typedef {import('./household.mjs').Household} Household */

/** How long a person waits for anything here, ms: pairing, reading years of records and a slow machine included. */
const PATIENCE_MS = 45_000;

export class PhonePage {
  /** @param {Tab} tab @param {Household} home */
  constructor(tab, home) {
    this.tab = tab;
    this.page = tab.page;
    this.home = home;
    this.page.setDefaultTimeout(PATIENCE_MS);
  }

  /**
   * Opens the page in a tab of this browser.
   * @param {import('./browser.mjs').Browser} browser
   * @param {Household} home
   * @param {string} place
   */
  static async open(browser, home, place = '') {
    return new PhonePage(await browser.open(`${home.facts.urls.cloud}/${place}`), home);
  }

  /** @param {string} action */
  button = (action) => this.page.locator(`[data-action="${action}"]`);
  /** @param {string} action */
  press = (action) => this.button(action).first().click();
  /** @param {string} selector */
  async sees(selector) {
    try {
      await this.page.locator(selector).first().waitFor();
    } catch (error) {
      const shown = await this.page.locator('body').innerText();
      throw new Error(`no ${selector} at ${this.page.url()}, which shows:\n${shown}`, { cause: error });
    }
  }

  /** Meets the meter for the first time. */
  async connect(card = this.home.facts.home.card_name) {
    this.tab.chooser.choose(card);
    await this.press('connect');
    await this.sees('[data-action="top-up"]');
  }

  /** Asks for gas and agrees to the quote. @param {string} yuan */
  async agree(yuan, { elsewhere = false } = {}) {
    await this.press('top-up');
    await this.button('own-amount').fill(yuan);
    this.tab.chooser.choose(this.home.facts.home.card_name);
    await this.press('next');
    await this.sees('[data-action="agree"]');
    if (elsewhere) await this.press('pay-elsewhere');
    await this.press('agree');
    await this.sees('[data-action="cashier"], [data-action="paid"]');
    return this.vendId();
  }

  vendId() {
    const [, id] = /#\/vend\/([0-9a-f-]{36})/.exec(this.page.url()) ?? [];
    assert.ok(id, `no vend is shown at ${this.page.url()}`);
    return id;
  }

  /** Goes to the provider's cashier, pays there, and comes back. */
  async payHere() {
    await this.press('cashier');
    await this.page.locator('form button[type=submit]').click();
    await this.page.waitForURL(/#\/vend\/.*returned/);
  }

  /** Has it paid at the cashier: the recharge data waits on this phone. @param {string} yuan */
  async paid(yuan) {
    const vend = await this.agree(yuan);
    await this.payHere();
    await this.sees('[data-action="deliver"]');
    return vend;
  }

  /** Delivers a paid vend, and waits until the gas company has believed the meter. */
  async deliver() {
    await this.sees('[data-action="deliver"], [data-state="accepted"]');
    if (await this.button('deliver').isVisible()) {
      this.tab.chooser.choose(this.home.facts.home.card_name);
      await this.press('deliver');
    }
    await this.accepted();
  }

  /** What the page has saved of its first meter. @returns {Promise<import('../../src/lib/store').KnownMeter>} */
  meter = () => this.page.evaluate(savedMeter);

  /** Waits until what is saved of the meter is so. @param {(meter: import('../../src/lib/store').KnownMeter) => boolean} isSo */
  async until(isSo) {
    const deadline = performance.now() + PATIENCE_MS;
    for (let meter = await this.meter(); !isSo(meter); meter = await this.meter()) {
      assert.ok(performance.now() < deadline, `still ${JSON.stringify({ ...meter, history: '...' })}`);
      await this.page.evaluate(() => new Promise(requestAnimationFrame));
    }
  }

  accepted = () => this.sees('[data-state="accepted"]');
}

/** Runs in the page. */
function savedMeter() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('pilotlight');
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      const asking = db.transaction('meters').objectStore('meters').getAll();
      asking.onerror = () => reject(asking.error);
      asking.onsuccess = () => {
        db.close();
        resolve(asking.result[0]);
      };
    };
  });
}
