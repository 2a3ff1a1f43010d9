import { describe, expect, it, vi } from 'vitest';

import { FakeCard, refused, unanswered } from './fakes/card';
import { REASON_MS, WORDS, fulfilsTheContract, troubleOf } from './fakes/contract';
import { fakeShell } from './fakes/shell';

vi.mock('../core', async () => (await import('./fakes/contract')).core);

describe("Capacitor's plugin in a shell on Android", async () => {
  const air = fakeShell('android');
  const { CapacitorBluetooth } = await import('./capacitor');
  fulfilsTheContract(air, async () => new CapacitorBluetooth(() => WORDS));

  async function reached() {
    const card = new FakeCard();
    Object.assign(air, { card, fate: 'chosen' });
    const link = await (await new CapacitorBluetooth(() => WORDS).choose()).connect();
    return { card, link };
  }

  it('bonds before it reads what needs it, once', async () => {
    const { card, link } = await reached();
    await link.pair();
    await link.pair();
    expect(card.did).toEqual(['connect', 'create_bond', 'bond', 'bond']);
  });

  it('asks the user once where the answer is no', async () => {
    const { card, link } = await reached();
    card.next('create_bond', refused);
    expect(await troubleOf(link.pair(), REASON_MS)).toBe('pairing');
    expect(card.did).toEqual(['connect', 'create_bond']);
  });

  it('has time for the user to say yes to bonding', async () => {
    const { card, link } = await reached();
    const release = card.hold('create_bond');
    const pairing = link.pair();
    await vi.advanceTimersByTimeAsync(50_000);
    release();
    await pairing;
  });

  it('does not wait for the end of a connection that the plugin has given up', async () => {
    const card = new FakeCard();
    Object.assign(air, { card, fate: 'chosen' });
    const door = await new CapacitorBluetooth(() => WORDS).choose();
    card.next('connect', unanswered);
    const tried = expect(door.connect()).rejects.toMatchObject({ trouble: 'out_of_reach' });
    await vi.advanceTimersByTimeAsync(10_000);
    await tried;
  });

  it('says where Bluetooth was switched off since the card was chosen', async () => {
    Object.assign(air, { card: new FakeCard(), fate: 'chosen' });
    const door = await new CapacitorBluetooth(() => WORDS).choose();
    air.fate = 'off';
    await expect(door.connect()).rejects.toMatchObject({ trouble: 'bluetooth_off' });
  });
});
