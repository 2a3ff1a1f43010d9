import { describe, vi } from 'vitest';

import { fakeBrowser } from './fakes/browser';
import { WORDS, fulfilsTheContract } from './fakes/contract';

vi.mock('../core', async () => (await import('./fakes/contract')).core);

describe("Capacitor's plugin over Web Bluetooth", async () => {
  const air = fakeBrowser();
  const { CapacitorBluetooth } = await import('./capacitor');
  fulfilsTheContract(air, async () => new CapacitorBluetooth(() => WORDS));
});
