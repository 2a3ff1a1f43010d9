// A vend followed live: server-sent events where they come through, looking again where they do not.

/** How long to trust a silent stream, ms: a phone that changes its network may not notice that it is dead. */
const SILENT_MS = 25_000;

export class Live {
  #source: EventSource | undefined;
  #id: string | undefined;
  #newest: { version: number; vend: string } | undefined;
  #wake: (() => void) | undefined;
  #broken = false;

  /** The vend as soon as its version is above this one; nothing when the caller should look by itself. */
  async after(id: string, version: number, signal: AbortSignal | undefined): Promise<string | undefined> {
    this.#open(id);
    const until = performance.now() + SILENT_MS;
    for (;;) {
      if (this.#newest && this.#newest.version > version) return this.#newest.vend;
      const left = until - performance.now();
      if (this.#broken || left <= 0 || signal?.aborted) return undefined;
      await this.#news(left, signal);
    }
  }

  close(): void {
    this.#source?.close();
    this.#source = undefined;
    this.#id = undefined;
    this.#newest = undefined;
  }

  #open(id: string): void {
    if (this.#id === id && this.#source && this.#source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.#id = id;
    this.#broken = false;
    const source = new EventSource(`/v1/vends/${id}/events`);
    this.#source = source;
    source.addEventListener('vend', (event) => {
      this.#newest = { version: Number(event.lastEventId), vend: String(event.data) };
      this.#wake?.();
    });
    // It comes back by itself; meanwhile the caller looks.
    source.addEventListener('error', () => {
      this.#broken = true;
      this.#wake?.();
    });
    source.addEventListener('open', () => {
      this.#broken = false;
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
