// A vend followed live: server-sent events where they come through, looking again where they do not.

/** How long to trust a silent stream, ms: a phone that changes its network may not notice that it is dead. */
const SILENT_MS = 25_000;
/** How long a broken stream may take to come back before the caller looks, ms. Streams break also as a page is left,
 * and what would be asked for then nobody waits for. */
const BROKEN_MS = 1_500;

export class Live {
  #source: EventSource | undefined;
  #id: string | undefined;
  #newest: { version: number; vend: string } | undefined;
  #wake: (() => void) | undefined;
  #brokenAt: number | undefined;

  /** The vend as soon as its version is above this one; nothing when the caller should look by itself. */
  async after(id: string, version: number, signal: AbortSignal | undefined): Promise<string | undefined> {
    this.#open(id, version);
    const until = performance.now() + SILENT_MS;
    for (;;) {
      if (this.#newest && this.#newest.version > version) return this.#newest.vend;
      const broken = this.#brokenAt === undefined ? Number.POSITIVE_INFINITY : this.#brokenAt + BROKEN_MS;
      const left = Math.min(until, broken) - performance.now();
      if (left <= 0 || signal?.aborted) return undefined;
      await this.#news(left, signal);
    }
  }

  close(): void {
    this.#source?.close();
    this.#source = undefined;
    this.#id = undefined;
    this.#newest = undefined;
  }

  #open(id: string, version: number): void {
    if (this.#id === id && this.#source && this.#source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.#id = id;
    this.#brokenAt = undefined;
    const source = new EventSource(`/v1/vends/${id}/events?after_version=${version}`);
    this.#source = source;
    source.addEventListener('vend', (event) => {
      this.#newest = { version: Number(event.lastEventId), vend: String(event.data) };
      this.#wake?.();
    });
    // It comes back by itself; meanwhile the caller looks.
    source.addEventListener('error', () => {
      this.#brokenAt ??= performance.now();
      this.#wake?.();
    });
    source.addEventListener('open', () => {
      this.#brokenAt = undefined;
    });
  }

  #news(longest: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longest);
      const woken = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#wake = woken;
      signal?.addEventListener('abort', woken, { once: true });
    });
  }
}
