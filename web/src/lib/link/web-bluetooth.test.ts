import { describe, expect, it, vi } from 'vitest';

import { fakeBrowser } from './fakes/browser';
import { fulfilsTheContract } from './fakes/contract';
import { WebBluetooth } from './web-bluetooth';

vi.mock('../core', async () => (await import('./fakes/contract')).core);

describe('Web Bluetooth', () => {
  fulfilsTheContract(fakeBrowser(), async () => new WebBluetooth());

  it('is not there in other browsers', async () => {
    vi.stubGlobal('navigator', {});
    expect(new WebBluetooth().available).toBe(false);
    await expect(new WebBluetooth().choose()).rejects.toMatchObject({ trouble: 'no_bluetooth' });
  });
});
