// The card over Web Bluetooth. Every promise of GATT is raced with a timeout and the end of the link, since one may
// never settle; one operation at a time, since Android refuses more; and after any failure the link is settled (waited for
// until it is down) before another is opened, since `connected` lies for a moment.
import { profile } from '../core';
import { pause } from '../pause';
import { type CardDoor, type CardLink, LinkError, type LinkTrouble, type Radio } from './card-link';

interface Profile {
  service: string;
  info: string;
  request: string;
  response: string;
  bond: string;
}

/** Longest wait for one operation of GATT, ms: pairing may ask the user. */
const OPERATION_MS = 8_000;
const PAIR_MS = 60_000;
const CONNECT_MS = 12_000;
/** Longest wait for the end of a link, ms. */
const SETTLE_MS = 1_500;
/** How long after an operation that failed the link may turn out to be the reason, ms. */
const REASON_MS = 500;

export class WebBluetooth implements Radio {
  readonly available = 'bluetooth' in navigator;

  async remembered(): Promise<CardDoor[]> {
    if (!this.available || !('getDevices' in navigator.bluetooth)) return [];
    const devices = await navigator.bluetooth.getDevices().catch(() => []);
    return devices.map((device) => new WebDoor(device));
  }

  async choose(): Promise<CardDoor> {
    if (!this.available) throw new LinkError('no_bluetooth');
    if ((await navigator.bluetooth.getAvailability?.()) === false) throw new LinkError('bluetooth_off');
    const { service } = JSON.parse(profile()) as Profile;
    try {
      const device = await navigator.bluetooth.requestDevice({ filters: [{ services: [service] }] });
      return new WebDoor(device);
    } catch (error) {
      throw new LinkError(choosing(error), error);
    }
  }
}

function choosing(error: unknown): LinkTrouble {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotFoundError') return 'cancelled';
  return name === 'SecurityError' || name === 'NotAllowedError' ? 'permission' : 'no_bluetooth';
}

class WebDoor implements CardDoor {
  #open: WebLink | undefined;
  /** Who listens now. The browser may hand indications to the object of an earlier link, where a bonded card's
   * connection has outlived it. */
  readonly #ear: Ear = { heard: undefined };

  constructor(readonly device: BluetoothDevice) {}

  get name(): string {
    return this.device.name ?? this.device.id;
  }

  async connect(): Promise<CardLink> {
    const { gatt } = this.device;
    if (!gatt) throw new LinkError('permission');
    await this.#open?.close();
    const ids = JSON.parse(profile()) as Profile;
    const link = new WebLink(this.device, gatt, this.#ear);
    this.#open = link;
    try {
      await link.begin(ids);
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  }
}

interface Characteristics {
  info: BluetoothRemoteGATTCharacteristic;
  request: BluetoothRemoteGATTCharacteristic;
  response: BluetoothRemoteGATTCharacteristic;
  bond: BluetoothRemoteGATTCharacteristic;
}

interface Ear {
  heard: ((value: Uint8Array) => void) | undefined;
}

class WebLink implements CardLink {
  readonly closed: Promise<void>;
  #isClosed = false;
  #has: Characteristics | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    device: BluetoothDevice,
    private readonly gatt: BluetoothRemoteGATTServer,
    private readonly ear: Ear,
  ) {
    this.closed = new Promise((resolve) => {
      const ended = () => {
        this.#isClosed = true;
        resolve();
      };
      device.addEventListener('gattserverdisconnected', ended, { once: true });
    });
  }

  async begin(ids: Profile): Promise<void> {
    const server = await this.#raced('out_of_reach', CONNECT_MS, () => this.gatt.connect());
    const service = await this.#raced('not_a_card', CONNECT_MS, () => server.getPrimaryService(ids.service));
    const found = new Map<string, BluetoothRemoteGATTCharacteristic>();
    for (const one of await this.#raced('not_a_card', CONNECT_MS, () => service.getCharacteristics())) {
      found.set(one.uuid, one);
    }
    const [info, request, response, bond] = [ids.info, ids.request, ids.response, ids.bond].map((id) => found.get(id));
    if (!info || !request || !response || !bond) throw new LinkError('not_a_card');
    this.#has = { info, request, response, bond };
  }

  async readInfo(): Promise<Uint8Array> {
    return bytes(await this.#raced('link_lost', OPERATION_MS, () => this.#characteristics.info.readValue()));
  }

  async pair(): Promise<void> {
    await this.#raced('pairing', PAIR_MS, () => this.#characteristics.bond.readValue());
  }

  async write(value: Uint8Array): Promise<void> {
    const { request } = this.#characteristics;
    await this.#raced('link_lost', OPERATION_MS, () => request.writeValueWithResponse(new Uint8Array(value)));
  }

  async subscribe(heard: (value: Uint8Array) => void): Promise<void> {
    const { response } = this.#characteristics;
    this.ear.heard = heard;
    const { ear } = this;
    response.addEventListener('characteristicvaluechanged', () => {
      if (response.value) ear.heard?.(bytes(response.value));
    });
    await this.#raced('link_lost', OPERATION_MS, () => response.startNotifications());
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.ear.heard = undefined;
    if (this.gatt.connected && this.#has) {
      await Promise.race([this.#has.response.stopNotifications().catch(() => {}), pause(SETTLE_MS)]);
    }
    this.gatt.disconnect();
    await Promise.race([this.closed, pause(SETTLE_MS)]);
    this.#isClosed = true;
  }

  get #characteristics(): Characteristics {
    if (!this.#has) throw new LinkError('link_lost');
    return this.#has;
  }

  /** One at a time, and never for ever. */
  async #raced<T>(trouble: LinkTrouble, longest: number, work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const done = (async () => {
      await before.catch(() => {});
      if (this.#isClosed) throw new LinkError('link_lost');
      const ended = this.closed.then(() => Promise.reject(new LinkError('link_lost')));
      const late = pause(longest).then(() => Promise.reject(new LinkError('link_stalled')));
      try {
        return await Promise.race([work(), ended, late]);
      } catch (error) {
        if (error instanceof LinkError) throw error;
        // Of a link that breaks, what was under way fails first: that says nothing of the card or the pairing.
        const isTelling = trouble === 'pairing' || trouble === 'not_a_card';
        const lost = this.closed.then(() => true);
        if (isTelling && (await Promise.race([lost, pause(REASON_MS)]))) throw new LinkError('link_lost', error);
        throw new LinkError(trouble, error);
      }
    })();
    this.#last = done;
    return done;
  }
}

function bytes(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
