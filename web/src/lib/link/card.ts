// A card with its meter known: questions and answers over one link.
import {
  type CardInfo,
  type CardReport,
  type CardRequest,
  type CardResponse,
  CardRequest as Request,
  Exchange,
  cardCode,
  card_report,
  info,
  random,
} from '../core';
import { pause } from '../pause';
import { CardError, type CardDoor, type CardLink, LinkError } from './card-link';

/** The card knows its own ATT MTU and answers with what fits; the page cannot know it. */
const VALUE_MAX = 244;
const WINDOW = 4;
/** How often a question that changes nothing is put, and how long to wait between, ms. */
const TRIES = 4;
const AGAIN_MS = 1_000;

export class Card {
  private constructor(
    private readonly link: CardLink,
    private readonly exchange: Exchange,
    readonly info: CardInfo,
    /** The answer to CARD, as it came. */
    readonly reportBytes: Uint8Array,
    readonly report: CardReport,
  ) {}

  /** Connects, says hello and asks the card who it is. */
  static async reach(door: CardDoor): Promise<Card> {
    const link = await door.connect();
    try {
      const about = JSON.parse(info(await link.readInfo())) as CardInfo;
      const hello = new DataView(random(4).buffer).getUint32(0);
      const exchange = new Exchange(VALUE_MAX, WINDOW, hello, performance.now());
      const line = new Line(link, exchange);
      await link.subscribe((value) => line.heard(value));
      const answer = await line.ask(Request.card(random(8)));
      if (answer.code !== cardCode.ok) throw new CardError(answer.code, answer.words);
      const body = answer.body;
      const card = new Card(link, exchange, about, body, JSON.parse(card_report(body)) as CardReport);
      card.#line = line;
      return card;
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  #line!: Line;

  /** The meter that it is plugged in; none where it has not heard it yet. */
  get meter(): string | null {
    return this.report.meter;
  }

  /** Pairs, where the card wants that for status and history. */
  async pair(): Promise<void> {
    if (this.info.needs_pairing) await this.link.pair();
  }

  /** Asks, and waits for the answer, whatever its status. */
  ask(request: CardRequest): Promise<CardResponse> {
    return this.#line.ask(request);
  }

  /** Asks for something that changes nothing, again where the answer says so. */
  async askPatiently(make: () => CardRequest): Promise<CardResponse> {
    const again: number[] = [cardCode.inProgress, cardCode.busy, cardCode.meterSilent, cardCode.meterGarbled];
    for (let left = TRIES; ; left -= 1) {
      const answer = await this.ask(make());
      if (left === 1 || !again.includes(answer.code)) return answer;
      await pause(AGAIN_MS);
    }
  }

  /** Lets the card go, so that another phone can get in. */
  async leave(): Promise<void> {
    await this.link.close();
    this.exchange.free();
  }
}

/** Runs the exchange over the link. */
class Line {
  #wake: (() => void) | undefined;
  #lost = false;

  constructor(
    private readonly link: CardLink,
    private readonly exchange: Exchange,
  ) {
    void link.closed.then(() => {
      this.#lost = true;
      this.#wake?.();
    });
  }

  heard(value: Uint8Array): void {
    this.exchange.handle_value(value, performance.now());
    this.#wake?.();
  }

  async ask(request: CardRequest): Promise<CardResponse> {
    this.exchange.ask(request, performance.now());
    for (;;) {
      const output = this.exchange.poll(performance.now());
      if (output?.error !== undefined) throw new LinkError('link_stalled', new Error(output.error));
      if (output?.answer) return output.answer;
      if (output?.value) {
        await this.link.write(output.value);
        this.exchange.handle_sent(performance.now());
        continue;
      }
      if (this.#lost) throw new LinkError('link_lost');
      await this.#somethingHappens();
      this.exchange.handle_timeout(performance.now());
    }
  }

  /** An indication, the end of the link, or the exchange's deadline. */
  #somethingHappens(): Promise<void> {
    return new Promise((resolve) => {
      const left = (this.exchange.deadline ?? Number.POSITIVE_INFINITY) - performance.now();
      const timer = setTimeout(resolve, Math.min(Math.max(left, 0), 30_000));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
