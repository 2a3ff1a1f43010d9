import { describe, vi } from 'vitest';

import { WORDS, fulfilsTheContract } from './fakes/contract';
import { fakeShell } from './fakes/shell';

vi.mock('../core', async () => (await import('./fakes/contract')).core);

describe("Capacitor's plugin in a shell on iOS", async () => {
  const air = fakeShell('ios');
  const { CapacitorBluetooth } = await import('./capacitor');
  fulfilsTheContract(air, async () => new CapacitorBluetooth(() => WORDS));
});
