// @ts-check
/**
 * A made-up household for pictures: meters, readings and vends as the page would have saved them. Statements are signed with
 * keys of this file, and everything goes through the page's own core, so nothing is shown that the core would not believe.
 */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { TopUp, Trust, initSync, status as statusIn } from '../../src/core/gas_phone_wasm.js';

const CORE = new URL('../../src/core/gas_phone_wasm_bg.wasm', import.meta.url);
const UNITS = { fen: 1, centi_cubic_metre: 2 };
const TARIFF = { version: 1, bounds_centi_m3: [35000, 50000], prices_fen_per_m3: [261, 283, 423] };
const YEAR_START = 100_000;

/** When all pictures are taken. */
export const NOW = Date.UTC(2026, 10, 24, 10, 8);
export const DAY = 86_400_000;

/** @param {string | Uint8Array} bytes */
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
/** @param {number} nth */
const made = (nth) => Uint8Array.from({ length: 10 }, (_, place) => (nth * 37 + place * 11) & 0xff);

class Signer {
  /** @param {string} who */
  constructor(who) {
    this.who = who;
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    this.privateKey = privateKey;
    this.public = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
    this.id = sha256(Buffer.from(this.public, 'hex')).slice(0, 16);
  }
  /** @param {string} kind @param {object} statement */
  sign(kind, statement) {
    const header = `{"alg":"EdDSA","kid":"${this.id}","typ":"pilotlight-${kind}+jws"}`;
    const signed = [header, JSON.stringify(statement)].map((part) => Buffer.from(part).toString('base64url')).join('.');
    return `${signed}.${sign(null, Buffer.from(signed), this.privateKey).toString('base64url')}`;
  }
}

/** A message of bytes. */
class Writer {
  /** @type {number[]} */
  bytes = [];
  /** @param {number} value @param {number} length */
  number(value, length) {
    for (let place = length - 1; place >= 0; place -= 1) this.bytes.push(Math.floor(value / 256 ** place) & 0xff);
    return this;
  }
  /** @param {number} value */
  signed = (value) => this.number(value < 0 ? value + 2 ** 32 : value, 4);
  /** @param {number} type @param {string} meter */
  head(type, meter) {
    this.bytes.push(1, type, 1, ...Buffer.from(meter, 'hex'));
    return this;
  }
  /** @param {number} length */
  filler(length) {
    for (let place = 0; place < length; place += 1) this.bytes.push((place * 29 + 7) & 0xff);
    return this;
  }
  hex = () => Buffer.from(this.bytes).toString('hex');
}

export class World {
  #company = new Signer('company');
  #pay = new Signer('pay');
  #trust;
  #made = 0;

  /** @param {Trust} trust @param {{ company: Signer, pay: Signer }} signers */
  constructor(trust, { company, pay }) {
    this.#trust = trust;
    this.#company = company;
    this.#pay = pay;
    this.keys = JSON.stringify({ company: company.public, pay: pay.public });
  }

  static async make() {
    initSync({ module: await readFile(CORE) });
    const signers = { company: new Signer('company'), pay: new Signer('pay') };
    return new World(new Trust(JSON.stringify({ company: signers.company.public, pay: signers.pay.public })), signers);
  }

