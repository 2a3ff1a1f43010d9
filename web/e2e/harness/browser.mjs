// @ts-check
/**
 * A phone's browser for one test: Chromium with a profile of its own, its Bluetooth on the household's radio.
 *
 * Nothing stands between the page and Chromium's own Web Bluetooth. The chooser, which a person would see, is answered
 * over the DevTools protocol.
 */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SMALL_PHONE = { width: 360, height: 640 };
/** Off by default on Linux. */
const WEB_BLUETOOTH = '--enable-blink-features=WebBluetooth';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export class Browser {
  #context;
  #profile;
  #isKilled = false;
  /** @type {Tab[]} */
  #tabs = [];
  /** @type {RegExp[]} */
  #expected = [];
  /** @type {string[]} Errors in the console and errors that nobody caught, of every page. */
  errors = [];

  /** @param {import('playwright-core').BrowserContext} context @param {string} profile */
  constructor(context, profile) {
    this.#context = context;
    this.#profile = profile;
    context.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(`${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => this.errors.push(`not caught: ${error.error().stack ?? error.error()}`));
  }

  /**
   * @param {import('./household.mjs').Household} household
   * @param {object} [options]
   * @param {string} [options.profile] A folder for a browser that comes back ({@link Household.folder}); otherwise a new
   *   one. Either goes with the household.
   * @param {string} [options.locale] What the phone speaks.
   * @param {{ width: number, height: number }} [options.viewport]
   * @param {boolean} [options.bluetooth] Whether pages have Web Bluetooth, as those of many phones have not.
   */
  static async launch(household, { profile, locale = 'zh-CN', viewport = SMALL_PHONE, bluetooth = true } = {}) {
    const temporary = await household.folder('temporary');
    const own = profile ?? (await household.folder('browser'));
    const context = await chromium.launchPersistentContext(own, {
      executablePath,
      headless: true,
      args: bluetooth ? [WEB_BLUETOOTH, ...FLAGS] : FLAGS,
      artifactsDir: temporary,
      // No session bus: Chromium would start one, and look there for a keyring.
      env: {
        ...process.env,
        TMPDIR: temporary,
        DBUS_SYSTEM_BUS_ADDRESS: bluetooth ? household.facts.bus : 'disabled:',
        DBUS_SESSION_BUS_ADDRESS: 'disabled:',
      },
      viewport,
      isMobile: true,
      hasTouch: true,
      locale,
      timezoneId: 'Asia/Shanghai',
    });
    return new Browser(context, own);
  }

  /** Opens an address in a tab. @param {string} url */
  async open(url) {
    // A persistent context comes with one tab.
    const page = this.#tabs.length === 0 ? this.#context.pages()[0] : await this.#context.newPage();
    const tab = await Tab.of(page);
    this.#tabs.push(tab);
    await page.goto(url);
    return tab;
  }

  /**
   * From now on pages take this browser for a native shell. The shell's Bluetooth plugin finds no native half, and falls
   * back on Web Bluetooth.
   */
  pretendToBeAShell = () =>
    this.#context.addInitScript(() => Object.assign(globalThis, { Capacitor: { isNativePlatform: () => true } }));

  /** Errors that are part of what a test does, like those of requests while a server is down. @param {RegExp} pattern */
  expectErrors(pattern) {
    this.#expected.push(pattern);
  }

  /** The network of all tabs and service workers. @param {boolean} offline */
  async offline(offline) {
    await this.#context.setOffline(offline);
    for (const tab of this.#tabs) await tab.emulateNetwork({ offline });
  }

  /** SIGKILL to all of it, as when the phone's battery is empty: nothing is saved that was not saved before. */
  async kill() {
    const gone = new Promise((resolve) => this.#context.once('close', resolve));
    // Its processes are one group.
    process.kill(-(await groupWith(`--user-data-dir=${this.#profile}`)), 'SIGKILL');
    this.#isKilled = true;
    await gone;
  }

  /**
   * Ends the browser, where it was not killed.
   * @throws When there was an error that was not expected.
   */
  async close() {
    if (!this.#isKilled) await this.#context.close();
    const unexpected = this.errors.filter((error) => !this.#expected.some((pattern) => pattern.test(error)));
    assert.deepEqual(unexpected, [], 'errors in the browser');
  }
}

/** The group of the processes that were started with these words. @param {string} words */
async function groupWith(words) {
  for (const id of await readdir('/proc')) {
    const started = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (!started.includes(words)) continue;
    // proc_pid_stat(5): pid (comm) state ppid pgrp
    const [, group] = /\) \S+ \d+ (\d+)/.exec(await readFile(`/proc/${id}/stat`, 'utf8')) ?? [];
    if (group !== undefined) return Number(group);
  }
  throw new Error(`no process was started with ${words}`);
}

export class Tab {
  /** @type {import('playwright-core').Page} */
  page;
  /** Answers the chooser of `navigator.bluetooth.requestDevice()`. */
  chooser;
  #devtools;
  #network = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };

  /**
   * @param {import('playwright-core').Page} page
   * @param {import('playwright-core').CDPSession} devtools
   */
  constructor(page, devtools) {
    this.page = page;
    this.#devtools = devtools;
    this.chooser = new Chooser(devtools);
  }

  /** @param {import('playwright-core').Page} page */
  static async of(page) {
    const devtools = await page.context().newCDPSession(page);
    const tab = new Tab(page, devtools);
    await tab.chooser.watch();
    await devtools.send('Network.enable');
    return tab;
  }

  /**
   * A slow network for this tab.
   * @param {{ latencyMs?: number, downBytesPerS?: number, upBytesPerS?: number }} conditions What is left out is not slowed.
   */
  slowNetwork = ({ latencyMs = 0, downBytesPerS = -1, upBytesPerS = -1 }) =>
    this.emulateNetwork({ latency: latencyMs, downloadThroughput: downBytesPerS, uploadThroughput: upBytesPerS });

  /**
   * Of two DevTools sessions that emulate a network one wins, so this one knows all.
   * @param {{ offline?: boolean, latency?: number, downloadThroughput?: number, uploadThroughput?: number }} news
   */
  async emulateNetwork(news) {
    Object.assign(this.#network, news);
    if (!this.page.isClosed()) await this.#devtools.send('Network.emulateNetworkConditions', this.#network);
  }

  /** A slow processor. @param {number} times 4 is a cheap phone, 1 ends it. */
  slowProcessor = (times) => this.#devtools.send('Emulation.setCPUThrottlingRate', { rate: times });

  /**
   * Runs in the page; counts as something that a person does.
   * @template A, R
   * @param {(argument: A) => R | Promise<R>} work @param {A} [argument]
   * @returns {Promise<R>}
   */
  run = (work, argument) => this.page.evaluate(/** @type {any} */ (work), argument);
}

/**
 * The chooser, answered exactly once per request: a second answer is an error of Chromium's.
 *
 * Without a wish it chooses the first card whose name begins with Pilotlight-, as soon as one is there.
 */
class Chooser {
  #devtools;
  /** @type {((name: string) => boolean) | 'cancel'} */
  #wish = isCard;
  /** @type {Set<string>} */
  #answered = new Set();
  /** @type {Map<string, { id: string, name: string }[]>} Of each request not answered yet. */
  #open = new Map();
  /** @type {((found: boolean) => void)[]} */
  #waiting = [];
  /** @type {string[]} Names of all devices that were ever offered. */
  offered = [];
  /** How many requests were answered. */
  get answers() {
    return this.#answered.size;
  }

  /** @param {import('playwright-core').CDPSession} devtools */
  constructor(devtools) {
    this.#devtools = devtools;
  }

  async watch() {
    this.#devtools.on('DeviceAccess.deviceRequestPrompted', ({ id, devices }) => {
      if (this.#answered.has(id)) return;
      this.#open.set(id, devices);
      for (const { name } of devices) if (!this.offered.includes(name)) this.offered.push(name);
      this.#answer();
    });
    await this.#devtools.send('DeviceAccess.enable');
  }

  /** From now on chooses the device of this name. @param {string} name */
  choose(name) {
    this.#wish = (offered) => offered === name;
    this.#answer();
  }

  /** From now on chooses any card. */
  chooseAny() {
    this.#wish = isCard;
    this.#answer();
  }

  /** From now on does nothing: the chooser stays open until another wish. */
  hesitate() {
    this.#wish = () => false;
  }

  /** From now on cancels. */
  cancel() {
    this.#wish = 'cancel';
    this.#answer();
  }

  /** Waits until a chooser is open that was not answered yet. Use with {@link hesitate}. */
  async opened() {
    if (this.#open.size === 0) await new Promise((resolve) => this.#waiting.push(resolve));
  }

  #answer() {
    for (const resolve of this.#waiting.splice(0)) resolve(true);
    for (const [id, devices] of this.#open) {
      const wish = this.#wish;
      if (wish === 'cancel') {
        this.#send(id, 'DeviceAccess.cancelPrompt', { id });
        continue;
      }
      const chosen = devices.find(({ name }) => wish(name));
      if (chosen) this.#send(id, 'DeviceAccess.selectPrompt', { id, deviceId: chosen.id });
    }
  }

  /** @param {string} id @param {any} method @param {any} parameters */
  #send(id, method, parameters) {
    this.#answered.add(id);
    this.#open.delete(id);
    // A page that has gone took its chooser along.
    this.#devtools.send(method, parameters).catch(() => {});
  }
}

/** @param {string} name */
function isCard(name) {
  return name.startsWith('Pilotlight-');
}
