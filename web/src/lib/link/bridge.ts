// The card through a bridge (docs/protocols/bridge.md): one WebSocket is one link. Loaded only in a demo.
import { fromHex, toHex } from '../core';
import { pause } from '../pause';
import { type CardDoor, type CardLink, LinkError, type LinkTrouble, type Radio } from './card-link';

const PROTOCOL = 'pilotlight-bridge-1';

/** Longest waits, ms: the bridge has deadlines of its own, which are shorter, after 5 s for its turn. */
const CARDS_MS = 15_000;
const CONNECT_MS = 25_000;
const OPERATION_MS = 8_000;
const PAIR_MS = 25_000;
/** Longest wait for the end of a link, ms. */
const SETTLE_MS = 1_500;

/** Close codes of the bridge that say more than that the link is over. */
const BUSY = 4002;

/** A card that the bridge has heard. */
export interface InReach {
  card: string;
  name: string;
  rssi: number;
}

type Request =
  | { op: 'cards' }
  | { op: 'connect'; card: string }
  | { op: 'read_info' }
  | { op: 'pair' }
  | { op: 'write'; value: string };

interface Answers {
  cards: InReach[];
  connected: true;
  info: Uint8Array;
  paired: true;
  written: true;
}

const TROUBLES: readonly string[] = [
  'bluetooth_off',
  'out_of_reach',
  'link_lost',
  'not_a_card',
  'pairing',
  'link_stalled',
] satisfies LinkTrouble[];

export class Bridge implements Radio {
  readonly available = true;

  /** `choice` lets the user choose among several cards; none is a no. */
  constructor(
    private readonly origin: string,
    private readonly choice: (cards: InReach[]) => Promise<InReach | undefined>,
  ) {}

  remembered(): Promise<CardDoor[]> {
    return Promise.resolve([]);
  }

  async choose(): Promise<CardDoor> {
    const line = new Line(this.origin);
    let cards: InReach[];
    try {
      cards = await line.ask({ op: 'cards' }, 'cards', CARDS_MS);
    } finally {
      await line.close();
    }
    if (cards.length === 0) throw new LinkError('out_of_reach');
    const chosen = cards.length === 1 ? cards[0] : await this.choice(cards);
    if (!chosen) throw new LinkError('cancelled');
    return new BridgeDoor(this.origin, chosen);
  }
}

class BridgeDoor implements CardDoor {
  #open: BridgeLink | undefined;

  constructor(
    private readonly origin: string,
    private readonly chosen: InReach,
  ) {}

  get name(): string {
    return this.chosen.name;
  }

  async connect(): Promise<CardLink> {
    await this.#open?.close();
    const line = new Line(this.origin);
    const link = new BridgeLink(line);
    this.#open = link;
    try {
      await line.ask({ op: 'connect', card: this.chosen.card }, 'connected', CONNECT_MS);
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  }
}

class BridgeLink implements CardLink {
  readonly closed: Promise<void>;

  constructor(private readonly line: Line) {
    this.closed = line.closed;
  }

  readInfo(): Promise<Uint8Array> {
    return this.line.ask({ op: 'read_info' }, 'info', OPERATION_MS);
  }

  async pair(): Promise<void> {
    await this.line.ask({ op: 'pair' }, 'paired', PAIR_MS);
  }

  async write(value: Uint8Array): Promise<void> {
    await this.line.ask({ op: 'write', value: toHex(value) }, 'written', OPERATION_MS);
  }

  /** The bridge has subscribed before it said that the link is up. */
  async subscribe(heard: (value: Uint8Array) => void): Promise<void> {
    this.line.heard = heard;
  }

