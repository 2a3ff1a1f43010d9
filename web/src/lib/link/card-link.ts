// A way to a card, whatever carries it: Web Bluetooth, a native shell, a bridge.

/** What can go wrong with a link, as a person can act on it. */
export type LinkTrouble =
  | 'no_bluetooth'
  | 'bluetooth_off'
  | 'permission'
  | 'cancelled'
  | 'out_of_reach'
  | 'link_lost'
  | 'not_a_card'
  | 'pairing'
  | 'link_stalled'
  | 'bridge_away'
  | 'bridge_busy';

/** The card could not be asked. Nothing is lost: ask again by the same ids. */
export class LinkError extends Error {
  constructor(
    readonly trouble: LinkTrouble,
    cause?: unknown,
  ) {
    super(`link: ${trouble}${cause instanceof Error ? ` (${cause.message})` : ''}`, { cause });
    this.name = 'LinkError';
  }
}

/** One open link. One operation at a time; after any failure it is closed for good. */
export interface CardLink {
  /** The Info characteristic. */
  readInfo(): Promise<Uint8Array>;
  /** Reads Bond, which makes the phone's system pair. */
  pair(): Promise<void>;
  /** Writes a value to Request, and waits until the card's radio has it. */
  write(value: Uint8Array): Promise<void>;
  /** Hands out indications of Response, in order; before the first request. */
  subscribe(heard: (value: Uint8Array) => void): Promise<void>;
  /** Settles once the link is down. */
  readonly closed: Promise<void>;
  /** Takes the link down and waits until it is. */
  close(): Promise<void>;
}

/** A card that was chosen: can be reached again without asking the user. */
export interface CardDoor {
  readonly name: string;
  connect(): Promise<CardLink>;
}

/** What finds cards. */
export interface Radio {
  /** Whether this browser can do it at all. */
  readonly available: boolean;
  /** Cards that the user has chosen before, where the browser remembers them. */
  remembered(): Promise<CardDoor[]>;
  /** Lets the user choose a card; needs a tap. */
  choose(): Promise<CardDoor>;
}

/** The card answered with a status that nothing here can mend. */
export class CardError extends Error {
  constructor(
    readonly code: number,
    words: string,
  ) {
    super(`card: ${words}`);
    this.name = 'CardError';
  }
}
