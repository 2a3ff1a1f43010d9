// The card over Web Bluetooth.
import { type CardDoor, LinkError, type LinkTrouble, type Radio } from './card-link';
import { CONNECT_MS, GattDoor, GattLink, OPERATION_MS, PAIR_MS, SETTLE_MS, bytes, profileIds } from './gatt-link';

export class WebBluetooth implements Radio {
  readonly available = 'bluetooth' in navigator;

  async remembered(): Promise<CardDoor[]> {
    if (!this.available || !('getDevices' in navigator.bluetooth)) return [];
    const devices = await navigator.bluetooth.getDevices().catch(() => []);
    return devices.map(doorOf);
  }

  async choose(): Promise<CardDoor> {
    if (!this.available) throw new LinkError('no_bluetooth');
    if ((await navigator.bluetooth.getAvailability?.()) === false) throw new LinkError('bluetooth_off');
    const { service } = profileIds();
    try {
      return doorOf(await navigator.bluetooth.requestDevice({ filters: [{ services: [service] }] }));
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

function doorOf(device: BluetoothDevice): CardDoor {
  const ear = new Ear();
  return new GattDoor(device.name ?? device.id, () => {
    if (!device.gatt) throw new LinkError('permission');
    return new WebLink(device, device.gatt, ear);
  });
}

interface Characteristics {
  info: BluetoothRemoteGATTCharacteristic;
  request: BluetoothRemoteGATTCharacteristic;
  response: BluetoothRemoteGATTCharacteristic;
  bond: BluetoothRemoteGATTCharacteristic;
}

/** Who listens now. The browser may hand indications to the object of an earlier link, where a bonded card's connection
 * has outlived it; or give the same object to the next link, which then must not hear everything twice. */
class Ear {
  heard: ((value: Uint8Array) => void) | undefined;
  readonly hear = ({ target }: Event) => {
    const { value } = target as BluetoothRemoteGATTCharacteristic;
    if (value) this.heard?.(bytes(value));
  };
}

class WebLink extends GattLink {
  #has: Characteristics | undefined;

  constructor(
    device: BluetoothDevice,
    private readonly gatt: BluetoothRemoteGATTServer,
    private readonly ear: Ear,
  ) {
    super();
    device.addEventListener('gattserverdisconnected', () => this.ended(), { once: true });
  }

  async begin(): Promise<void> {
    const ids = profileIds();
    const server = await this.raced('out_of_reach', CONNECT_MS, () => this.gatt.connect());
    const service = await this.raced('not_a_card', CONNECT_MS, () => server.getPrimaryService(ids.service));
    const found = new Map<string, BluetoothRemoteGATTCharacteristic>();
    for (const one of await this.raced('not_a_card', CONNECT_MS, () => service.getCharacteristics())) {
      found.set(one.uuid, one);
    }
    const [info, request, response, bond] = [ids.info, ids.request, ids.response, ids.bond].map((id) => found.get(id));
    if (!info || !request || !response || !bond) throw new LinkError('not_a_card');
    this.#has = { info, request, response, bond };
  }

  async readInfo(): Promise<Uint8Array> {
    return bytes(await this.raced('link_lost', OPERATION_MS, () => this.#characteristics.info.readValue()));
  }

  async pair(): Promise<void> {
    await this.raced('pairing', PAIR_MS, () => this.#characteristics.bond.readValue());
  }

  async write(value: Uint8Array): Promise<void> {
    const { request } = this.#characteristics;
    await this.raced('link_lost', OPERATION_MS, () => request.writeValueWithResponse(new Uint8Array(value)));
  }

  async subscribe(heard: (value: Uint8Array) => void): Promise<void> {
    const { response } = this.#characteristics;
    this.ear.heard = heard;
    response.addEventListener('characteristicvaluechanged', this.ear.hear);
    await this.raced('link_lost', OPERATION_MS, () => response.startNotifications());
  }

  protected async letGo(): Promise<void> {
    this.ear.heard = undefined;
    if (this.gatt.connected && this.#has) await this.within(SETTLE_MS, this.#has.response.stopNotifications());
    this.gatt.disconnect();
  }

  get #characteristics(): Characteristics {
    if (!this.#has) throw new LinkError('link_lost');
    return this.#has;
  }
}
