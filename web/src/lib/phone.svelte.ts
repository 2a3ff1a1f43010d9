// This phone: its meters, its vends, what it is doing just now. Screens show it and call it; it calls nothing of theirs.
import { Cloud, CloudError } from './cloud';
import {
  History,
  PhoneKey,
  type PaymentRequest,
  type Presentation,
  type Quote,
  type Reading,
  TopUp,
  type TopUpShown,
  Trust,
  type Want,
  prove,
  random,
  shownOf,
  startCore,
  stepOf,
} from './core';
import { type CardDoor, LinkError, type Radio } from './link/card-link';
import { pause } from './pause';
import { type KnownMeter, type SavedTopUp, Store } from './store';
import { type Trouble, troubleOf } from './trouble';
import type { Progress } from './visit';
import type { Doing, Host, Outcome, Walk } from './walk';

/** How often a meter is visited when links break off, and how long to wait between, ms. */
const VISITS = 4;
const VISIT_AGAIN_MS = 700;

/** How long until what could not be sent is sent again, ms: doubles. */
const CATCH_UP_AGAIN_MS = 2_000;
const CATCH_UP_LATE_MS = 300_000;

/** The first look needs nothing of it; whoever comes to it needs the internet anyway. */
function atMeter() {
  return import('./at-meter').catch(() => {
    throw new CloudError('unreachable');
  });
}

/** A vend, and what is being done for it just now. */
export interface Work {
  vend_id: string;
  shown: TopUpShown | undefined;
  doing: Doing | undefined;
  /** The quote that waits for the user's word. */
  offer: { quote: Quote; answer: (agreed: boolean) => void } | undefined;
  /** The payment request that waits for the payer. */
  payment: { request: PaymentRequest; paid: () => void } | undefined;
  outcome: Outcome | undefined;
}

/** Something at the meter that is no vend. */
export interface Visit {
  progress: Progress | { doing: 'reaching_card' } | undefined;
  trouble: Trouble | undefined;
  is_over: boolean;
}

export interface ShownTopUp {
  saved: SavedTopUp;
  shown: TopUpShown;
}

export class Phone {
  meters = $state<KnownMeter[]>([]);
  topUps = $state<ShownTopUp[]>([]);
  work = $state<Work | undefined>();
  visiting = $state<Visit | undefined>();
  /** Which meter is shown. */
  current = $state<string | undefined>();
  online = $state(navigator.onLine);
  /** Whether this browser can talk to a card. */
  readonly canReachCards: boolean;

  #door: CardDoor | undefined;
  #walk: Walk | undefined;
  #walked: Promise<void> = Promise.resolve();
  #catchingUp: Promise<void> | undefined;
  #catchUpLater: ReturnType<typeof setTimeout> | undefined;
  #catchUpWait = CATCH_UP_AGAIN_MS;

