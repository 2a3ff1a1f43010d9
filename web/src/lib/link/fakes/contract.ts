// What every radio owes to those who use it, whatever carries it (card-link.ts).
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { ChooserWords } from '../capacitor';
import { type CardDoor, type CardLink, LinkError, type LinkTrouble, type Radio } from '../card-link';
import { BONDED, FakeCard, IDS, INFO, type Operation, refused, unanswered } from './card';

/** What a radio finds. */
export interface Air {
  card: FakeCard | undefined;
  /** What the phone, or its user, says when a card is to be chosen. */
  fate: 'chosen' | 'cancelled' | 'off' | 'forbidden';
}

/** As `core` gives it, without WebAssembly. */
export const core = { profile: () => JSON.stringify(IDS) };

export const WORDS: ChooserWords = { scanning: '', cancel: '', availableDevices: '', noDeviceFound: '' };

/** A failure may turn out to be the link's end within this, ms. */
export const REASON_MS = 500;
/** Longer than anything may take that is not asked of the user, ms. */
const LONG_MS = 20_000;
/** Longest that a link takes to end when nobody says that it has. */
const END_MS = 10_000;

let air: Air;
let radio: Radio;
let card: FakeCard;

async function reached(): Promise<CardLink> {
  return await (await radio.choose()).connect();
}

/** What went wrong, once so much time has passed. */
export async function troubleOf(work: Promise<unknown>, afterMs = 0): Promise<LinkTrouble> {
  const caught = work.then(
    () => new Error('nothing went wrong'),
    (error: unknown) => error,
  );
  await vi.advanceTimersByTimeAsync(afterMs);
  const error = await caught;
  if (error instanceof LinkError) return error.trouble;
  throw error;
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await vi.advanceTimersByTimeAsync(0);
  return settled;
}

