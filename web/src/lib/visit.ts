// What this phone does at a meter besides vends: a fresh status, presence, stored readings, and what the gas company has
// for the meter.
import type { Cloud } from './cloud';
import { CloudError } from './cloud';
import {
  CardRequest,
  type CardResponse,
  Carry,
  type CarryStep,
  History,
  type MeterStatus,
  type Unapplied,
  cardCode,
  fromHex,
  random,
  status as statusIn,
  toHex,
} from './core';
import type { Card } from './link/card';
import { CardError } from './link/card-link';
import { pause } from './pause';
import type { KnownMeter, Store } from './store';

/** Most tokens that one visit carries, and most questions to the card about one. */
const CARRIED_MAX = 8;
const ASKS_MAX = 30;

/** How many ask messages are kept for reading without internet, and how few make this phone fetch others. */
const ASKS_KEPT = 4;
const ASKS_LOW = 1;

export type Visited = { status: string; shown: MeterStatus };

/** How far a visit is. */
export type Progress =
  { doing: 'pairing' | 'asking_meter' | 'carrying' | 'uploading' } | { doing: 'fetching'; left: number };

/** Reads the meter until it has all that the company has for it: the status then. Readings that could not be passed on are
 * left for another time: paying needs none of them. A `brief` visit of a phone that is enrolled asks the cloud for a nonce
 * and nothing else: the quote that follows tells whether the meter lacks something. */
export async function visit(
  card: Card,
  cloud: Cloud,
  store: Store,
  tell: (progress: Progress) => void,
  isBrief = false,
): Promise<Visited> {
  const meter = card.meter;
  if (meter === null) throw new CardError(cardCode.meterSilent, 'the card has not heard its meter yet');
  for (let carried = 0; carried < CARRIED_MAX; carried += 1) {
    const { isAhead, ...visited } = await readStatus(card, cloud, store, meter, tell);
    const known = await store.changeMeter(
      meter,
      (known) => {
        const enough = isBrief && known.is_enrolled === true && !isAhead;
        known.card_name = card.info.card_name;
        known.status = { bytes: visited.status, shown: visited.shown, read_at_ms: Date.now(), unsent: !enough };
      },
      () => ({ meter, history: new History(meter).save() }),
    );
    const enough = known?.status?.unsent === false;
    let waiting: string | undefined;
    try {
      await fetchReadings(card, store, meter, tell);
      if (enough) return visited;
      waiting = await enrol(cloud, store, meter, visited.status);
      if (waiting === undefined) await upload(cloud, store, meter, tell);
    } catch (error) {
      if (error instanceof CloudError && error.problem?.waiting !== undefined) waiting = error.problem.waiting;
      else if (error instanceof CloudError) return visited;
      else throw error;
    }
    if (waiting === undefined) return visited;
    tell({ doing: 'carrying' });
    await carry(card, cloud, meter, waiting);
  }
  throw new Error('the gas company has ever more data for this meter; ask it what is wrong');
}

async function readStatus(
  card: Card,
  cloud: Cloud,
  store: Store,
  meter: string,
  tell: (p: Progress) => void,
): Promise<Visited & { isAhead: boolean }> {
  tell({ doing: 'pairing' });
  await card.pair();
  const { ask: hex, isAhead } = await askFor(cloud, store, meter);
  const ask = fromHex(hex);
  tell({ doing: 'asking_meter' });
  const first = CardRequest.status(random(8), ask);
  let answer: CardResponse = await card.askPatiently(() => CardRequest.status(random(8), ask));
  if (first.under_its_key(random(8), answer)) {
    const refusal = answer;
    answer = await card.askPatiently(() => first.under_its_key(random(8), refusal) ?? first);
  }
  if (answer.code !== cardCode.ok) throw new CardError(answer.code, answer.words);
  const body = answer.body;
  return { status: toHex(body), shown: JSON.parse(statusIn(body)) as MeterStatus, isAhead };
}

/** A fresh ask message; or where the cloud gives none now one of those fetched ahead, which is used up before it is used. */
async function askFor(cloud: Cloud, store: Store, meter: string): Promise<{ ask: string; isAhead: boolean }> {
  try {
    return { ask: await cloud.nonce(meter), isAhead: false };
  } catch (error) {
    if (!(error instanceof CloudError) || error.kind === 'refused') throw error;
    let ahead: Ahead | undefined;
    await store.changeMeter(meter, (known) => {
      [ahead, ...known.asks] = liveAsks(known);
    });
    if (!ahead) throw error;
    return { ask: ahead.ask, isAhead: true };
  }
}

type Ahead = NonNullable<KnownMeter['asks']>[number];

function liveAsks(known: KnownMeter): Ahead[] {
  return (known.asks ?? []).filter((one) => one.expires_at_ms > Date.now());
}