  private constructor(
    private readonly store: Store,
    private readonly cloud: Cloud,
    private readonly trust: Trust,
    private readonly radio: Radio,
  ) {
    this.canReachCards = radio.available;
    addEventListener('online', () => {
      this.online = true;
      void this.catchUp();
    });
    addEventListener('offline', () => {
      this.online = false;
    });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') void this.catchUp();
    });
  }

  /** Starts: the first time it needs the cloud, for the keys with which everything is checked. `memory` is the name of
   * what it remembers. */
  static async start(here: Promise<Radio>, memory?: string): Promise<Phone> {
    const store = await Store.open(memory);
    // At the same time: the first visit waits for all of them.
    const [keys, radio] = await Promise.all([store.setting('keys', () => Cloud.keys()), here, startCore()]);
    const secret = await store.setting('phone_key', () => Array.from(random(32)));
    const cloud = new Cloud(new PhoneKey(Uint8Array.from(secret)));
    const phone = new Phone(store, cloud, new Trust(keys), radio);
    await phone.#load();
    void navigator.storage?.persist?.();
    return phone;
  }

  async #load(): Promise<void> {
    this.meters = await this.store.meters();
    this.current = await this.store.setting<string>('current_meter', () => this.meters[0]?.meter ?? '');
    if (!this.meters.some((known) => known.meter === this.current)) this.current = this.meters[0]?.meter;
    const saved = await this.store.topUps();
    this.topUps = saved.map((one) => ({ saved: one, shown: this.#shown(one) }));
    this.#sort();
  }

  get meter(): KnownMeter | undefined {
    return this.meters.find((known) => known.meter === this.current);
  }

  /** Vends that are not over, newest first. */
  get open(): ShownTopUp[] {
    return this.topUps.filter(({ saved }) => !saved.is_over);
  }

  readingsOf(known: KnownMeter): Reading[] {
    const history = History.load(known.history);
    const readings = JSON.parse(history.readings()) as Reading[];
    history.free();
    return readings;
  }

  async show(meter: string): Promise<void> {
    this.current = meter;
    await this.store.keep('current_meter', meter);
  }

  async rename(meter: string, name: string): Promise<void> {
    await this.#change(meter, (known) => {
      known.name = name;
    });
  }

  async #change(meter: string, change: (known: KnownMeter) => void): Promise<void> {
    const changed = await this.store.changeMeter(meter, change);
    this.meters = this.meters.map((one) => (changed && one.meter === meter ? changed : one));
  }

  /** Forgets a meter here, and that this phone may see its data. */
  async forget(meter: string): Promise<void> {
    await this.cloud.forget(meter).catch(() => {});
    await this.store.dropMeter(meter);
    await this.#load();
  }

  /** Lets the user choose a card; call it from a tap. */
  async chooseCard(): Promise<void> {
    this.#door = await this.radio.choose();
  }

  get hasCard(): boolean {
    return this.#door !== undefined;
  }

  /** Reads the meter: from a tap, since a card may have to be chosen. */
  async read(): Promise<void> {
    const doing: Visit = $state({ progress: { doing: 'reaching_card' }, trouble: undefined, is_over: false });
    this.visiting = doing;
    try {
      // Comes while the user chooses.
      void atMeter().catch(() => {});
      if (!this.#door) await this.chooseCard();
      if (!this.#door) return;
      await this.#visit(this.#door, doing);
      await this.refresh();
      await this.#fetchAsks();
    } catch (error) {
      doing.trouble = troubleOf(error);
    } finally {
      doing.is_over = true;
    }
  }

  /** A link that breaks off costs what was not fetched yet only: the next one goes on there. */
  async #visit(door: CardDoor, doing: Visit): Promise<void> {
    for (let left = VISITS; ; left -= 1) {
      try {
        await this.#visitOnce(door, doing);
        return;
      } catch (error) {
        const passes =
          error instanceof LinkError && ['link_lost', 'link_stalled', 'out_of_reach'].includes(error.trouble);
        if (!passes || left === 1) throw error;
        doing.progress = { doing: 'reaching_card' };
        await pause(VISIT_AGAIN_MS);
      }
    }
  }

  async #visitOnce(door: CardDoor, doing: Visit): Promise<void> {
    const { Card, visit } = await atMeter();
    const card = await Card.reach(door);
    try {
      await visit(card, this.cloud, this.store, (progress) => {
        doing.progress = progress;
      });
      if (card.meter !== null) await this.show(card.meter);
    } finally {
      await card.leave();
      await this.#load();
    }
  }

  /** The visit that is over has been seen. */
  putAway(): void {
    if (this.visiting?.is_over) this.visiting = undefined;
  }

  /** Reads the meter of another card than the one chosen before. */
  async readOther(): Promise<void> {
    this.#door = undefined;
    await this.read();
  }

  /** Begins a vend for a meter and walks it as far as it goes; `away` from the meter, from its newest reading. */
  async topUp(meter: string, want: Want, away = false): Promise<void> {
    const topUp = TopUp.begin(meter, JSON.stringify(want), Date.now(), random(10));
    if (away) topUp.unread(this.trust);
    await this.#walkOn(topUp, await this.#saveNew(topUp));
  }

  /** Takes up a vend that another phone has begun, to pay for it or to carry it: whether there is such a vend. */
  async takeUp(vendId: string): Promise<boolean> {
    // Begun here, in another window.
    const here = await this.store.topUp(vendId);
    if (here) {
      this.#put({ saved: here, shown: this.#shown(here) });
      return true;
    }
    const answer = await this.cloud.follow(vendId, 0);
    if (!('vend' in answer)) return false;
    const topUp = TopUp.of_another(answer.vend, Date.now(), this.trust);
    this.#put({ saved: await this.#saveNew(topUp), shown: shownOf(topUp, this.trust) });
    topUp.free();
    return true;
  }

  async #saveNew(topUp: TopUp): Promise<SavedTopUp> {
    const saved: SavedTopUp = {
      vend_id: topUp.id,
      meter: topUp.meter,
      begun_at_ms: Date.now(),
      saved: topUp.save(),
      is_over: false,
    };
    await this.store.saveTopUp(saved);
    return saved;
  }

  /** Goes on with a vend, from where it was; `returned` from the cashier, where the user has said that it is paid. */
  async goOn(vendId: string, returned = false): Promise<void> {
    await this.#stopWalk();
    const saved = this.topUps.find((one) => one.saved.vend_id === vendId)?.saved;
    if (!saved) return;
    await this.#walkOn(TopUp.load(saved.saved), { ...saved }, returned);
  }

  /** What walked before saves once more as it stops, and lets the card go. */
  async #stopWalk(): Promise<void> {
    this.#walk?.stop();
    await this.#walked;
  }

  /** Leaves the vend that is being walked; it stays as it is. */
  leave(): void {
    this.#walk?.stop();
    this.work = undefined;
  }

  async #walkOn(topUp: TopUp, saved: SavedTopUp, returned = false): Promise<void> {
    await this.#stopWalk();
    const work: Work = $state({
      vend_id: saved.vend_id,
      shown: undefined,
      doing: undefined,
      offer: undefined,
      payment: undefined,
      outcome: undefined,
    });
    this.work = work;
    const lock = await navigator.wakeLock?.request('screen').catch(() => undefined);
    try {
      // The first look needs none.
      const { Walk } = await import('./walk');
      const walk = new Walk(topUp, this.trust, this.cloud, this.store, this.#host(work, returned), saved);
      this.#walk = walk;
      const walked = walk.run();
      this.#walked = walked.then(
        () => {},
        () => {},
      );
      work.outcome = await walked;
    } catch (error) {
      work.outcome = { outcome: 'unfinished', trouble: { kind: 'unknown', error } };
    } finally {
      work.doing = undefined;
      work.offer = undefined;
      work.payment = undefined;
      topUp.free();
      await lock?.release();
      if (work.outcome?.outcome === 'ended') {
        await this.#load();
        // What had to wait for the vend, so that its user had not to wait for it.
        void this.catchUp();
      }
    }
  }

  #host(work: Work, returned: boolean): Host {
    return {
      door: () => this.#door,
      offer: (quote) =>
        new Promise((resolve) => {
          work.offer = {
            quote,
            answer: (agreed) => {
              work.offer = undefined;
              resolve(agreed);
            },
          };
        }),
      presentation: (): Presentation => this.presentation,
      hasPaid: returned,
      pay: (request, until) =>
        new Promise((resolve) => {
          const done = () => {
            work.payment = undefined;
            resolve();
          };
          work.payment = { request, paid: done };
          until.addEventListener('abort', done, { once: true });
        }),
      tell: (doing) => {
        work.doing = doing;
      },
      changed: (shown, saved) => {
        work.shown = shown;
        this.#put({ saved: { ...saved }, shown });
      },
    };
  }

  /** How the next payment request is to be shown: on this phone, or as a QR code for another device or payer. */
  presentation = $state<Presentation>('h5');

  /** What the cloud knows of the meter that is shown, where this phone may see it. */
  async refresh(): Promise<void> {
    const known = this.meter;
    if (!known?.is_enrolled) return;
    let told: Pick<KnownMeter, 'cloud'> & { is_enrolled: boolean };
    try {
      const { state, vends } = await this.cloud.meter(known.meter);
      told = { cloud: state ? { state, vends } : { vends }, is_enrolled: true };
    } catch (error) {
      // What was shown before stays, with its age.
      if (!(error instanceof CloudError && error.problem?.code === 'not_enrolled')) return;
      told = { is_enrolled: false };
    }
    await this.#change(known.meter, (known) => {
      Object.assign(known, told);
    });
  }

  /** Sends what waits, and looks at vends that may have news: at the start, and whenever the internet is back. What the
   * cloud did not take is sent again after a while: the internet may be back in name only. */
  catchUp(): Promise<void> {
    this.#catchingUp ??= this.#catchUpOnce().finally(() => {
      this.#catchingUp = undefined;
    });
    return this.#catchingUp;
  }

  async #catchUpOnce(): Promise<void> {
    clearTimeout(this.#catchUpLater);
    if (this.meters.length === 0 && this.open.length === 0) return;
    const allSent = await this.#passOn().catch(() => false);
    await this.refresh();
    await this.#fetchAsks();
    this.#catchUpWait = allSent ? CATCH_UP_AGAIN_MS : Math.min(this.#catchUpWait * 2, CATCH_UP_LATE_MS);
    if (allSent || !this.online) return;
    this.#catchUpLater = setTimeout(() => void this.catchUp(), this.#catchUpWait);
  }

  /** Whether the cloud has all that was read. */
  async #passOn(): Promise<boolean> {
    const { passOn } = await atMeter();
    const allSent = await this.#forEachMeter((meter) => passOn(this.cloud, this.store, meter));
    for (const { saved } of this.open) {
      if (this.#isWalking(saved.vend_id)) continue;
      await this.#catchUpWith({ ...saved }).catch(() => {});
    }
    return allSent;
  }

  /** So that each meter can be read without internet, once. What fails now is done another time. */
  async #fetchAsks(): Promise<void> {
    const here = await atMeter().catch(() => undefined);
    if (here) await this.#forEachMeter((meter) => here.fetchAsks(this.cloud, this.store, meter));
  }

  /** Whether it was done for all; what fails for one is no reason not to do it for the next. */
  async #forEachMeter(work: (meter: string) => Promise<void>): Promise<boolean> {
    let isDone = true;
    for (const { meter } of this.meters) {
      await work(meter).catch(() => {
        isDone = false;
      });
    }
    this.meters = await this.store.meters();
    return isDone;
  }

  async #catchUpWith(saved: SavedTopUp): Promise<void> {
    const { catchUp } = await atMeter();
    const topUp = TopUp.load(saved.saved);
    try {
      await catchUp(topUp, this.trust, this.cloud, async () => {
        // The user has taken it up meanwhile.
        if (this.#isWalking(saved.vend_id)) throw new Error('walked');
        saved.saved = topUp.save();
        const step = stepOf(topUp, this.trust);
        if (step.step === 'end' && 'receipt' in step.ending) {
          saved.receipt = step.ending.receipt;
          saved.is_over = step.ending.ending !== 'refund_pending';
        }
        await this.store.saveTopUp(saved);
        this.#put({ saved: { ...saved }, shown: shownOf(topUp, this.trust) });
      });
    } finally {
      topUp.free();
    }
  }

  #isWalking(vendId: string): boolean {
    return this.work?.vend_id === vendId && this.work.outcome === undefined;
  }

  /** Whether a receipt holds, checked here, without network. */
  holds(saved: SavedTopUp): boolean {
    try {
      prove(JSON.stringify(saved.receipt), this.trust);
      return true;
    } catch {
      return false;
    }
  }

  #put(one: ShownTopUp): void {
    const place = this.topUps.findIndex(({ saved }) => saved.vend_id === one.saved.vend_id);
    if (place < 0) this.topUps.push(one);
    else this.topUps[place] = one;
    this.#sort();
  }

  #sort(): void {
    this.topUps.sort((one, other) => other.saved.begun_at_ms - one.saved.begun_at_ms);
  }

  #shown(saved: SavedTopUp): TopUpShown {
    const topUp = TopUp.load(saved.saved);
    const shown = shownOf(topUp, this.trust);
    topUp.free();
    return shown;
  }
}