  /** A meter with its readings. `use`: 0.01 m³ on a day so long ago.
   * @param {{ meter: string, name?: string, unit: 'fen' | 'centi_cubic_metre', balance: number, days: number,
   *   use: (ago: number) => number, flags?: number, battery?: number, readAgo?: number, price?: number }} wanted */
  meter({ meter, name, unit, balance, days, use, flags = 0, battery = 87, readAgo = 3 * 3600_000, price = 1 }) {
    const midnight = Date.UTC(2026, 10, 23, 16);
    /** @type {Record<string, string>} */
    const records = {};
    let register = YEAR_START + 4_000;
    let left = balance;
    for (let ago = days; ago > 0; ago -= 1) left += Math.floor(use(ago) * price);
    let number = 0;
    const keep = (/** @type {number} */ ms) => {
      number += 1;
      records[number] = new Writer()
        .head(0xc1, meter)
        .number(number, 4)
        .number(ms / 1000, 4)
        .number(register, 4)
        .signed(left)
        .number(flags, 2)
        .filler(8)
        .hex();
    };
    for (let ago = days; ago >= 0; ago -= 1) {
      keep(midnight - ago * DAY);
      const used = ago === 0 ? 60 : use(ago);
      const hours = ago < 3 ? 6 : 0;
      for (let nth = 1; nth <= hours; nth += 1) {
        const part = Math.floor((used * nth) / 8) - Math.floor((used * (nth - 1)) / 8);
        register += part;
        left -= Math.floor(part * price);
        if (ago > 0 || nth < 3) keep(midnight - ago * DAY + nth * 3600_000 * 2);
      }
      const rest = used - Math.floor((used * hours) / 8);
      register += ago === 0 ? 0 : rest;
      left -= ago === 0 ? 0 : Math.floor(rest * price);
    }
    const bytes = this.#status({ meter, balance, register, flags, battery, at: NOW - readAgo });
    return {
      meter,
      ...(name ? { name } : {}),
      card_name: `Pilotlight-${meter.slice(-6)}`,
      history: JSON.stringify({ meter, records, uploaded: number, fetched: number, begun: [number, number] }),
      status: {
        bytes,
        shown: JSON.parse(statusIn(Buffer.from(bytes, 'hex'))),
        read_at_ms: NOW - readAgo,
        unsent: false,
      },
      is_enrolled: true,
      cloud: {
        meter,
        state: {
          unit,
          balance,
          register_centi_m3: register,
          flags,
          battery_percent: battery,
          believed_at_ms: NOW - readAgo,
        },
        vends: [],
      },
    };
  }

