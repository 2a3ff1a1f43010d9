// A card in the air of a test, which fails as it is told; below it a browser's or a shell's Bluetooth, as faked beside.

export const IDS = {
  service: '5f9b8ec7-76b8-4120-a451-b3c0a3849625',
  info: '78c37e22-1738-4015-a82f-404a9abb0ae6',
  request: '76f73fe2-de76-46d8-8b31-e3c4cf7c3a54',
  response: '67445778-281a-4e42-b4aa-0d4514196b75',
  bond: '1e02267d-5a82-4e50-bb65-cbaa889e88d7',
};

export const INFO = Uint8Array.of(1, 1, 0, 244, 4, 255);
export const BONDED = Uint8Array.of(1);

/** What a stack is asked to do with a card. */
export type Operation = 'connect' | 'info' | 'bond' | 'create_bond' | 'write' | 'subscribe' | 'unsubscribe';

export const refused = (): Promise<void> => Promise.reject(new Error('GATT operation failed for unknown reason.'));
export const unanswered = (): Promise<void> => new Promise(() => {});

let cards = 0;

export class FakeCard {
  readonly id = `C0:FF:EE:00:00:${String((cards += 1)).padStart(2, '0')}`;
  readonly name = `Pilotlight-${cards}`;
  service = IDS.service;
  characteristics = [IDS.info, IDS.request, IDS.response, IDS.bond];
  isUp = false;
  isBonded = false;
  /** Nobody is told that the link has ended. */
  isSilentlyCut = false;
  /** Everything asked of the stack, and `disconnect`, in order. */
  readonly did: (Operation | 'disconnect')[] = [];
  readonly written: number[][] = [];
  mostAtOnce = 0;
  /** Told of the end of a link. */
  onEnd: () => void = () => {};
  /** The subscription of the link that is up. */
  onIndication: ((value: Uint8Array<ArrayBuffer>) => void) | undefined;
  #underWay = 0;
  readonly #fates = new Map<Operation, (() => Promise<void>)[]>();

  /** What becomes of the next such operation. */
  next(operation: Operation, fate: () => Promise<void>): void {
    this.#fates.set(operation, [...(this.#fates.get(operation) ?? []), fate]);
  }

  /** The next such operation goes on once this is called. */
  hold(operation: Operation): () => void {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.next(operation, () => held);
    return release;
  }

  async perform(operation: Operation): Promise<void> {
    this.did.push(operation);
    this.#underWay += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay);
    try {
      await this.#fates.get(operation)?.shift()?.();
      if (operation === 'connect') this.isUp = true;
      else if (!this.isUp) throw new Error('GATT Server is disconnected.');
    } finally {
      this.#underWay -= 1;
    }
  }

  read(uuid: string): Promise<void> {
    return this.perform(uuid === IDS.info ? 'info' : 'bond');
  }

  valueOf(uuid: string): Uint8Array<ArrayBuffer> {
    return uuid === IDS.info ? INFO : BONDED;
  }

  async write(value: Uint8Array): Promise<void> {
    await this.perform('write');
    this.written.push([...value]);
  }

  /** The phone lets go. */
  disconnect(): void {
    this.did.push('disconnect');
    this.cut();
  }

  /** The link ends. Who waits for an answer then waits for ever: the worst of what stacks do. */
  cut(): void {
    const wasUp = this.isUp;
    this.isUp = false;
    this.onIndication = undefined;
    if (wasUp && !this.isSilentlyCut) this.onEnd();
  }

  indicate(...value: number[]): void {
    this.onIndication?.(Uint8Array.from(value));
  }
}
