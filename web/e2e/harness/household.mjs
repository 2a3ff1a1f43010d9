// @ts-check
/**
 * A household with all servers, started for one test and gone with it: `testbed serve` (docs/testbed.md), and its
 * commands as functions. It ends when this process ends, however that happens.
 */
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';

const repository = path.resolve(import.meta.dirname, '../../..');
const target = process.env.CARGO_TARGET_DIR ?? path.join(repository, 'target');
/** Where the programs are, as `cargo build` leaves them. */
export const programs = path.join(target, 'debug');
const program = path.join(programs, 'testbed');

/** How long all parts may take to stop. */
const STOP_MAX_MS = 60_000;

/** @typedef {'provider'|'company'|'pay'|'cloud'|'radio'|'bus'|'meter'|'neighbour-meter'|'card'|'neighbour-card'|'bluez'|'bridge'} Part */
/** @typedef {{ meter: string, card: string, card_name: string, card_address: string }} House */
/** @typedef {{ total: number, last_seq: number }} MeterNow */
/**
 * @typedef {object} Facts
 * @property {string} run_dir Where keys, data and logs are.
 * @property {Record<string, string>} urls Of the servers, by part.
 * @property {Record<string, string>} logs Of all parts, by part.
 * @property {string} bus `DBUS_SYSTEM_BUS_ADDRESS` for a browser.
 * @property {string} faults Where the radio is told to misbehave.
 * @property {House} home
 * @property {House|null} neighbour
 * @property {{ address: string, demo_link: string }|null} bridge
 */

/** ATT opcodes at which the radio can cut the link ({@link Household.cutOn}). */
export const ATT = {
  findServices: 0x10,
  read: 0x0a,
  writeRequest: 0x12,
  writeResponse: 0x13,
  indication: 0x1d,
};

export class Household {
  /** @type {Facts} */
  facts;
  #child;
  #answers;
  #said = '';
  /** @type {{ part: Part, status: string, log: string }[]} */
  #died = [];
  /** @type {Promise<number|null>} */
  #exited;
  /** One command at a time: each line is answered by one. */
  #turn = Promise.resolve();

  /**
   * @param {import('node:child_process').ChildProcessWithoutNullStreams} child
   */
  constructor(child) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('close', resolve);
      child.once('error', (error) => {
        this.#said += `${error}\n`;
        resolve(null);
      });
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (this.#said += text));
    // What is written to a program that has ended is missed when its answer is.
    child.stdin.on('error', () => {});
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.facts = /** @type {any} */ (null);
  }

  /**
   * Starts everything, and waits until it is ready.
   * @param {object} [options]
   * @param {boolean} [options.neighbour] A second meter and card on the same radio.
   * @param {boolean} [options.bridge] The bridge, for browsers without Bluetooth.
   * @param {number} [options.speed] Seconds of the meter's time in one of ours; 0 (the default) lets its time stand.
   * @param {number} [options.daysLived] Days of the household's life that the meter and card know of.
   * @param {number} [options.attMtu] What the browser's Bluetooth asks for, 23 to 517.
   * @param {boolean} [options.slowSerial] Between cards and meters, bytes take the time that they take at 2400 8E1.
   * @param {number} [options.quoteValidS] How long a payment may be begun for a quote, s.
   * @param {string} [options.runDir] A folder that is kept, for a look at the logs; otherwise all goes at the end.
   */
  static async start({
    neighbour = false,
    bridge = false,
    speed = 0,
    daysLived = 0,
    attMtu,
    slowSerial = false,
    quoteValidS,
    runDir,
  } = {}) {
    const words = ['serve', '--speed', String(speed), '--days-lived', String(daysLived)];
    if (neighbour) words.push('--neighbour');
    if (bridge) words.push('--bridge');
    if (attMtu !== undefined) words.push('--att-mtu', String(attMtu));
    if (slowSerial) words.push('--slow-serial');
    if (quoteValidS !== undefined) words.push('--quote-valid-s', String(quoteValidS));
    if (runDir !== undefined) words.push('--run-dir', runDir);
    // A group of its own: a Ctrl-C at the terminal reaches the test alone, which then ends this in order.
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const household = new Household(child);
    household.facts = await household.#next('its start');
    return household;
  }

