// What this phone remembers, in IndexedDB. What is to be sent is written here first.
import type { MeterShown } from './cloud';
import type { MeterStatus, ReceiptFile } from './core';

/** A meter that this phone has met. */
export interface KnownMeter {
  meter: string;
  /** What its owner calls it. */
  name?: string;
  /** The saved [`History`]. */
  history: string;
  /** The newest status, hexadecimal, and when it was read (ms since 1970). `unsent`: where there was no internet, and the
   * cloud has yet to be shown it. */
  status?: { bytes: string; shown: MeterStatus; read_at_ms: number; unsent: boolean };
  /** This phone may see its data. */
  is_enrolled?: boolean;
  /** Ask messages for reading it without internet, hexadecimal; each is for one status. */
  asks?: { ask: string; expires_at_ms: number }[];
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

/** The outcome of one request. */
function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB does not say why'));
  });
}

type Name = 'settings' | 'meters' | 'top_ups';

export class Store {
  private constructor(private readonly db: IDBDatabase) {}

  static async open(name = 'pilotlight'): Promise<Store> {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      const db = opening.result;
      db.createObjectStore('settings');
      db.createObjectStore('meters', { keyPath: 'meter' });
      db.createObjectStore('top_ups', { keyPath: 'vend_id' });
    };
    return new Store(await done(opening));
  }

  /** Kept under this name, or made now and kept. */
  async setting<T>(name: string, make: () => T | Promise<T>): Promise<T> {
    const kept = await this.#get<T>('settings', name);
    if (kept !== undefined) return kept;
    const made = await make();
    // Another tab may have been quicker: the first one counts.
    const store = this.db.transaction('settings', 'readwrite').objectStore('settings');
    const first = (await done(store.get(name))) as T | undefined;
    if (first !== undefined) return first;
    await written(store, store.put(made, name));
    return made;
  }

  async keep(name: string, value: unknown): Promise<void> {
    await this.#write('settings', (store) => store.put(value, name));
  }

  meters(): Promise<KnownMeter[]> {
    return this.#all('meters');
  }

  async meter(meter: string): Promise<KnownMeter | undefined> {
    return await this.#get('meters', meter);
  }

  /** Changes what is known of a meter in one transaction, since several do so at a time, each its own part. One that was
   * forgotten meanwhile stays forgotten, unless `make` begins it. */
  async changeMeter(
    meter: string,
    change: (known: KnownMeter) => void,
    make?: () => KnownMeter,
  ): Promise<KnownMeter | undefined> {
    const store = this.db.transaction('meters', 'readwrite').objectStore('meters');
    const known = ((await done(store.get(meter))) as KnownMeter | undefined) ?? make?.();
    if (!known) return undefined;
    change(known);
    await written(store, store.put(plain(known)));
    return known;
  }

  async dropMeter(meter: string): Promise<void> {
    await this.#write('meters', (store) => store.delete(meter));
  }

  async topUp(vendId: string): Promise<SavedTopUp | undefined> {
    return await this.#get('top_ups', vendId);
  }

  topUps(): Promise<SavedTopUp[]> {
    return this.#all('top_ups');
  }

  async saveTopUp(topUp: SavedTopUp): Promise<void> {
    await this.#write('top_ups', (store) => store.put(plain(topUp)));
  }

  #get<T>(name: Name, key: string): Promise<T | undefined> {
    return done(this.db.transaction(name).objectStore(name).get(key));
  }

  #all<T>(name: Name): Promise<T[]> {
    return done(this.db.transaction(name).objectStore(name).getAll());
  }

  async #write(name: Name, write: (store: IDBObjectStore) => IDBRequest): Promise<void> {
    const store = this.db.transaction(name, 'readwrite').objectStore(name);
    await written(store, write(store));
  }
}

/** Once it is in the database, not only asked for: what is to be sent is there before. */
function written(store: IDBObjectStore, request: IDBRequest): Promise<void> {
  const { transaction } = store;
  return new Promise((resolve, reject) => {
    const failed = () => reject(transaction.error ?? request.error ?? new Error('IndexedDB does not say why'));
    transaction.oncomplete = () => resolve();
    transaction.onabort = failed;
    transaction.onerror = failed;
  });
}

/** Svelte's proxies cannot be stored. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
