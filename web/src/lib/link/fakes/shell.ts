// The native half of a shell, over a card of the test: what Capacitor's bridge offers to a page, and of the plugin the
// answers that its sources for Android and iOS (8.3.0) give. Values cross the bridge in hexadecimal.
import { vi } from 'vitest';

import { IDS } from './card';
import type { Air } from './contract';

interface Options {
  eventName?: string;
  callbackId?: string;
  characteristic?: string;
  value?: string;
  timeout?: number;
  deviceIds?: string[];
}

type Heard = (data: unknown) => void;

const DEFAULT_MS = 5_000;
const CONNECT_MS = 10_000;

const PROMISES = [
  ...['initialize', 'isEnabled', 'setDisplayStrings', 'requestDevice', 'getDevices', 'connect', 'disconnect'],
  ...['getServices', 'read', 'write', 'startNotifications', 'stopNotifications', 'isBonded', 'createBond'],
  'removeListener',
];

/** Puts up what a shell leaves in a page. */
export function fakeShell(platform: 'android' | 'ios'): Air {
  const air: Air = { card: undefined, fate: 'chosen' };
  const plugin = new FakePlugin(air, platform);
  if (platform === 'android') vi.stubGlobal('androidBridge', {});
  else vi.stubGlobal('webkit', { messageHandlers: { bridge: {} } });
  vi.stubGlobal('Capacitor', {
    PluginHeaders: [
      {
        name: 'BluetoothLe',
        methods: [...PROMISES.map((name) => ({ name, rtype: 'promise' })), { name: 'addListener', rtype: 'callback' }],
      },
    ],
    nativePromise: (_plugin: string, method: string, options: Options = {}) => plugin.answer(method, options),
    nativeCallback: async (_plugin: string, _method: string, { eventName = '' }: Options, heard: Heard) =>
      plugin.listen(eventName, heard),
  });
  return air;
}

class FakePlugin {
  readonly #listeners = new Map<string, { eventName: string; heard: Heard }>();
  #listened = 0;
  /** Android has given a connection up: it will tell of no end. */
  #isGivenUp = false;

  constructor(
    private readonly air: Air,
    private readonly platform: 'android' | 'ios',
  ) {}

  listen(eventName: string, heard: Heard): string {
    const id = String((this.#listened += 1));
    this.#listeners.set(id, { eventName, heard });
    return id;
  }

  #tell(eventName: string, data: unknown): void {
    for (const one of this.#listeners.values()) if (one.eventName === eventName) one.heard(data);
  }

  get #card() {
    if (!this.air.card) throw new Error('Device not found.');
    return this.air.card;
  }

  async answer(method: string, options: Options): Promise<unknown> {
    switch (method) {
      case 'initialize':
        if (this.air.fate !== 'forbidden') return undefined;
        throw new Error(this.platform === 'android' ? 'Permission denied.' : 'BLE permission denied');
      case 'isEnabled':
        return { value: this.air.fate !== 'off' };
      case 'requestDevice':
        if (this.air.fate === 'cancelled') throw new Error('requestDevice cancelled.');
        return { deviceId: this.#card.id, name: this.#card.name };
      case 'getDevices':
        return { devices: options.deviceIds?.map((deviceId) => ({ deviceId })) };
      case 'removeListener':
        this.#listeners.delete(options.callbackId ?? '');
        return undefined;
      default:
        return await this.#ofLink(method, options);
    }
  }

  async #ofLink(method: string, options: Options): Promise<unknown> {
    const { characteristic = '', timeout = DEFAULT_MS } = options;
    switch (method) {
      case 'connect':
        return await this.#connect();
      case 'disconnect':
        return await this.#disconnect(timeout);
      case 'getServices':
        return { services: [this.#service()] };
      case 'read':
        await within(timeout, 'Read timeout.', this.#card.read(characteristic));
        return { value: toHex(this.#card.valueOf(characteristic)) };
      case 'write':
        return await within(timeout, 'Write timeout.', this.#card.write(fromHex(options.value ?? '')));
      case 'startNotifications':
        return await this.#subscribe(timeout);
      case 'stopNotifications':
        return await within(timeout, 'Setting notification timeout.', this.#card.perform('unsubscribe'));
      case 'isBonded':
      case 'createBond':
        return await this.#bond(method, timeout);
      default:
        return undefined;
    }
  }

  async #connect(): Promise<void> {
    const card = this.#card;
    card.onEnd = () => this.#tell(`disconnected|${card.id}`, null);
    this.#isGivenUp = this.platform === 'android';
    await within(CONNECT_MS, 'Connection timeout.', card.perform('connect'));
    this.#isGivenUp = false;
  }

  async #disconnect(timeout: number): Promise<void> {
    const { isUp, isSilentlyCut } = this.#card;
    if (isUp) this.#card.disconnect();
    if (this.#isGivenUp || (isUp && isSilentlyCut))
      await within(timeout, 'Disconnection timeout.', new Promise(() => {}));
  }

  #service() {
    // iOS gives them as it likes.
    const written = (uuid: string) => (this.platform === 'ios' ? uuid.toUpperCase() : uuid);
    return {
      uuid: written(this.#card.service),
      characteristics: this.#card.characteristics.map((uuid) => ({ uuid: written(uuid) })),
    };
  }

  async #subscribe(timeout: number): Promise<void> {
    const card = this.#card;
    await within(timeout, 'Setting notification timeout.', card.perform('subscribe'));
    const event = `notification|${card.id}|${IDS.service}|${IDS.response}`;
    card.onIndication = (value) => this.#tell(event, { value: toHex(value) });
  }

  async #bond(method: 'isBonded' | 'createBond', timeout: number): Promise<unknown> {
    if (this.platform === 'ios') throw new Error(`${method} is not available on iOS.`);
    if (method === 'isBonded') return { value: this.#card.isBonded };
    await within(timeout, 'Bonding timeout.', this.#card.perform('create_bond'));
    this.#card.isBonded = true;
    return undefined;
  }
}

/** As the plugin limits everything that it asks of the system. */
async function within<T>(longest: number, late: string, work: Promise<T>): Promise<T> {
  const timer = new Promise<never>((_, reject) => setTimeout(() => reject(new Error(late)), longest));
  return await Promise.race([work, timer]);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('');
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
