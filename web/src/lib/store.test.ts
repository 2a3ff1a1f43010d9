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
    const begin = (meter: string, history: string) => () => ({ meter, history });
    await store.changeMeter('1', () => {}, begin('1', 'a'));
    await store.changeMeter('2', () => {}, begin('2', 'b'));
    await store.changeMeter(
      '1',
      (known) => {
        known.history = 'c';
      },
      begin('1', 'never'),
    );
    await store.dropMeter('2');
    await store.saveTopUp(topUp('x'));
    await store.saveTopUp({ ...topUp('x'), is_over: true });
    const next = await Store.open();
    expect(await next.meters()).toEqual([{ meter: '1', history: 'c' }]);
    expect(await next.meter('1')).toEqual({ meter: '1', history: 'c' });
    expect(await next.meter('2')).toBeUndefined();
    expect(await next.topUps()).toEqual([{ ...topUp('x'), is_over: true }]);
  });

  it('changes a part of a meter at a time, and none that was forgotten', async () => {
    const store = await Store.open('parts');
    await store.changeMeter(
      '1',
      () => {},
      () => ({ meter: '1', history: 'a' }),
    );
    await Promise.all([
      store.changeMeter('1', (known) => {
        known.name = 'home';
      }),
      store.changeMeter('1', (known) => {
        known.history = 'b';
      }),
    ]);
    expect(await store.meter('1')).toEqual({ meter: '1', name: 'home', history: 'b' });
    await store.dropMeter('1');
    expect(await store.changeMeter('1', () => {})).toBeUndefined();
    expect(await store.meters()).toEqual([]);
  });

  it('says when something was not written', async () => {
    const store = await Store.open();
    await expect(store.keep('key', () => {})).rejects.toThrow();
    await expect(store.saveTopUp({} as SavedTopUp)).rejects.toThrow();
  });
});