  /** @param {{ meter: string, balance: number, register: number, flags?: number, battery?: number, at: number }} state */
  #status({ meter, balance, register, flags = 0, battery = 87, at }) {
    const writer = new Writer().head(0xc0, meter).filler(8).number(0, 4).filler(4).number(0, 4).number(0, 4);
    writer
      .signed(balance)
      .number(register, 4)
      .number(Math.floor(at / 1000), 4)
      .number(flags, 2);
    return writer.number(battery, 1).filler(10).filler(16).hex();
  }

  /**
   * A vend that has come this far.
   * @param {{ meter: string, state: string, want: { amount_fen: number } | { volume_centi_m3: number }, at: number,
   *   unit?: 'fen' | 'centi_cubic_metre', balance?: number, bought?: number, agreed?: boolean,
   *   declined?: boolean, obstacle?: object }} wanted
   */
  vend({
    meter,
    state,
    want,
    at,
    unit = 'centi_cubic_metre',
    balance = 900,
    bought = 30_000,
    agreed = true,
    declined = false,
    obstacle,
  }) {
    this.#made += 1;
    const register = YEAR_START + bought - 900;
    const status = this.#status({ meter, balance, register, at });
    const topUp = TopUp.begin(meter, JSON.stringify(want), at, made(this.#made));
    const done = (/** @type {string | undefined} */ why) => {
      if (why !== undefined) throw new Error(why);
    };
    if (state !== 'none') {
      done(topUp.status_read(Buffer.from(status, 'hex'), this.#trust));
      const vend = this.#vendJson(topUp.id, {
        meter,
        state,
        want,
        at,
        unit,
        balance,
        bought,
        register,
        status,
        ...(obstacle ? { obstacle } : {}),
      });
      const { vend_id, quote, quote_hash } = vend;
      const timeline = vend.timeline.slice(0, 1);
      const offered = { vend_id, meter, want, state: 'quoted', version: 1, quote, quote_hash, timeline };
      done(topUp.vend_shown(JSON.stringify(offered), this.#trust));
      if (declined) done(topUp.declined(this.#trust));
      else if (agreed) {
        done(topUp.agreed(at, this.#trust));
        done(topUp.vend_shown(JSON.stringify(vend), this.#trust));
      }
    }
    const saved = {
      vend_id: topUp.id,
      meter,
      begun_at_ms: at,
      saved: topUp.save(),
      is_over: declined || ['accepted', 'refunded'].includes(state),
    };
    const { ending } = JSON.parse(topUp.next(this.#trust));
    return ending?.receipt ? { ...saved, receipt: ending.receipt } : saved;
  }

  /** @param {string} id @param {any} wanted */
  #vendJson(id, { meter, state, want, at, unit, balance, bought, register, status, obstacle }) {
    const explanation = explain({ unit, balance, bought, register, want });
    const { payable_fen, credit } = explanation;
    const quote = this.#company.sign('quote', {
      vend_id: id,
      meter,
      explanation,
      last_seq: 0,
      meter_time: Math.floor(at / 1000),
      status_sha256: sha256(Buffer.from(status, 'hex')),
      created_at_ms: at,
      valid_until_ms: at + 30 * 60_000,
    });
    const way = ['quoted', 'tender_requested', 'tender_confirmed', 'token_issued', 'delivered', 'accepted'];
    const all =
      state === 'expired' ? ['quoted', 'tender_requested', 'expired'] : [...way, 'refund_pending', 'refunded'];
    const timeline = all.slice(0, all.indexOf(state) + 1).map((one, nth) => ({ state: one, at_ms: at + nth * 41_000 }));
    const has = (/** @type {string} */ one) => timeline.some((step) => step.state === one);
    const names = { vend_id: id, meter };
    const hash = sha256(quote);
    const order_no = `PL20261124${String(this.#made).padStart(6, '0')}`;
    const payment = this.#pay.sign('payment', {
      ...names,
      quote_hash: hash,
      amount_fen: payable_fen,
      currency: 'CNY',
      provider: 'sandbox',
      order_no,
      transaction_id: `42000020261124${this.#made}`,
      paid_at_ms: at + 80_000,
    });
    const total = credit * 3;
    const seq = 0x01000003;
    const token = new Writer()
      .head(1, meter)
      .number(seq, 4)
      .number(UNITS[/** @type {'fen'} */ (unit)], 1)
      .number(total, 4);
    token
      .signed(credit)
      .number(77, 3)
      .number(1, 2)
      .number(Math.floor(at / 1000), 4);
    token.bytes.push(...Buffer.from(id.replaceAll('-', ''), 'hex').subarray(-8));
    token.filler(16);
    const receipt = new Writer().head(0x81, meter).number(0, 1).number(1, 1).number(seq, 4).filler(4).number(total, 4);
    receipt
      .number(0, 4)
      .signed(balance + credit)
      .number(register, 4)
      .number(Math.floor(at / 1000) + 200, 4)
      .number(2, 2)
      .filler(16);
    const settlement = this.#company.sign('settlement', {
      ...names,
      seq,
      evidence: 'receipt_applied',
      message_sha256: sha256(Buffer.from(receipt.bytes)),
      last_seq: seq,
      total,
      balance: balance + credit,
      register_centi_m3: register,
      settled_at_ms: at + 205_000,
    });
    const issue = this.#company.sign('issue', {
      ...names,
      quote_hash: hash,
      payment_sha256: sha256(payment),
      amount_fen: payable_fen,
      seq,
      unit,
      total,
      credit,
      token_sha256: sha256(Buffer.from(token.bytes)),
      issued_at_ms: at + 123_000,
    });
    const refund_id = id.replace(/^.{8}/, '019fffff');
    const refund_order = this.#company.sign('refund-order', {
      refund_id,
      ...names,
      payment_sha256: sha256(payment),
      amount_fen: payable_fen,
      seq: seq + 1,
      message_sha256: sha256(Buffer.from(receipt.bytes)),
      ordered_at_ms: at + 300_000,
    });
    const refunded = this.#pay.sign('refunded', {
      refund_id,
      ...names,
      order_sha256: sha256(refund_order),
      provider: 'sandbox',
      provider_refund_id: `5030000${this.#made}`,
      amount_fen: payable_fen,
      refunded_at_ms: at + 400_000,
    });
    /** @type {any} */
    const vend = { ...names, want, state, version: timeline.length, quote, quote_hash: hash, timeline };
    if (has('tender_requested')) vend.consented_at_ms = at + 30_000;
    if (state === 'tender_requested') vend.payment_request = paymentRequest(payable_fen, 'h5');
    if (has('tender_confirmed')) Object.assign(vend, { payment });
    if (has('token_issued')) Object.assign(vend, { issue, token: token.hex() });
    if (has('delivered')) Object.assign(vend, { receipt: receipt.hex() });
    if (has('accepted')) Object.assign(vend, { settlement });
    if (has('refund_pending')) Object.assign(vend, { refund_order });
    if (has('refunded')) Object.assign(vend, { refunded });
    if (obstacle) vend.obstacle = obstacle;
    return vend;
  }
}