/** The tests of a radio; `make` may only begin when the world that it lives in is up. */
export function fulfilsTheContract(world: Air, make: () => Promise<Radio>): void {
  beforeEach(async () => {
    vi.useFakeTimers();
    const kept = new Map<string, string>();
    vi.stubGlobal('localStorage', {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => kept.set(name, value),
    });
    air = world;
    card = new FakeCard();
    Object.assign(air, { card, fate: 'chosen' });
    radio = await make();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  describe('choosing a card', choosing);
  describe('a link', working);
  describe('a link that fails', failing);
  describe('a card that does not do as it should', refusing);
  describe('the end of a link', ending);
}

function choosing(): void {
  it('gives its door, with its name', async () => {
    expect(radio.available).toBe(true);
    expect((await radio.choose()).name).toBe(card.name);
  });

  for (const [fate, trouble] of [
    ['cancelled', 'cancelled'],
    ['off', 'bluetooth_off'],
    ['forbidden', 'permission'],
  ] as const) {
    it(`says ${trouble}, and works the next time`, async () => {
      air.fate = fate;
      expect(await troubleOf(radio.choose())).toBe(trouble);
      air.fate = 'chosen';
      await reached();
      expect(card.isUp).toBe(true);
    });
  }

  it('is not needed for a card that was chosen before', async () => {
    await radio.choose();
    const doors = await radio.remembered();
    const door = doors.find(({ name }) => name === card.name) as CardDoor;
    expect(await (await door.connect()).readInfo()).toEqual(INFO);
  });
}

function working(): void {
  it('reads, writes and pairs', async () => {
    const link = await reached();
    expect(await link.readInfo()).toEqual(INFO);
    await link.pair();
    const value = Uint8Array.from({ length: 244 }, (_, index) => index);
    // A view of something longer, as the core hands them out.
    await link.write(Uint8Array.of(9, ...value, 9).subarray(1, 245));
    expect(card.written).toEqual([[...value]]);
    expect(card.did).toContain('bond');
    expect(BONDED).toHaveLength(1);
  });

  it('hands out indications whole and in order', async () => {
    const link = await reached();
    const heard: number[][] = [];
    await link.subscribe((value) => heard.push([...value]));
    card.indicate(0, 1, 255);
    card.indicate(2);
    card.indicate(16, 0);
    expect(heard).toEqual([[0, 1, 255], [2], [16, 0]]);
  });

  it('does one thing at a time, in order', async () => {
    const link = await reached();
    card.did.length = 0;
    card.mostAtOnce = 0;
    const release = card.hold('info');
    const reading = link.readInfo();
    const writing = link.write(Uint8Array.of(1));
    const subscribing = link.subscribe(() => {});
    await vi.advanceTimersByTimeAsync(5_000);
    expect(card.did).toEqual(['info']);
    release();
    await Promise.all([reading, writing, subscribing]);
    expect(card.did).toEqual(['info', 'write', 'subscribe']);
    expect(card.mostAtOnce).toBe(1);
  });

  it('has time for the user to say yes to pairing', async () => {
    const link = await reached();
    const release = card.hold('bond');
    const pairing = link.pair();
    await vi.advanceTimersByTimeAsync(50_000);
    release();
    await pairing;
  });
}

const OPERATIONS: [Operation, (link: CardLink) => Promise<unknown>][] = [
  ['info', (link) => link.readInfo()],
  ['write', (link) => link.write(Uint8Array.of(1))],
  ['subscribe', (link) => link.subscribe(() => {})],
];

function failing(): void {
  for (const [operation, start] of OPERATIONS) {
    it(`is lost where ${operation} fails, and takes nothing more`, async () => {
      const link = await reached();
      card.next(operation, refused);
      expect(await troubleOf(start(link))).toBe('link_lost');
      const asked = card.did.length;
      expect(await troubleOf(link.readInfo())).toBe('link_lost');
      expect(card.did).toHaveLength(asked);
    });

    it(`does not wait for ever where ${operation} is never answered`, async () => {
      const link = await reached();
      card.next(operation, unanswered);
      const first = troubleOf(start(link), LONG_MS);
      const second = troubleOf(link.readInfo(), LONG_MS);
      expect(await first).toBe('link_stalled');
      expect(await second).toBe('link_lost');
      expect(card.did).toEqual(['connect', operation]);
    });

    it(`is told at once where the link ends during ${operation}`, async () => {
      const link = await reached();
      card.next(operation, unanswered);
      const first = troubleOf(start(link));
      const second = troubleOf(link.readInfo());
      await vi.advanceTimersByTimeAsync(0);
      card.cut();
      expect(await first).toBe('link_lost');
      expect(await second).toBe('link_lost');
      expect(await isSettled(link.closed)).toBe(true);
    });
  }
}

function refusing(): void {
  it('says where pairing is refused', async () => {
    const link = await reached();
    card.next('bond', refused);
    expect(await troubleOf(link.pair(), REASON_MS)).toBe('pairing');
  });

  it('does not take a link that breaks for a refusal to pair', async () => {
    const link = await reached();
    card.next('bond', refused);
    const pairing = link.pair();
    pairing.catch(() => {});
    await vi.advanceTimersByTimeAsync(REASON_MS / 2);
    card.cut();
    expect(await troubleOf(pairing, REASON_MS)).toBe('link_lost');
  });

  it('says where the card does not answer, and leaves nothing open', async () => {
    card.next('connect', refused);
    expect(await troubleOf(reached(), LONG_MS)).toBe('out_of_reach');
    card.next('connect', unanswered);
    expect(['out_of_reach', 'link_stalled']).toContain(await troubleOf(reached(), LONG_MS));
    expect(card.isUp).toBe(false);
  });

  for (const [what, spoil] of [
    ['its service', () => (card.service = IDS.info)],
    ['one of its characteristics', () => card.characteristics.pop()],
  ] as const) {
    it(`says where it is no card, without ${what}, and lets it go`, async () => {
      spoil();
      expect(await troubleOf(reached(), LONG_MS)).toBe('not_a_card');
      expect(card.isUp).toBe(false);
    });
  }

  it('is settled before the next is opened', async () => {
    const door = await radio.choose();
    const link = await door.connect();
    card.next('write', unanswered);
    expect(await troubleOf(link.write(Uint8Array.of(1)), LONG_MS)).toBe('link_stalled');
    const next = await door.connect();
    expect(card.did.filter((one) => one === 'connect' || one === 'disconnect')).toEqual([
      'connect',
      'disconnect',
      'connect',
    ]);
    expect(await next.readInfo()).toEqual(INFO);
  });
}

function ending(): void {
  it('is waited for, and then nothing is heard', async () => {
    const link = await reached();
    const heard: Uint8Array[] = [];
    await link.subscribe((value) => heard.push(value));
    const late = card.onIndication;
    const closing = link.close();
    card.indicate(1);
    await closing;
    expect(card.isUp).toBe(false);
    expect(await isSettled(link.closed)).toBe(true);
    late?.(Uint8Array.of(1));
    expect(heard).toEqual([]);
    expect(await troubleOf(link.readInfo())).toBe('link_lost');
    await link.close();
    expect(card.did.filter((one) => one === 'disconnect')).toHaveLength(1);
  });

  it('is taken as given where nobody tells of it', async () => {
    const link = await reached();
    card.isSilentlyCut = true;
    const closing = link.close();
    expect(await isSettled(closing)).toBe(false);
    await vi.advanceTimersByTimeAsync(END_MS);
    await closing;
    expect(await isSettled(link.closed)).toBe(true);
  });

  it('does not wait for a stack that no longer answers', async () => {
    const link = await reached();
    await link.subscribe(() => {});
    card.next('unsubscribe', unanswered);
    const closing = link.close();
    await vi.advanceTimersByTimeAsync(END_MS);
    await closing;
    expect(card.isUp).toBe(false);
  });

  it('comes before the next link of the same door, which alone is heard then', async () => {
    const door = await radio.choose();
    const [first, second]: [number[], number[]] = [[], []];
    const link = await door.connect();
    await link.subscribe(([value = -1]) => first.push(value));
    card.indicate(1);
    const next = await door.connect();
    expect(await isSettled(link.closed)).toBe(true);
    await next.subscribe(([value = -1]) => second.push(value));
    card.indicate(2);
    card.indicate(3);
    expect([first, second]).toEqual([[1], [2, 3]]);
  });
}