/** Sees to it that this meter can be read without internet. */
export async function fetchAsks(cloud: Cloud, store: Store, meter: string): Promise<void> {
  const known = await store.meter(meter);
  if (!known?.is_enrolled) return;
  const left = liveAsks(known).length;
  if (left > ASKS_LOW) return;
  const { asks, expires_at_ms } = await cloud.asks(meter, ASKS_KEPT - left);
  await store.changeMeter(meter, (known) => {
    known.asks = [...liveAsks(known), ...asks.map((ask) => ({ ask, expires_at_ms }))];
  });
}

async function fetchReadings(card: Card, store: Store, meter: string, tell: (p: Progress) => void): Promise<void> {
  const known = await store.meter(meter);
  if (!known) return;
  const history = History.load(known.history);
  const save = () =>
    store.changeMeter(meter, (known) => {
      known.history = history.save();
    });
  try {
    history.visit(card.reportBytes);
    for (let request = history.request(random(8)); request; request = history.request(random(8))) {
      tell({ doing: 'fetching', left: history.left });
      const wanted = request;
      const answer = await card.askPatiently(() => wanted);
      if (answer.code !== cardCode.ok) throw new CardError(answer.code, answer.words);
      history.keep(answer);
      // A link that breaks off costs the rest only.
      await save();
    }
    history.fetched_all(card.reportBytes);
    await save();
  } finally {
    history.free();
  }
}

/** Proof of presence; what the meter lacks, if anything. */
async function enrol(cloud: Cloud, store: Store, meter: string, status: string): Promise<string | undefined> {
  const enrolment = await cloud.enrol(meter, status);
  await store.changeMeter(meter, (known) => {
    if (known.status?.bytes === status) known.status.unsent = false;
    known.is_enrolled = true;
  });
  return enrolment.waiting;
}

/** Why a status will never be taken any more. */
const USELESS = ['nonce_not_live', 'message_forged', 'message_malformed', 'other_meter'];

/** Passes on what was read without internet. What waits for the meter comes with its next reading. */
export async function passOn(cloud: Cloud, store: Store, meter: string): Promise<void> {
  const status = (await store.meter(meter))?.status;
  if (status?.unsent) {
    try {
      await enrol(cloud, store, meter, status.bytes);
    } catch (error) {
      if (!(error instanceof CloudError && USELESS.includes(error.problem?.code ?? ''))) throw error;
      await store.changeMeter(meter, (known) => {
        if (known.status?.bytes === status.bytes) known.status.unsent = false;
      });
    }
  }
  await upload(cloud, store, meter);
}

/** Passes on what the cloud lacks; also later, from anywhere with internet. */
async function upload(
  cloud: Cloud,
  store: Store,
  meter: string,
  tell: (progress: Progress) => void = () => {},
): Promise<void> {
  for (;;) {
    const known = await store.meter(meter);
    if (!known?.is_enrolled) return;
    const records = withHistory(known, (history) => JSON.parse(history.to_upload()) as string[]);
    if (records.length === 0) return;
    tell({ doing: 'uploading' });
    await cloud.putRecords(meter, records);
    await store.changeMeter(meter, (known) => {
      withHistory(known, (history) => {
        history.uploaded(JSON.stringify(records));
        known.history = history.save();
      });
    });
  }
}

function withHistory<T>(known: KnownMeter, work: (history: History) => T): T {
  const history = History.load(known.history);
  try {
    return work(history);
  } finally {
    history.free();
  }
}

/** Delivers one token and what follows it. What is not done is given out again with the next status. */
async function carry(card: Card, cloud: Cloud, meter: string, first: string): Promise<void> {
  let next: string | undefined = first;
  for (let carried = 0; next !== undefined && carried < CARRIED_MAX; carried += 1) {
    next = await deliver(card, cloud, meter, next);
  }
}

async function deliver(card: Card, cloud: Cloud, meter: string, token: string): Promise<string | undefined> {
  const carry = new Carry(meter, token);
  try {
    for (let asks = 0; asks < ASKS_MAX; asks += 1) {
      const step = JSON.parse(carry.next()) as CarryStep;
      switch (step.step) {
        case 'name_delivery':
          carry.name_delivery(random(8));
          break;
        case 'ask_card': {
          await pause(step.after_ms);
          const request = carry.card_request();
          if (!request) break;
          const why = carry.card_answered(await card.ask(request));
          if (why !== undefined) throw new Error((JSON.parse(why) as Unapplied).detail);
          break;
        }
        case 'upload':
          return (await cloud.putTokenReceipt(meter, step.seq, step.receipt)).waiting;
        case 'read_again':
          return undefined;
      }
    }
  } finally {
    carry.free();
  }
  throw new Error("the card does not tell what became of the gas company's data; it is left for another time");
}
