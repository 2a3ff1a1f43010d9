// The card through a native shell (docs/native-shell.md): the phone's own Bluetooth by way of Capacitor's plugin, where the
// browser has none. In a browser the plugin falls back on Web Bluetooth, which is how this is tested.
import { type BleDevice, BleClient as ble } from '@capacitor-community/bluetooth-le';
import { Capacitor } from '@capacitor/core';

import { pause } from '../pause';
import { type CardDoor, LinkError, type LinkTrouble, type Radio } from './card-link';
import { CONNECT_MS, GattDoor, GattLink, OPERATION_MS, PAIR_MS, SETTLE_MS, bytes, profileIds } from './gatt-link';

/** The words of the list from which a card is chosen: the plugin shows it, not the page. */
export interface ChooserWords {
  scanning: string;
  cancel: string;
  availableDevices: string;
  noDeviceFound: string;
}

interface Known {
  id: string;
  name: string;
}

const CARDS = 'pilotlight.cards';
const CARDS_MAX = 8;
/** The plugin gives a disconnection up after 5 s, and what it answers then must not meet the next link. */
const DISCONNECT_MS = 5_500;

// The plugin's own queue would hold everything, `disconnect` too, behind one operation that is never answered. Here every
// link has one that does not.
ble.disableQueue();

export class CapacitorBluetooth implements Radio {
  readonly available = true;
  #started: Promise<void> | undefined;

  constructor(private readonly words: () => ChooserWords) {}

  /** A shell remembers the cards itself: the phone's system lets an app connect to what it knows by its id. */
  async remembered(): Promise<CardDoor[]> {
    const known = knownCards();
    if (known.length === 0) return [];
    try {
      await this.#start();
      // An iPhone connects only to what it was asked for since the app began; Android tells no names.
      const found = new Set((await ble.getDevices(known.map(({ id }) => id))).map(({ deviceId }) => deviceId));
      return known.filter(({ id }) => found.has(id)).map(doorOf);
    } catch {
      return [];
    }
  }

  async choose(): Promise<CardDoor> {
    await this.#start();
    if (!(await ble.isEnabled())) throw new LinkError('bluetooth_off');
    await ble.setDisplayStrings(this.words());
    let device: BleDevice;
    try {
      device = await ble.requestDevice({ services: [profileIds().service], displayMode: 'list' });
    } catch (error) {
      throw new LinkError(choosing(error), error);
    }
    const card = { id: device.deviceId, name: device.name ?? device.deviceId };
    remember(card);
    return doorOf(card);
  }

  /** Asks for permission the first time. Once only: on an iPhone each time begins anew, without the cards of before. */
  #start(): Promise<void> {
    this.#started ??= started().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }
}

async function started(): Promise<void> {
  // Until the user has answered, and an iPhone never says that it waits for that.
  const unanswered = pause(PAIR_MS).then(() => Promise.reject(new LinkError('permission')));
  try {
    await Promise.race([ble.initialize({ androidNeverForLocation: true }), unanswered]);
  } catch (error) {
    throw error instanceof LinkError ? error : new LinkError(starting(error), error);
  }
}

// The plugin's errors have words only, of its own on every system.
function starting(error: unknown): LinkTrouble {
  const said = String(error);
  if (/permission/i.test(said)) return 'permission';
  return /no bluetooth radio/i.test(said) ? 'bluetooth_off' : 'no_bluetooth';
}

function choosing(error: unknown): LinkTrouble {
  const said = String(error);
  if (/cancel|no device found/i.test(said)) return 'cancelled';
  return /permission|SecurityError|NotAllowedError/i.test(said) ? 'permission' : 'out_of_reach';
}

function knownCards(): Known[] {
  try {
    return JSON.parse(localStorage.getItem(CARDS) ?? '[]') as Known[];
  } catch {
    return [];
  }
}

/** The newest first. */
function remember(card: Known): void {
  const others = knownCards().filter(({ id }) => id !== card.id);
  try {
    localStorage.setItem(CARDS, JSON.stringify([card, ...others].slice(0, CARDS_MAX)));
  } catch {
    // Storage may be full; then it is chosen again next time.
  }
}

function doorOf({ id, name }: Known): CardDoor {
  return new GattDoor(name, () => new CapacitorLink(id));
}

class CapacitorLink extends GattLink {
  readonly #ids = profileIds();
  /** There is, or may be, something to disconnect. */
  #isUp = false;
  #isSubscribed = false;
  #heard: ((value: Uint8Array) => void) | undefined;

  constructor(private readonly card: string) {
    super();
  }

  async begin(): Promise<void> {
    await this.raced('out_of_reach', CONNECT_MS, () => this.#connect());
    const services = await this.raced('not_a_card', CONNECT_MS, () => ble.getServices(this.card));
    const { service, info, request, response, bond } = this.#ids;
    const card = services.find(({ uuid }) => uuid.toLowerCase() === service);
    const has = new Set(card?.characteristics.map(({ uuid }) => uuid.toLowerCase()));
    if (![info, request, response, bond].every((id) => has.has(id))) throw new LinkError('not_a_card');
  }

  async #connect(): Promise<void> {
    if (!(await ble.isEnabled())) throw new LinkError('bluetooth_off');
    this.#isUp = true;
    try {
      // The plugin's own limit is shorter than ours: it tidies up then. On Android it also asks for the greatest MTU.
      await ble.connect(this.card, () => this.ended());
    } catch (error) {
      this.#isUp = false;
      throw error;
    }
  }

  async readInfo(): Promise<Uint8Array> {
    return bytes(await this.raced('link_lost', OPERATION_MS, () => this.#read(this.#ids.info, OPERATION_MS)));
  }

  async pair(): Promise<void> {
    await this.raced('pairing', PAIR_MS, async () => {
      // Android would pair by itself as the value is read, but where the user says no that read may never be answered.
      if (Capacitor.getPlatform() === 'android' && !(await ble.isBonded(this.card))) {
        await ble.createBond(this.card, { timeout: PAIR_MS });
      }
      await this.#read(this.#ids.bond, PAIR_MS);
    });
  }

  async write(value: Uint8Array): Promise<void> {
    const { service, request } = this.#ids;
    const view = new DataView(new Uint8Array(value).buffer);
    await this.raced('link_lost', OPERATION_MS, () =>
      ble.write(this.card, service, request, view, { timeout: OPERATION_MS }),
    );
  }

  async subscribe(heard: (value: Uint8Array) => void): Promise<void> {
    const { service, response } = this.#ids;
    this.#heard = heard;
    await this.raced('link_lost', OPERATION_MS, () => {
      this.#isSubscribed = true;
      const hear = (value: DataView) => this.#heard?.(bytes(value));
      return ble.startNotifications(this.card, service, response, hear, { timeout: OPERATION_MS });
    });
  }

  protected async letGo(): Promise<void> {
    this.#heard = undefined;
    if (!this.#isUp) {
      this.ended();
      return;
    }
    const { service, response } = this.#ids;
    if (this.#isSubscribed) await this.within(SETTLE_MS, ble.stopNotifications(this.card, service, response));
    await this.within(DISCONNECT_MS, ble.disconnect(this.card));
  }

  #read(characteristic: string, timeout: number): Promise<DataView> {
    return ble.read(this.card, this.#ids.service, characteristic, { timeout });
  }
}
