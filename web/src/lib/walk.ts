// Takes a vend from step to step until it ends or nothing works for a while, through every fault that passes. What is
// decided is decided in the core; everything here can stop anywhere and go on from what was saved.
import { type Cloud, CloudError, type VendAnswer } from './cloud';
import {
  type Ending,
  type PaymentRequest,
  type Presentation,
  type Problem,
  type Quote,
  type ReceiptFile,
  type Step,
  type TopUp,
  type TopUpShown,
  type Trust,
  type Unapplied,
  fromHex,
  random,
  shownOf,
  stepOf,
  takeAnswer,
} from './core';
import { Card } from './link/card';
import { type CardDoor, LinkError } from './link/card-link';
import { pause } from './pause';
import type { SavedTopUp, Store } from './store';
import { type Trouble, troubleOf } from './trouble';
import { type Progress, visit } from './visit';

/** How long to go on trying while nothing works, ms. */
const PATIENCE_MS = 60_000;
/** First wait after a failure, ms; doubles. */
const PAUSE_MS = 300;
const PAUSE_MAX_MS = 4_000;

/** What the page is told while a vend is walked. */
export type Doing =
  | { doing: 'reaching_card' }
  | Progress
  | { doing: 'asking_cloud' }
  | { doing: 'waiting_for_payment' }
  | { doing: 'waiting_for_company' }
  | { doing: 'delivering' }
  | { doing: 'trying_again'; trouble: Trouble };

/** How far it came. */
export type Outcome =
  | { outcome: 'ended'; ending: Ending }
  /** Paid, and the recharge data waits on this phone for the meter. */
  | { outcome: 'to_be_delivered' }
  /** Nothing is lost: go on later. */
  | { outcome: 'unfinished'; trouble: Trouble }
  | { outcome: 'stopped' };

/** The user, and what the page can do for the walk. */
export interface Host {
  /** The card, if the user has chosen one; asking for it may need a tap. */
  door(): CardDoor | undefined;
  /** Shows the quote: whether the user agrees. */
  offer(quote: Quote): Promise<boolean>;
  /** How this payment is to be shown. */
  presentation(): Presentation;
  /** The user has come back from the cashier: that says that it is paid. */
  readonly hasPaid: boolean;
  /** Shows the payment request, until the signal: settles once the user says that it is paid. */
  pay(request: PaymentRequest, until: AbortSignal): Promise<void>;
  tell(doing: Doing): void;
  /** The vend has changed and is saved. */
  changed(shown: TopUpShown, saved: SavedTopUp): void;
}

export class Walk {
  #card: Card | undefined;
  /** Reading the meter, no more is done than the quote needs: until the meter turns out to lack something. */
  #isBrief = true;
  #stop = new AbortController();
  readonly #stopped = new Promise<undefined>((resolve) => {
    this.#stop.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });

  constructor(
    private readonly topUp: TopUp,
    private readonly trust: Trust,
    private readonly cloud: Cloud,
    private readonly store: Store,
    private readonly host: Host,
    private saved: SavedTopUp,
  ) {}

  /** Stops at the next step; what was begun is saved. */
  stop(): void {
    this.#stop.abort();
  }

  async run(): Promise<Outcome> {
    try {
      return await this.#walk();
    } finally {
      this.cloud.unfollow();
      await this.#letCardGo();
    }
  }

