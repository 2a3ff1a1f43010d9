import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';

import { type SavedTopUp, Store } from './store';

const topUp = (vend_id: string): SavedTopUp => ({ vend_id, meter: '1', begun_at_ms: 7, saved: '{}', is_over: false });

describe('the store', () => {
  it('makes a setting once, and gives it to whoever was slower', async () => {
    const store = await Store.open();
    const made = await Promise.all(['first', 'second'].map((name) => store.setting('key', () => name)));
    expect(new Set(made).size).toBe(1);
    expect(await store.setting('key', () => 'third')).toBe(made[0]);
    await store.keep('key', { other: [1] });
    expect(await store.setting('key', () => 'fourth')).toEqual({ other: [1] });
  });

  it('keeps what it is given until that is dropped, also for the next page', async () => {
    const store = await Store.open();
    await store.saveMeter({ meter: '1', history: 'a' });
    await store.saveMeter({ meter: '2', history: 'b' });
    await store.saveMeter({ meter: '1', history: 'c' });
    await store.dropMeter('2');
    await store.saveTopUp(topUp('x'));
    await store.saveTopUp({ ...topUp('x'), is_over: true });
    const next = await Store.open();
    expect(await next.meters()).toEqual([{ meter: '1', history: 'c' }]);
    expect(await next.meter('1')).toEqual({ meter: '1', history: 'c' });
    expect(await next.meter('2')).toBeUndefined();
    expect(await next.topUps()).toEqual([{ ...topUp('x'), is_over: true }]);
  });

  it('says when something was not written', async () => {
    const store = await Store.open();
    await expect(store.keep('key', () => {})).rejects.toThrow();
    await expect(store.saveTopUp({} as SavedTopUp)).rejects.toThrow();
  });
});
