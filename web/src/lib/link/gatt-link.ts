// What every link over a phone's Bluetooth has in common, since every stack under it has the same traps
// (docs/protocols/link.md, section 6). Each operation is raced with a timeout and the end of the link, since it may never
// be answered; there is one at a time, since Android refuses more; and after any failure the link is settled (waited for
// until it is down) before another is opened, since "connected" lies for a moment.
import { profile } from '../core';
import { pause } from '../pause';
import { type CardDoor, type CardLink, LinkError, type LinkTrouble } from './card-link';

/** Longest wait for one operation of GATT, ms: pairing may ask the user. */
export const OPERATION_MS = 8_000;
export const PAIR_MS = 60_000;
export const CONNECT_MS = 12_000;
/** Longest wait for the end of a link, ms. */
export const SETTLE_MS = 1_500;

/** UUIDs of the card's service and what is in it. */
export interface Profile {
  service: string;
  info: string;
  request: string;
  response: string;
  bond: string;
}

export function profileIds(): Profile {
  return JSON.parse(profile()) as Profile;
}

/** How long after an operation that failed the link may turn out to be the reason, ms. */
const REASON_MS = 500;

/** A link that can be begun, and then is a card's. */
export abstract class GattLink implements CardLink {
  readonly closed: Promise<void>;
  #isOver = false;
  #hasFailed = false;
  #end!: () => void;
  #last: Promise<unknown> = Promise.resolve();

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Connects, and finds what a card has. */
  abstract begin(): Promise<void>;
  abstract readInfo(): Promise<Uint8Array>;
  abstract pair(): Promise<void>;
  abstract write(value: Uint8Array): Promise<void>;
  abstract subscribe(heard: (value: Uint8Array) => void): Promise<void>;
  /** Tells the phone's Bluetooth that this link is to end; need not wait until it has. */
  protected abstract letGo(): Promise<void>;

  async close(): Promise<void> {
    if (this.#isOver) return;
    await this.letGo();
    await this.within(SETTLE_MS, this.closed);
    this.ended();
  }

  /** Whoever opens the link calls this when it is down. */
  protected ended(): void {
    this.#isOver = true;
    this.#end();
  }

  /** Waits for something that may fail or never settle. */
  protected async within(longest: number, work: Promise<unknown>): Promise<void> {
    await Promise.race([work.catch(() => {}), pause(longest)]);
  }

  /** One at a time, never for ever, and none after one that has failed. */
  protected async raced<T>(trouble: LinkTrouble, longest: number, work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const done = (async () => {
      await before.catch(() => {});
      if (this.#isOver || this.#hasFailed) throw new LinkError('link_lost');
      const ended = this.closed.then(() => Promise.reject(new LinkError('link_lost')));
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new LinkError('link_stalled')), longest);
      });
      try {
        return await Promise.race([work(), ended, late]);
      } catch (error) {
        this.#hasFailed = true;
        if (error instanceof LinkError) throw error;
        // Of a link that breaks, what was under way fails first: that says nothing of the card or the pairing.
        const isTelling = trouble === 'pairing' || trouble === 'not_a_card';
        const lost = this.closed.then(() => true);
        if (isTelling && (await Promise.race([lost, pause(REASON_MS)]))) throw new LinkError('link_lost', error);
        throw new LinkError(trouble, error);
      } finally {
        clearTimeout(timer);
      }
    })();
    this.#last = done;
    return done;
  }
}

/** A card that was chosen: one link to it at a time. */
export class GattDoor implements CardDoor {
  #open: GattLink | undefined;

  constructor(
    readonly name: string,
    private readonly make: () => GattLink,
  ) {}

  async connect(): Promise<CardLink> {
    await this.#open?.close();
    const link = this.make();
    this.#open = link;
    try {
      await link.begin();
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  }
}

export function bytes(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