  close(): Promise<void> {
    return this.line.close();
  }
}

/** What is waited for: the answer's event, and who waits. */
interface Waiting {
  event: keyof Answers;
  take: (answer: Answers[keyof Answers]) => void;
  fail: (error: LinkError) => void;
}

/** One WebSocket: one request at a time, never for ever, and over for good after the first failure. */
class Line {
  heard: ((value: Uint8Array) => void) | undefined;
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  #settle!: () => void;
  #over: LinkError | undefined;
  #waiting: Waiting | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(origin: string) {
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    const socket = new WebSocket(`${origin}/v1/card`, PROTOCOL);
    this.#socket = socket;
    let wasOpen = false;
    this.#opened = new Promise((resolve) => {
      socket.addEventListener('open', () => {
        wasOpen = true;
        resolve();
      });
    });
    socket.addEventListener('message', ({ data }) => this.#told(data));
    socket.addEventListener('close', ({ code }) => {
      // A page is not told why a WebSocket never opened.
      this.#end(new LinkError(!wasOpen ? 'bridge_away' : code === BUSY ? 'bridge_busy' : 'link_lost'));
      this.#settle();
    });
  }

  ask<E extends keyof Answers>(request: Request, event: E, longest: number): Promise<Answers[E]> {
    const before = this.#last;
    const done = (async () => {
      await before.catch(() => {});
      const late = setTimeout(() => this.#end(new LinkError('link_stalled')), longest);
      try {
        return await new Promise<Answers[E]>((resolve, reject) => {
          if (this.#over) {
            reject(this.#over);
            return;
          }
          this.#waiting = { event, take: (answer) => resolve(answer as Answers[E]), fail: reject };
          void this.#opened.then(() => this.#socket.send(JSON.stringify(request)));
        });
      } finally {
        clearTimeout(late);
        this.#waiting = undefined;
      }
    })();
    this.#last = done;
    return done;
  }

  async close(): Promise<void> {
    this.heard = undefined;
    this.#end(new LinkError('link_lost'));
    await Promise.race([this.closed, pause(SETTLE_MS)]);
    this.#settle();
  }

  /** Nothing is asked from now on; whoever waits hears why. */
  #end(error: LinkError): void {
    if (this.#over) return;
    this.#over = error;
    this.#waiting?.fail(error);
    this.#socket.close();
  }

  #told(data: unknown): void {
    if (this.#over) return;
    const told = parse(data);
    if (!told) this.#end(new LinkError('link_lost', new Error('the bridge says what is not understood')));
    else if (told.event === 'heard') this.heard?.(told.answer);
    else if (told.event === 'failed') this.#end(told.error);
    else if (told.event === this.#waiting?.event) this.#waiting.take(told.answer);
    else this.#end(new LinkError('link_lost', new Error(`the bridge says ${told.event} unasked`)));
  }
}

type Told =
  | { event: 'heard'; answer: Uint8Array }
  | { event: 'failed'; error: LinkError }
  | { [E in keyof Answers]: { event: E; answer: Answers[E] } }[keyof Answers];

/** One message of the bridge; none where it is not one. */
function parse(data: unknown): Told | undefined {
  let told: Record<string, unknown>;
  try {
    told = JSON.parse(String(data)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  switch (told?.['event']) {
    case 'cards':
      return Array.isArray(told['cards']) && told['cards'].every(isInReach)
        ? { event: 'cards', answer: told['cards'] }
        : undefined;
    case 'connected':
    case 'paired':
    case 'written':
      return { event: told['event'], answer: true };
    case 'info':
    case 'heard':
      return isHex(told['value']) ? { event: told['event'], answer: fromHex(told['value']) } : undefined;
    case 'failed': {
      const trouble = String(told['trouble']);
      const known = TROUBLES.includes(trouble) ? (trouble as LinkTrouble) : 'link_lost';
      return { event: 'failed', error: new LinkError(known, new Error(String(told['detail']))) };
    }
    default:
      return undefined;
  }
}

function isInReach(one: unknown): one is InReach {
  const { card, name } = (one ?? {}) as Partial<Record<keyof InReach, unknown>>;
  return typeof card === 'string' && typeof name === 'string';
}

function isHex(value: unknown): value is string {
  return typeof value === 'string' && /^(?:[0-9a-f]{2})*$/.test(value);
}
