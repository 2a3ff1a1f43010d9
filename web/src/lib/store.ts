// What this phone remembers, in IndexedDB. What is to be sent is written here first.
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';

import type { MeterShown } from './cloud';
import type { MeterStatus, ReceiptFile } from './core';

/** A meter that this phone has met. */
export interface KnownMeter {
  meter: string;
  /** What its owner calls it. */
  name?: string;
  /** The saved [`History`]. */
  history: string;
  /** The newest status, hexadecimal, when it was read (ms since 1970), and by which ask message. */
  status?: { bytes: string; shown: MeterStatus; read_at_ms: number; enrolled: boolean };
  /** What the cloud last showed of it. */
  cloud?: Pick<MeterShown, 'state' | 'vends'>;
  card_name?: string;
}

/** A vend on this phone. */
export interface SavedTopUp {
  vend_id: string;
  meter: string;
  begun_at_ms: number;
  /** The saved [`TopUp`]. */
  saved: string;
  /** The user has put it away: it is over, or never was paid. */
  is_over: boolean;
  /** Once it is proven. */
  receipt?: ReceiptFile;
}

interface Schema extends DBSchema {
  settings: { key: string; value: unknown };
  meters: { key: string; value: KnownMeter };
  top_ups: { key: string; value: SavedTopUp };
}

export class Store {
  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  static async open(name = 'pilotlight'): Promise<Store> {
    const db = await openDB<Schema>(name, 1, {
      upgrade(db) {
        db.createObjectStore('settings');
        db.createObjectStore('meters', { keyPath: 'meter' });
        db.createObjectStore('top_ups', { keyPath: 'vend_id' });
      },
    });
    return new Store(db);
  }

  /** Kept under this name, or made now and kept. */
  async setting<T>(name: string, make: () => T | Promise<T>): Promise<T> {
    const kept = (await this.db.get('settings', name)) as T | undefined;
    if (kept !== undefined) return kept;
    const made = await make();
    // Another tab may have been quicker: the first one counts.
    const tx = this.db.transaction('settings', 'readwrite');
    const first = (await tx.store.get(name)) as T | undefined;
    if (first === undefined) await tx.store.put(made, name);
    await tx.done;
    return first ?? made;
  }

  async keep(name: string, value: unknown): Promise<void> {
    await this.db.put('settings', value, name);
  }

  meters(): Promise<KnownMeter[]> {
    return this.db.getAll('meters');
  }

  async meter(meter: string): Promise<KnownMeter | undefined> {
    return await this.db.get('meters', meter);
  }

  async saveMeter(meter: KnownMeter): Promise<void> {
    await this.db.put('meters', plain(meter));
  }

  async dropMeter(meter: string): Promise<void> {
    await this.db.delete('meters', meter);
  }

  topUps(): Promise<SavedTopUp[]> {
    return this.db.getAll('top_ups');
  }

  async saveTopUp(topUp: SavedTopUp): Promise<void> {
    await this.db.put('top_ups', plain(topUp));
  }
}

/** Svelte's proxies cannot be stored. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
