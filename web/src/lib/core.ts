// The phone's core (crates/gas-phone-wasm) and the TypeScript of the JSON that it gives out.
import init, { type TopUp, type Trust } from '../core/gas_phone_wasm.js';
import type { components } from './api';
import type { VendAnswer } from './cloud';

export {
  CardRequest,
  CardResponse,
  Carry,
  Exchange,
  History,
  PhoneKey,
  TopUp,
  Trust,
  card_report,
  info,
  profile,
  prove,
  status,
} from '../core/gas_phone_wasm.js';

let started: Promise<unknown> | undefined;

/** Loads the core once. Everything else here needs it. */
export async function startCore(): Promise<void> {
  started ??= init();
  await started;
}

/** Fen, 0.01 m³, ms and hexadecimal are what their names say; all numbers are integers. */
type Schemas = components['schemas'];

/** As the cloud sends it: what there is none of is left out, never null. */
export type Sent<T> = T extends (infer E)[]
  ? Sent<E>[]
  : T extends object
    ? { [K in keyof T]: Sent<Exclude<T[K], null>> }
    : T;

export type Want = Sent<Schemas['Want']>;
export type VendState = Schemas['VendState'];
export type Presentation = Schemas['Presentation'];
export type PaymentRequest = Sent<Schemas['PaymentRequest']>;
export type Problem = Sent<Schemas['Problem']>;
export type Vend = Sent<Schemas['Vend']>;
export type Unit = Schemas['Unit'];

export interface QuoteLine {
  kind: 'arrears' | 'rounding' | { tier: number };
  from_centi_m3: number;
  to_centi_m3: number;
  price_fen_per_m3: number;
  /** 0.01 fen. */
  amount_centi_fen: number;
}

export interface Quote {
  vend_id: string;
  meter: string;
  explanation: {
    tariff: { version: number; bounds_centi_m3: [number, number]; prices_fen_per_m3: number[] };
    basis: { unit: Unit; register_centi_m3: number; balance: number };
    want: Want;
    position_centi_m3: number;
    lines: QuoteLine[];
    payable_fen: number;
    credit: number;
  };
  /** When the meter told what it rests on, seconds since 1970, by the meter's clock. */
  meter_time: number;
  created_at_ms: number;
  valid_until_ms: number;
}

/** A vend as this phone remembers it, with its quote, which was verified. */
export interface TopUpShown {
  vend_id: string;
  meter: string;
  want: Want;
  begun_at_ms: number;
  is_open: boolean;
  may_be_paid: boolean;
  vend?: Vend;
  quote?: Quote;
}

export interface ReceiptFile {
  format: string;
  vend_id: string;
  meter: string;
  quote: string;
  payment: string;
  issue?: string;
  settlement?: string;
  token?: string;
  receipt?: string;
  refund_order?: string;
  refunded?: string;
}

export type Ending =
  | { ending: 'accepted'; receipt: ReceiptFile }
  | { ending: 'refund_pending'; receipt: ReceiptFile }
  | { ending: 'refunded'; receipt: ReceiptFile }
  | { ending: 'declined' }
  | { ending: 'refused'; problem: Problem }
  | { ending: 'expired' };

export type Step =
  | { step: 'read_status' }
  | { step: 'begin'; body: Schemas['VendWanted'] }
  | { step: 'offer' }
  | { step: 'open_tender'; body: Schemas['Consent']; after_ms: number }
  | { step: 'pay'; request: PaymentRequest }
  | { step: 'confirm'; body: Schemas['Consent'] }
  | { step: 'follow'; after_version: number }
  | { step: 'name_delivery' }
  | { step: 'ask_card'; after_ms: number }
  | { step: 'upload_receipt'; body: Schemas['ReceiptDelivered'] }
  | { step: 'end'; ending: Ending };

export type CarryStep =
  | { step: 'name_delivery' }
  | { step: 'ask_card'; after_ms: number }
  | { step: 'upload'; seq: number; receipt: string }
  | { step: 'read_again' };

/** Why an event changed nothing. */
export interface Unapplied {
  code: 'distrust' | 'refused' | 'other_meter' | 'meter_refused' | 'card' | 'unexpected';
  detail: string;
  problem?: Problem;
  meter?: string;
}

export interface MeterStatus {
  meter: string;
  last_seq: number;
  total: number;
  balance: number;
  register_centi_m3: number;
  /** Seconds since 1970, by the meter's clock. */
  meter_time: number;
  flags: number;
  battery_percent: number;
}

/** Bits of a status's flags (docs/protocols/token.md). */
export const flags = {
  valveClosed: 0x01,
  valveArmed: 0x02,
  batteryLow: 0x04,
  clockLost: 0x08,
  tampered: 0x10,
  valveFault: 0x20,
} as const;

export interface CardReport {
  firmware: [number, number, number];
  meter: string | null;
  answered_s_ago: number | null;
}

export interface CardInfo {
  card_name: string;
  needs_pairing: boolean;
  token_waits: boolean;
  meter_answered: boolean;
}

export interface Reading {
  number: number;
  /** Seconds since 1970, by the meter's clock. */
  time: number;
  register_centi_m3: number;
  balance: number;
}

/** Card status codes that the page acts on (docs/protocols/link.md section 4). */
export const cardCode = {
  ok: 0x00,
  inProgress: 0x01,
  busy: 0x15,
  pairingRequired: 0x17,
  meterSilent: 0x20,
  wrongMeter: 0x22,
  meterGarbled: 0x23,
} as const;

/** What to do next for a vend. */
export function stepOf(topUp: TopUp, trust: Trust): Step {
  return JSON.parse(topUp.next(trust)) as Step;
}

/** A vend as it is shown. */
export function shownOf(topUp: TopUp, trust: Trust): TopUpShown {
  return JSON.parse(topUp.view(trust)) as TopUpShown;
}

/** Takes note of the cloud's answer about a vend; why it changed nothing, if so. */
export function takeAnswer(topUp: TopUp, answer: VendAnswer, trust: Trust): string | undefined {
  return 'vend' in answer ? topUp.vend_shown(answer.vend, trust) : topUp.refused(answer.problem, trust);
}

/** Random bytes, for ids. */
export function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