  async #walk(): Promise<Outcome> {
    let since: number | undefined;
    let wait = PAUSE_MS;
    for (;;) {
      // Before anything is done: whoever dies goes on from here.
      await this.#save();
      if (this.#stop.signal.aborted) return { outcome: 'stopped' };
      let trouble: Trouble;
      try {
        const step = stepOf(this.topUp, this.trust);
        if (step.step === 'end') return await this.#end(step.ending);
        const atCard = step.step === 'ask_card' || step.step === 'read_status';
        if (atCard && !this.#card && !this.host.door()) return { outcome: 'to_be_delivered' };
        const why = await this.#step(step);
        if (why === undefined) {
          since = undefined;
          wait = PAUSE_MS;
          continue;
        }
        trouble = { kind: 'unapplied', why: JSON.parse(why) as Unapplied };
      } catch (error) {
        trouble = troubleOf(error);
      }
      if (this.#stop.signal.aborted) continue;
      since ??= performance.now();
      if (!mayPass(trouble) || performance.now() - since > PATIENCE_MS) return { outcome: 'unfinished', trouble };
      this.host.tell({ doing: 'trying_again', trouble });
      await this.#recover(trouble);
      await pause(wait);
      wait = Math.min(wait * 2, PAUSE_MAX_MS);
    }
  }

  /** What may help before the next try. */
  async #recover(trouble: Trouble): Promise<void> {
    const otherMeter = trouble.kind === 'unapplied' && trouble.why.code === 'other_meter';
    if (trouble.kind === 'card' || otherMeter) {
      await this.#letCardGo();
      this.topUp.card_missed(this.trust);
    }
    // Perhaps nothing is left to be done: another phone did it, or the cloud sees the vend otherwise.
    const look = trouble.kind === 'card' || (trouble.kind === 'unapplied' && trouble.why.code === 'refused');
    const begun = this.#shown().vend !== undefined;
    if (!look || !begun) return;
    try {
      this.#answered(await this.cloud.follow(this.topUp.id, 0));
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
    }
  }

  /** Performs one step; why its event changed nothing, if so. */
  async #step(step: Exclude<Step, { step: 'end' }>): Promise<string | undefined> {
    const id = this.topUp.id;
    const { cloud, host, topUp, trust } = this;
    switch (step.step) {
      case 'read_status':
        return await this.#readStatus();
      case 'begin':
        host.tell({ doing: 'asking_cloud' });
        return this.#begun(await cloud.begin(id, step.body), step.body.status === undefined);
      case 'offer': {
        const { quote } = this.#shown();
        if (!quote) return topUp.declined(trust);
        const agreed = await Promise.race([host.offer(quote), this.#stopped]);
        if (agreed === undefined) return undefined;
        return agreed ? topUp.agreed(Date.now(), trust) : topUp.declined(trust);
      }
      case 'open_tender': {
        host.tell({ doing: 'asking_cloud' });
        await pause(step.after_ms);
        const asked = { ...step.body, presentation: host.presentation() };
        return this.#answered(await cloud.openTender(id, asked));
      }
      case 'pay':
        return await this.#pay(step.request);
      case 'confirm':
        host.tell({ doing: 'asking_cloud' });
        return this.#answered(await cloud.confirm(id, step.body));
      case 'follow':
        host.tell({ doing: this.#shown().vend?.token ? 'waiting_for_company' : 'waiting_for_payment' });
        return this.#answered(await cloud.follow(id, step.after_version, this.#stop.signal));
      case 'name_delivery':
        return topUp.name_delivery(random(8), trust);
      case 'ask_card': {
        await pause(step.after_ms);
        const card = await this.#reachCard();
        host.tell({ doing: 'delivering' });
        const request = topUp.card_request(trust);
        return request && topUp.card_answered(await card.ask(request), trust);
      }
      case 'upload_receipt':
        await this.#letCardGo();
        host.tell({ doing: 'asking_cloud' });
        return this.#answered(await cloud.putReceipt(id, step.body));
    }
  }

  /** The status that the quote shall rest on: the one read here a moment ago, or a fresh one. */
  async #readStatus(): Promise<string | undefined> {
    const card = await this.#reachCard();
    const visited = await visit(card, this.cloud, this.store, (progress) => this.host.tell(progress), this.#isBrief);
    await this.#letCardGo();
    return this.topUp.status_read(fromHex(visited.status), this.trust);
  }

  /** Where the company has something for the meter first, that is brought there, and the quote rests on what the meter
   * says after that: this status is of no more use. */
  #begun(answer: VendAnswer, isAway: boolean): string | undefined {
    const problem = 'problem' in answer ? (JSON.parse(answer.problem) as Problem) : undefined;
    // The core wants the meter read now; its user, who is not there, is told why.
    if (isAway && problem && this.#answered(answer) === undefined) throw new CloudError('refused', problem);
    if (problem?.waiting === undefined || !this.#isBrief) return this.#answered(answer);
    this.#isBrief = false;
    return this.#answered({ problem: JSON.stringify({ ...problem, code: 'nonce_not_live' }) });
  }

  async #pay(request: PaymentRequest): Promise<string | undefined> {
    if (this.host.hasPaid) return this.topUp.confirmed(Date.now(), this.trust);
    this.host.tell({ doing: 'waiting_for_payment' });
    const version = this.#shown().vend?.version ?? 0;
    const over = new AbortController();
    const until = AbortSignal.any([over.signal, this.#stop.signal]);
    try {
      const paid = this.host.pay(request, until).then(() => undefined);
      for (;;) {
        const news = this.cloud.follow(this.topUp.id, version, until);
        const first = await Promise.race([paid, news]);
        if (first === undefined) {
          news.catch(() => {});
          return this.#stop.signal.aborted ? undefined : this.topUp.confirmed(Date.now(), this.trust);
        }
        const same = 'vend' in first && (JSON.parse(first.vend) as { version: number }).version === version;
        if (!same) return this.#answered(first);
      }
    } finally {
      over.abort();
    }
  }

  async #reachCard(): Promise<Card> {
    if (this.#card) return this.#card;
    const door = this.host.door();
    if (!door) throw new LinkError('out_of_reach');
    this.host.tell({ doing: 'reaching_card' });
    const card = await Card.reach(door);
    this.#card = card;
    return card;
  }

  async #letCardGo(): Promise<void> {
    const card = this.#card;
    this.#card = undefined;
    await card?.leave();
  }

  #answered(answer: VendAnswer): string | undefined {
    return takeAnswer(this.topUp, answer, this.trust);
  }

  #shown(): TopUpShown {
    return shownOf(this.topUp, this.trust);
  }

  async #save(): Promise<void> {
    this.saved.saved = this.topUp.save();
    await this.store.saveTopUp(this.saved);
    this.host.changed(this.#shown(), this.saved);
  }

  async #end(ending: Ending): Promise<Outcome> {
    const receipt: ReceiptFile | undefined = 'receipt' in ending ? ending.receipt : undefined;
    if (receipt) this.saved.receipt = receipt;
    this.saved.is_over = ['accepted', 'refunded', 'declined', 'refused'].includes(ending.ending);
    await this.#save();
    return { outcome: 'ended', ending };
  }
}

/** Whether trying again may help. */
function mayPass(trouble: Trouble): boolean {
  switch (trouble.kind) {
    case 'card':
      return (
        !(trouble.error instanceof LinkError) ||
        !['no_bluetooth', 'bluetooth_off', 'permission', 'cancelled', 'not_a_card'].includes(trouble.error.trouble)
      );
    case 'cloud':
      return trouble.error.kind !== 'refused';
    case 'unapplied':
      return ['refused', 'card'].includes(trouble.why.code);
    case 'unknown':
      return false;
  }
}
