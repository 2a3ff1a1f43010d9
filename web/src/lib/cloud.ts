// The cloud, as this page asks it.
import type { components } from './api';
import type { PhoneKey, Problem, Sent } from './core';
import { Live } from './live';

/** Longest that one question takes, ms: the cloud's own limit is 30 s. */
const ANSWER_MS = 40_000;
/** How long one look at a vend waits for news, ms; the cloud takes at most 25 s. */
const NEWS_MS = 20_000;

/** The cloud gave no answer that can be used: nothing is lost, ask again by the same id. */
export class CloudError extends Error {
  constructor(
    /** `unreachable`: whether it did anything is unknown. `not_now`: it says so itself. `refused`: it will not. */
    readonly kind: 'unreachable' | 'not_now' | 'refused',
    readonly problem?: Problem,
    cause?: unknown,
  ) {
    super(`cloud: ${kind}${problem ? ` (${problem.code})` : ''}`, { cause });
    this.name = 'CloudError';
  }
}

/** An answer about a vend is news of it, or a refusal. */
export type VendAnswer = { vend: string } | { problem: string };

type Schemas = components['schemas'];
export type Enrolment = Sent<Schemas['Enrolment']>;
export type VendSummary = Sent<Schemas['VendSummary']>;
export type MeterShown = Sent<Schemas['Meter']>;

export class Cloud {
  readonly #live = new Live();

  constructor(private readonly key: PhoneKey) {}

  /** Asked for without a phone's key. */
  static keys(): Promise<string> {
    return send('GET', '/v1/keys', undefined, {});
  }

  async nonce(meter: string): Promise<string> {
    const wanted = { meter, phone_key: this.key.id() };
    return (JSON.parse(await this.#text('POST', '/v1/nonces', wanted)) as { ask: string }).ask;
  }

  /** Where the meter was not read for it, who asks must be known at the meter. */
  begin(id: string, wanted: Schemas['VendWanted']): Promise<VendAnswer> {
    return asVend(wanted.status ? this.#text('PUT', vendPath(id), wanted) : this.#signed('PUT', vendPath(id), wanted));
  }

  openTender(id: string, asked: Schemas['TenderAsked']): Promise<VendAnswer> {
    return this.#vend('POST', id, '/tender', asked);
  }

  confirm(id: string, consent: Schemas['Consent']): Promise<VendAnswer> {
    return this.#vend('POST', id, '/confirmation', consent);
  }

  putReceipt(id: string, receipt: Schemas['ReceiptDelivered']): Promise<VendAnswer> {
    return this.#vend('PUT', id, '/receipt', receipt);
  }

  /** The vend as it stands (`afterVersion` 0), or as soon as there is news. */
  async follow(id: string, afterVersion: number, signal?: AbortSignal): Promise<VendAnswer> {
    if (afterVersion > 0) {
      const vend = await this.#live.after(id, afterVersion, signal);
      if (vend !== undefined) return { vend };
    }
    const wait = afterVersion === 0 ? 0 : NEWS_MS;
    return await this.#vend('GET', id, `?after_version=${afterVersion}&wait_ms=${wait}`, undefined, signal);
  }

  /** No vend is followed any more. */
  unfollow(): void {
    this.#live.close();
  }

  async enrol(meter: string, status: string): Promise<Enrolment> {
    const path = `/v1/enrolments/${this.key.id()}`;
    return JSON.parse(await this.#signed('PUT', path, { meter, status })) as Enrolment;
  }

  async forget(meter: string): Promise<void> {
    await this.#signed('DELETE', `/v1/enrolments/${this.key.id()}`, { meter });
  }

  async putTokenReceipt(meter: string, seq: number, receipt: string): Promise<{ waiting?: string }> {
    const path = `/v1/meters/${meter}/tokens/${seq}/receipt`;
    return JSON.parse(await this.#text('PUT', path, { receipt })) as { waiting?: string };
  }

  async putRecords(meter: string, records: string[]): Promise<void> {
    await this.#signed('PUT', `/v1/meters/${meter}/records`, { records });
  }

  /** Without its records, which are here already or come from the card. */
  async meter(meter: string): Promise<MeterShown> {
    return JSON.parse(await this.#signed('GET', `/v1/meters/${meter}?records=false`)) as MeterShown;
  }

  /** Ask messages with which this phone can read a meter where there is no internet. */
  async asks(meter: string, count: number): Promise<Sent<Schemas['Asks']>> {
    const answer = await this.#signed('POST', `/v1/meters/${meter}/asks`, { count });
    return JSON.parse(answer) as Sent<Schemas['Asks']>;
  }

  #vend(method: string, id: string, rest: string, body?: object, signal?: AbortSignal): Promise<VendAnswer> {
    return asVend(this.#text(method, `${vendPath(id)}${rest}`, body, signal));
  }

  /** A request that proves which phone sends it. */
  #signed(method: string, path: string, body?: object): Promise<string> {
    const json = body && JSON.stringify(body);
    const header = this.key.header(method, path, new TextEncoder().encode(json ?? ''), Date.now());
    return send(method, path, json, { 'Pilotlight-Phone': header });
  }

  #text(method: string, path: string, body?: object, signal?: AbortSignal): Promise<string> {
    return send(method, path, body && JSON.stringify(body), {}, signal);
  }
}

async function send(
  method: string,
  path: string,
  json: string | undefined,
  headers: Record<string, string>,
  signal?: AbortSignal,
): Promise<string> {
  const limit = AbortSignal.timeout(ANSWER_MS);
  const request: RequestInit = {
    method,
    headers: json ? { ...headers, 'Content-Type': 'application/json' } : headers,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    cache: 'no-store',
  };
  if (json) request.body = json;
  let status: number;
  let text: string;
  let isOurs: boolean;
  try {
    const response = await fetch(path, request);
    status = response.status;
    text = await response.text();
    isOurs = text === '' || /\bjson\b/.test(response.headers.get('Content-Type') ?? '');
  } catch (error) {
    throw new CloudError('unreachable', undefined, error);
  }
  // A network that wants to be logged in to answers with a page of its own.
  if (status >= 200 && status < 300 && isOurs) return text;
  const problem = problemIn(text);
  if (!problem) throw new CloudError('unreachable', undefined, new Error(`HTTP ${status}`));
  throw new CloudError(status >= 500 || status === 429 ? 'not_now' : 'refused', problem);
}

function vendPath(id: string): string {
  return `/v1/vends/${id}`;
}

/** A refusal is an answer, too. */
async function asVend(answer: Promise<string>): Promise<VendAnswer> {
  try {
    return { vend: await answer };
  } catch (error) {
    if (error instanceof CloudError && error.kind === 'refused') return { problem: JSON.stringify(error.problem) };
    throw error;
  }
}

function problemIn(text: string): Problem | undefined {
  try {
    const problem = JSON.parse(text) as Partial<Problem>;
    return typeof problem.code === 'string' && typeof problem.detail === 'string' ? (problem as Problem) : undefined;
  } catch {
    return undefined;
  }
}
