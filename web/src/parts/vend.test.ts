import { describe, expect, it } from 'vitest';

import type { Quote, TopUpShown, Vend, VendState } from '../lib/core';
import { Format } from '../lib/format';
import { flags } from '../lib/core';
import { grouped, stateOf as meterStateOf, tierOf } from './meter';
import { payloadOf } from './receipt';
import { stagesOf } from './timeline';
import { creditOf, stateOf } from './vend';

const NOW = Date.UTC(2026, 10, 24);
const quote: Quote = {
  vend_id: '01',
  meter: '20261100000101',
  explanation: {
    tariff: { version: 1, bounds_centi_m3: [35_000, 50_000], prices_fen_per_m3: [261, 283, 423] },
    basis: { unit: 'centi_cubic_metre', register_centi_m3: 131_000, balance: 900 },
    want: { amount_fen: 10_000 },
    position_centi_m3: 34_000,
    lines: [
      {
        kind: { tier: 1 },
        from_centi_m3: 34_000,
        to_centi_m3: 35_000,
        price_fen_per_m3: 261,
        amount_centi_fen: 261_000,
      },
      {
        kind: { tier: 2 },
        from_centi_m3: 35_000,
        to_centi_m3: 37_600,
        price_fen_per_m3: 283,
        amount_centi_fen: 735_800,
      },
    ],
    payable_fen: 9_968,
    credit: 3_600,
  },
  meter_time: NOW / 1000,
  created_at_ms: NOW,
  valid_until_ms: NOW + 1,
};

function shown(states: VendState[], payment?: string): TopUpShown {
  const vend: Vend = {
    vend_id: '01',
    meter: quote.meter,
    want: quote.explanation.want,
    state: states.at(-1) ?? 'quoted',
    version: states.length,
    quote: '',
    quote_hash: '',
    timeline: states.map((state, nth) => ({ state, at_ms: NOW + nth })),
    ...(payment === undefined ? {} : { payment }),
  };
  const rest = {
    vend_id: '01',
    meter: quote.meter,
    want: vend.want,
    begun_at_ms: NOW,
    is_open: true,
    may_be_paid: false,
  };
  return states.length === 0 ? rest : { ...rest, vend, quote };
}

const saved = { vend_id: '01', meter: quote.meter, begun_at_ms: NOW, saved: '', is_over: false };
const payment = ['e30', btoa(JSON.stringify({ order_no: 'PL1' })).replace(/=+$/, ''), ''].join('.');

describe('a vend', () => {
  it('is told by its state, and without payment by its end', () => {
    expect(stateOf({ saved, shown: shown([]) })).toBe('none');
    expect(stateOf({ saved, shown: shown(['quoted']) })).toBe('quoted');
    expect(stateOf({ saved: { ...saved, is_over: true }, shown: shown(['quoted']) })).toBe('declined');
    expect(stateOf({ saved: { ...saved, is_over: true }, shown: shown(['quoted', 'accepted']) })).toBe('accepted');
  });

  it('is worth what it brings, or what was asked for', () => {
    const format = new Format('zh-CN');
    expect(creditOf(shown(['quoted']), format)).toBe('36.00 m³');
    expect(creditOf(shown([]), format)).toBe('¥100.00');
  });
});

describe('the timeline', () => {
  const names = (one: TopUpShown, isOver = false) => stagesOf(one, isOver).map((stage) => stage.state);

  it('shows what was reached and what is to come', () => {
    const stages = stagesOf(shown(['quoted', 'tender_requested', 'tender_confirmed'], payment), false);
    expect(stages.map((stage) => stage.at_ms !== undefined)).toEqual([true, true, true, true, false, false, false]);
    expect(stages.find((stage) => stage.is_now)).toMatchObject({ state: 'tender_confirmed', order: 'PL1' });
  });

  it('ends where nothing more comes', () => {
    expect(names(shown(['quoted']), true)).toEqual(['begun', 'quoted']);
    expect(names(shown(['quoted', 'tender_requested', 'expired']))).toEqual([
      'begun',
      'quoted',
      'tender_requested',
      'expired',
    ]);
  });

  it('shows the way back without what never was', () => {
    const back = shown(['quoted', 'tender_requested', 'tender_confirmed', 'refund_pending'], payment);
    expect(names(back)).toEqual([
      'begun',
      'quoted',
      'tender_requested',
      'tender_confirmed',
      'refund_pending',
      'refunded',
    ]);
  });
});

describe('the tier', () => {
  it('goes by the newest quote, and by its end once that was paid', () => {
    expect(tierOf(quote.meter, [shown(['quoted'])], NOW)).toMatchObject({ tier: 1, left_centi_m3: 1_000 });
    const paid = shown(['quoted', 'tender_confirmed'], payment);
    expect(tierOf(quote.meter, [paid], NOW)).toMatchObject({ tier: 2, price_fen_per_m3: 283, left_centi_m3: 12_400 });
  });

  it('is not known of another meter, nor in another year', () => {
    expect(tierOf('00000000000000', [shown(['quoted'])], NOW)).toBeUndefined();
    expect(tierOf(quote.meter, [shown(['quoted'])], NOW + 60 * 86_400_000)).toBeUndefined();
  });
});

describe('a meter', () => {
  const status = {
    meter: quote.meter,
    last_seq: 0,
    total: 0,
    balance: 5,
    register_centi_m3: 9,
    meter_time: 0,
    battery_percent: 80,
  };
  const read = (bits: number) => ({
    meter: quote.meter,
    history: '',
    status: { bytes: '', shown: { ...status, flags: bits }, read_at_ms: NOW, unsent: false },
  });

  it('is as the phone read it, or as the company heard of it later', () => {
    const told = {
      meter: quote.meter,
      unit: 'fen' as const,
      balance: 7,
      total: 9,
      last_seq: 1,
      register_centi_m3: 9,
      meter_time: 0,
      flags: 0,
      believed_at_ms: NOW + 1,
      old: false,
      message_sha256: '00'.repeat(32),
    };
    const known = { ...read(0), cloud: { vends: [], state: told } };
    expect(meterStateOf(known, [])).toMatchObject({ balance: 7, unit: 'fen', from: 'company', battery_percent: 80 });
    told.believed_at_ms = NOW - 1;
    expect(meterStateOf(known, [])).toMatchObject({ balance: 5, unit: 'fen', from: 'phone' });
  });

  it('has a valve that is open, closed, ready or faulty', () => {
    const valve = (bits: number) => meterStateOf(read(bits), [])?.valve;
    expect(valve(0)).toBe('open');
    expect(valve(flags.valveClosed)).toBe('closed');
    expect(valve(flags.valveClosed | flags.valveArmed)).toBe('ready');
    expect(valve(flags.valveClosed | flags.valveFault)).toBe('fault');
  });

  it('has a number in groups', () => {
    expect(grouped('20261100000101')).toBe('2026 1100 0001 01');
  });
});

it('reads what a statement says, in any letters', () => {
  const text = JSON.stringify({ provider: '微信支付' });
  const payload = btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const url = payload.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  expect(payloadOf(`e30.${url}.x`)).toEqual({ provider: '微信支付' });
});
