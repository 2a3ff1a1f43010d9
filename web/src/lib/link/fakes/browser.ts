// A browser's Bluetooth, as far as a page asks it, over a card of the test.
import { vi } from 'vitest';

import type { Air } from './contract';
import type { FakeCard } from './card';

/** Puts `navigator.bluetooth` up. */
export function fakeBrowser(): Air {
  const air: Air = { card: undefined, fate: 'chosen' };
  const devices = new Map<string, FakeDevice>();
  const device = () => {
    const { card } = air;
    if (!card) throw new DOMException('User cancelled the requestDevice() chooser.', 'NotFoundError');
    const known = devices.get(card.id) ?? new FakeDevice(card);
    devices.set(card.id, known);
    return known;
  };
  const bluetooth = {
    getAvailability: () => Promise.resolve(air.fate !== 'off'),
    getDevices: () => Promise.resolve([...devices.values()]),
    requestDevice: async () => {
      if (air.fate === 'cancelled') {
        throw new DOMException('User cancelled the requestDevice() chooser.', 'NotFoundError');
      }
      if (air.fate === 'forbidden') {
        throw new DOMException('Must be handling a user gesture to show a permission request.', 'SecurityError');
      }
      return device();
    },
  };
  vi.stubGlobal('navigator', { bluetooth });
  return air;
}

class FakeDevice extends EventTarget {
  readonly id: string;
  readonly name: string;
  readonly gatt: object;

  constructor(card: FakeCard) {
    super();
    this.id = card.id;
    this.name = card.name;
    card.onEnd = () => this.dispatchEvent(new Event('gattserverdisconnected'));
    const service = this.#service(card);
    const gatt = {
      get connected() {
        return card.isUp;
      },
      connect: async () => {
        await card.perform('connect');
        return gatt;
      },
      disconnect: () => card.disconnect(),
      getPrimaryServices: () => Promise.resolve([service]),
      getPrimaryService: async (uuid: string) => {
        if (uuid !== card.service) throw new DOMException(`No Services matching UUID ${uuid}`, 'NotFoundError');
        return service;
      },
    };
    this.gatt = gatt;
  }

  #service(card: FakeCard) {
    const characteristics = new Map<string, FakeCharacteristic>();
    const service = {
      uuid: card.service,
      device: this,
      getCharacteristics: async () => await Promise.all(card.characteristics.map(service.getCharacteristic)),
      getCharacteristic: async (uuid: string) => {
        const one = characteristics.get(uuid) ?? new FakeCharacteristic(uuid, service, card);
        characteristics.set(uuid, one);
        return one;
      },
    };
    return service;
  }
}

class FakeCharacteristic extends EventTarget {
  readonly properties = {};
  value: DataView | undefined;

  constructor(
    readonly uuid: string,
    readonly service: object,
    private readonly card: FakeCard,
  ) {
    super();
  }

  getDescriptors = () => Promise.resolve([]);

  readValue = async () => {
    await this.card.read(this.uuid);
    return new DataView(this.card.valueOf(this.uuid).buffer);
  };

  writeValueWithResponse = (value: BufferSource) =>
    this.card.write(
      value instanceof ArrayBuffer
        ? new Uint8Array(value)
        : new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
    );

  startNotifications = async () => {
    await this.card.perform('subscribe');
    this.card.onIndication = (value) => {
      this.value = new DataView(value.buffer);
      this.dispatchEvent(new Event('characteristicvaluechanged'));
    };
    return this;
  };

  stopNotifications = async () => {
    await this.card.perform('unsubscribe');
    this.card.onIndication = undefined;
    return this;
  };
}