  /** @param {string} what */
  async #next(what) {
    const { value, done } = await this.#answers.next();
    if (done) {
      const code = await this.#exited;
      throw new Error(`${program} ended with ${code} instead of answering ${what}:\n${this.#said}`);
    }
    const answer = JSON.parse(value);
    if (answer.ok !== true) throw new Error(`${what} was refused: ${answer.error}`);
    return answer;
  }

  /**
   * One command, as docs/testbed.md lists them.
   * @param {Record<string, unknown>} request
   * @returns {Promise<any>}
   */
  command(request) {
    const answer = this.#turn.then(() => {
      const line = JSON.stringify(request);
      this.#child.stdin.write(`${line}\n`);
      return this.#next(line);
    });
    this.#turn = answer.then(
      () => {},
      () => {},
    );
    return answer;
  }

  // ---- parts

  /** @param {Part} part */
  start = (part) => this.command({ op: 'start', part });
  /** SIGTERM. @param {Part} part */
  stop = (part) => this.command({ op: 'stop', part });
  /** SIGKILL. @param {Part} part */
  kill = (part) => this.command({ op: 'kill', part });
  /** SIGKILL where it runs, and a new start on the same ports. @param {Part} part */
  restart = (part) => this.command({ op: 'restart', part });
  /** The part stands still: alive, and answers nothing. @param {Part} part */
  freeze = (part) => this.command({ op: 'signal', part, signal: 'STOP' });
  /** @param {Part} part */
  thaw = (part) => this.command({ op: 'signal', part, signal: 'CONT' });
  /** The parts that have ended by themselves, with the ends of their logs. */
  async died() {
    this.#died.push(...(await this.command({ op: 'ended' })).ended);
    return this.#died;
  }
  /** The switch for Bluetooth in the phone's settings. @param {boolean} on */
  bluetooth = (on) => this.command({ op: 'signal', part: 'bluez', signal: on ? 'USR2' : 'USR1' });

  // ---- radio (testbed/radio.py lists the faults)

  /** @param {Record<string, unknown>} request */
  radio = (request) => this.command({ op: 'radio', request });
  /**
   * Cuts the link at an ATT PDU, before or (`deliver`) after it is carried. `skip` lets so many pass first.
   * @param {number} att One of {@link ATT}.
   * @param {{ skip?: number, deliver?: boolean }} [options]
   */
  cutOn = (att, { skip = 0, deliver = false } = {}) => this.radio({ op: 'cut_on', att, skip, deliver });
  /** Ends every link now. */
  cut = () => this.radio({ op: 'kill' });
  /** Nothing is carried while it is on. @param {boolean} on */
  blackhole = (on) => this.radio({ op: 'set', blackhole: on });
  /** No more faults. */
  radioWell = () => this.radio({ op: 'reset' });

  // ---- meter

  /**
   * A person at the meter (docs/protocols/meter-control.md), like `{ op: 'press' }`.
   * @param {Record<string, unknown>} request
   * @param {{ neighbour?: boolean }} [options]
   */
  meter = (request, { neighbour = false } = {}) => this.command({ op: 'meter', request, neighbour });
  /** @returns {Promise<MeterNow>} */
  async meterNow() {
    const { total, last_seq } = await this.command({ op: 'meter_now' });
    return { total, last_seq };
  }

  // ---- servers and money

  /**
   * Asks a server as anyone may.
   * @param {Part} part @param {string} method @param {string} path @param {unknown} [body]
   * @returns {Promise<{ status: number, body: any }>}
   */
  ask = (part, method, path, body) => this.command({ op: 'ask', part, method, path, body });
  /** How the payment provider misbehaves from now on; what is left out is off. @param {object} faults */
  providerFaults = (faults) => this.ask('provider', 'PUT', '/sandbox/faults', faults);
  /** What the provider knows of an order. @param {string} number */
  order = (number) => this.ask('provider', 'GET', `/sandbox/orders/${number}`);
  /** Pays, as a person at the cashier's page does. @param {string} link That of the vend's payment request. */
  pay = (link) => this.command({ op: 'pay', link });
  /**
   * What must hold at the end of each vend: the cloud shows it accepted, and the meter has exactly the amount, once.
   * @param {string} vendId @param {MeterNow} before @param {number} fen
   */
  expectAccepted = (vendId, before, fen) => this.command({ op: 'expect_accepted', vend_id: vendId, before, fen });
  /** The payment server's trial balance, as text. @returns {Promise<string>} */
  async book() {
    return (await this.command({ op: 'book' })).book;
  }

  /** A new folder that goes with the household. @param {string} name */
  folder = (name) => mkdtemp(path.join(this.facts.run_dir, `${name}-`));

  /**
   * Stops everything.
   * @throws When a part had died by itself, or one does not stop in order.
   */
  async close() {
    const died = await this.died();
    this.#child.stdin.end();
    const late = AbortSignal.timeout(STOP_MAX_MS);
    const code = await new Promise((resolve, reject) => {
      late.addEventListener('abort', () => reject(new Error(`the household does not stop:\n${this.#said}`)));
      this.#exited.then(resolve);
    });
    if (died.length > 0) throw new Error(`parts died by themselves: ${JSON.stringify(died, null, 1)}`);
    if (code !== 0) throw new Error(`the household ended with ${code}:\n${this.#said}`);
  }
}
