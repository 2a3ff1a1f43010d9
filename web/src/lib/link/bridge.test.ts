import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { Bridge, type InReach } from './bridge';
import { type CardLink, LinkError } from './card-link';

const ORIGIN = 'ws://127.0.0.1:8005';
const ONE = { card: 'F0:26:11:00:00:42', name: 'Pilotlight-0042', rssi: -50 };
const OTHER = { card: 'F0:26:11:00:00:99', name: 'Pilotlight-0099', rssi: -60 };

/** A bridge's end of a WebSocket, played by a test. */
class FakeSocket extends EventTarget {
  static all: FakeSocket[] = [];
  /** How the bridge answers; silent where it gives nothing. */
  static answers: (request: { op: string }, socket: FakeSocket) => object | undefined = () => undefined;
  sent: { op: string }[] = [];
  isClosed = false;

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    super();
    FakeSocket.all.push(this);
    queueMicrotask(() => this.dispatchEvent(new Event('open')));
  }

  send(text: string) {
    const request = JSON.parse(text) as { op: string };
    this.sent.push(request);
    const answer = FakeSocket.answers(request, this);
    if (answer) this.says(answer);
  }

  says(message: unknown) {
    const data = typeof message === 'string' ? message : JSON.stringify(message);
    this.dispatchEvent(Object.assign(new Event('message'), { data }));
  }

  close(code = 1000) {
    if (this.isClosed) return;
    this.isClosed = true;
    queueMicrotask(() => this.dispatchEvent(Object.assign(new Event('close'), { code })));
  }
}

/** A bridge that does all that it is asked. */
function willing(request: { op: string }): object | undefined {
  switch (request.op) {
    case 'cards':
      return { event: 'cards', cards: [ONE] };
    case 'connect':
      return { event: 'connected' };
    case 'read_info':
      return { event: 'info', value: '00ff' };
    case 'pair':
      return { event: 'paired' };
    default:
      return { event: 'written' };
  }
}

const none = () => Promise.resolve(undefined);
const bridge = (choice: (cards: InReach[]) => Promise<InReach | undefined> = none) => new Bridge(ORIGIN, choice);
const connect = async (): Promise<CardLink> => (await bridge().choose()).connect();
const last = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;
const trouble = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.catch((error: unknown) => error);
  return error instanceof LinkError ? error.trouble : `no trouble, but ${String(error)}`;
};