/** @param {number} amount_fen @param {'h5' | 'native'} presentation */
export function paymentRequest(amount_fen, presentation) {
  const code = presentation === 'native' ? { code_url: 'weixin://wxpay/bizpayurl?pr=Zk39xJ0pLq' } : {};
  const link = 'https://pay.example/cashier?prepay_id=wx24101';
  return { provider: 'sandbox', presentation, ...code, link, amount_fen, expires_at_ms: NOW + 15 * 60_000 };
}

/** The arithmetic of gas-tariff, as far as the pictures need it. @param {any} given */
function explain({ unit, balance, bought, register, want }) {
  const { bounds_centi_m3: bounds, prices_fen_per_m3: prices } = TARIFF;
  const basis = {
    unit,
    register_centi_m3: register,
    year_start_register_centi_m3: YEAR_START,
    purchased_this_year_centi_m3: bought,
    undelivered: 0,
    balance,
  };
  const ends = [...bounds, Infinity];
  const arrears = Math.max(0, -balance);
  const affordable = (/** @type {number} */ from, /** @type {number} */ budget) => {
    let at = from;
    for (const [nth, end] of ends.entries()) {
      const taken = Math.max(0, Math.min(end - at, Math.floor(budget / (prices[nth] ?? 1))));
      at += taken;
      budget -= taken * (prices[nth] ?? 1);
      if (at < end) break;
    }
    return at - from;
  };
  /** @type {object[]} */
  const lines = [];
  let sum = 0;
  const push = (
    /** @type {any} */ kind,
    /** @type {number} */ from,
    /** @type {number} */ to,
    /** @type {number} */ price,
    amount = (to - from) * price,
  ) => {
    sum += amount;
    lines.push({ kind, from_centi_m3: from, to_centi_m3: to, price_fen_per_m3: price, amount_centi_fen: amount });
  };
  const gas = (/** @type {number} */ from, /** @type {number} */ to, /** @type {any} */ kind) => {
    let at = from;
    for (const [nth, end] of ends.entries()) {
      const until = Math.min(end, to);
      if (until > at) push(kind ?? { tier: nth + 1 }, at, until, prices[nth] ?? 0);
      at = Math.max(at, until);
    }
  };
  let position;
  let payable;
  let credit;
  if (unit === 'fen') {
    position = register - YEAR_START + affordable(register - YEAR_START, Math.max(0, balance) * 100);
    payable = want.amount_fen;
    const owed = Math.min(arrears * 100, payable * 100);
    if (owed > 0) push('arrears', position, position, 0, owed);
    const end = position + affordable(position, payable * 100 - owed);
    gas(position, end, undefined);
    if (payable * 100 > sum) push('rounding', end, end, 0, payable * 100 - sum);
    credit = payable;
  } else {
    position = Math.max(bought, register - YEAR_START - arrears);
    credit = 'amount_fen' in want ? affordable(position, want.amount_fen * 100) : arrears + want.volume_centi_m3;
    const fresh = position + Math.min(arrears, credit);
    gas(position, fresh, 'arrears');
    gas(fresh, position + credit, undefined);
    payable = Math.ceil(sum / 100);
    if (payable * 100 > sum) push('rounding', position + credit, position + credit, 0, payable * 100 - sum);
  }
  return { tariff: TARIFF, basis, want, position_centi_m3: position, lines, payable_fen: payable, credit };
}
