// @ts-check
/** The page `pages/link.html` in a tab: a phone's side of the link by hand, and what a card must answer it. */
import assert from 'node:assert/strict';

/** Section 2 of link.md: what a page can know of its MTU is nothing. */
export const UNKNOWN_MTU = 20;

export class LinkPage {
  #tab;
  #house;

  /**
   * @param {import('./browser.mjs').Tab} tab
   * @param {import('./household.mjs').House} house Whose card is to answer.
   */
  constructor(tab, house) {
    this.#tab = tab;
    this.#house = house;
  }

  /** A function of the page. @param {string} name @param {unknown} [argument] @returns {Promise<any>} */
  #call = (name, argument) =>
    this.#tab.run(
      (/** @type {{ name: string, argument: unknown }} */ { name, argument }) =>
        /** @type {any} */ (globalThis).link[name](argument),
      { name, argument },
    );

  open = () => this.#call('open');
  leave = () => this.#call('leave');
  readInfo = () => this.#call('readInfo');
  readBond = () => this.#call('readBond');
  /** @param {number} valueMax */
  hello = (valueMax) => this.#call('hello', valueMax);

  /** Presses the button, and waits for what came of it. @param {RegExp} outcome */
  async find(outcome) {
    await this.#tab.page.click('#find');
    await this.shows(outcome);
  }

  /** Waits until the page says so. @param {RegExp} state */
  shows = (state) => this.#tab.page.locator('#state').filter({ hasText: state }).waitFor();

  /** Hello and CARD, answered as the house's card must. @param {number} [valueMax] @param {number} [agreed] */
  async exchange(valueMax = UNKNOWN_MTU, agreed = valueMax) {
    const greeted = await this.hello(valueMax);
    assert.deepEqual(greeted, { version: 1, valueMax: agreed, messageMax: 1024, window: 4 });
    const told = await this.#call('askCard');
    assert.equal(told.status, 0);
    assert.equal(told.meterKnown, true);
    assert.equal(told.meter, this.#house.meter);
    return told;
  }

  /** Does the exchange, which must fail, since the link does. */
  exchangeFails = () => assert.rejects(this.exchange());

  /** What a phone does after every failure; then everything must work again. */
  async recover() {
    await this.#call('settle');
    await this.open();
    await this.exchange();
  }
}