beforeEach(() => {
  FakeSocket.all = [];
  FakeSocket.answers = willing;
  vi.stubGlobal('WebSocket', FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('is a link like any other', async () => {
  const link = await connect();
  expect(last().url).toBe(`${ORIGIN}/v1/card`);
  expect(last().protocol).toBe('pilotlight-bridge-1');
  expect(FakeSocket.all[0]?.isClosed).toBe(true);
  const heard: number[][] = [];
  await link.subscribe((value) => heard.push(Array.from(value)));
  expect(await link.readInfo()).toEqual(Uint8Array.of(0, 255));
  await link.pair();
  await link.write(Uint8Array.of(0x80, 1));
  last().says({ event: 'heard', value: '8001' });
  expect(heard).toEqual([[0x80, 1]]);
  expect(last().sent).toEqual([
    { op: 'connect', card: ONE.card },
    { op: 'read_info' },
    { op: 'pair' },
    { op: 'write', value: '8001' },
  ]);
  await link.close();
  await link.closed;
  expect(await trouble(link.readInfo())).toBe('link_lost');
});

it('asks one thing at a time', async () => {
  const link = await connect();
  FakeSocket.answers = () => undefined;
  const [first, second] = [link.write(Uint8Array.of(1)), link.write(Uint8Array.of(2))];
  await vi.waitFor(() => expect(last().sent).toHaveLength(2));
  last().says({ event: 'written' });
  await first;
  await vi.waitFor(() => expect(last().sent).toHaveLength(3));
  last().says({ event: 'written' });
  await second;
});

it('lets the user choose among several cards only', async () => {
  const choice = vi.fn((cards: InReach[]) => Promise.resolve(cards[1]));
  expect((await bridge(choice).choose()).name).toBe(ONE.name);
  expect(choice).not.toHaveBeenCalled();
  FakeSocket.answers = () => ({ event: 'cards', cards: [ONE, OTHER] });
  expect((await bridge(choice).choose()).name).toBe(OTHER.name);
  expect(await trouble(bridge(none).choose())).toBe('cancelled');
  FakeSocket.answers = () => ({ event: 'cards', cards: [] });
  expect(await trouble(bridge(choice).choose())).toBe('out_of_reach');
});

it('knows troubles by their names, and is over after each', async () => {
  for (const named of ['bluetooth_off', 'out_of_reach', 'not_a_card', 'pairing', 'link_stalled', 'link_lost']) {
    const link = await connect();
    FakeSocket.answers = () => ({ event: 'failed', trouble: named, detail: 'so' });
    expect(await trouble(link.pair())).toBe(named);
    await link.closed;
    expect(last().isClosed).toBe(true);
    expect(await trouble(link.write(Uint8Array.of(1)))).toBe(named);
    FakeSocket.answers = willing;
  }
});

it('tells by the close code that it is busy, and by no opening at all that it is away', async () => {
  FakeSocket.answers = (_, socket) => void socket.close(4002);
  expect(await trouble(bridge().choose())).toBe('bridge_busy');
  for (const code of [1001, 1006, 4001, 4003, 4004]) {
    FakeSocket.answers = (_, socket) => void socket.close(code);
    expect(await trouble(bridge().choose())).toBe('link_lost');
  }
  class Unreachable extends FakeSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      // Instead of opening.
      this.dispatchEvent = (event) => event.type !== 'open' && EventTarget.prototype.dispatchEvent.call(this, event);
      this.close(1006);
    }
  }
  vi.stubGlobal('WebSocket', Unreachable);
  expect(await trouble(bridge().choose())).toBe('bridge_away');
});

it('loses whoever waits when the link goes, and says so', async () => {
  const link = await connect();
  FakeSocket.answers = () => undefined;
  const asked = trouble(link.readInfo());
  await vi.waitFor(() => expect(last().sent).toHaveLength(2));
  last().close(4001);
  expect(await asked).toBe('link_lost');
  await link.closed;
});

it('waits for nothing for ever', async () => {
  const link = await connect();
  vi.useFakeTimers();
  FakeSocket.answers = () => undefined;
  const asked = trouble(link.write(Uint8Array.of(1)));
  await vi.advanceTimersByTimeAsync(8_000);
  expect(await asked).toBe('link_stalled');
  expect(last().isClosed).toBe(true);
  // A bridge that does not close either.
  const open = trouble(link.readInfo());
  expect(await open).toBe('link_stalled');
});

it('does not wait long for a bridge that does not close', async () => {
  const link = await connect();
  vi.useFakeTimers();
  last().isClosed = true;
  const closing = link.close();
  await vi.advanceTimersByTimeAsync(1_500);
  await closing;
  await link.closed;
});

it('takes nothing that it does not understand', async () => {
  for (const garbage of [
    '',
    'nonsense',
    'null',
    '7',
    '[]',
    '{}',
    { event: 'jump' },
    { event: 'info' },
    { event: 'info', value: 'FF' },
    { event: 'info', value: 'f' },
    { event: 'info', value: 7 },
    { event: 'heard', value: 'x' },
    { event: 'cards', cards: 'many' },
    { event: 'cards', cards: [7] },
    { event: 'cards', cards: [null] },
    { event: 'cards', cards: [{ card: 1, name: 2 }] },
    { event: 'paired' },
  ]) {
    FakeSocket.answers = willing;
    const link = await connect();
    FakeSocket.answers = () => undefined;
    const asked = trouble(link.readInfo());
    await vi.waitFor(() => expect(last().sent).toHaveLength(2));
    last().says(garbage);
    expect(await asked, JSON.stringify(garbage)).toBe('link_lost');
    expect(last().isClosed).toBe(true);
  }
});
