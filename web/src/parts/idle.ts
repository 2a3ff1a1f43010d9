/** How long the page may have something else to do, ms. */
const IDLE_WITHIN_MS = 2_000;

/** When the page has been shown and has nothing to do. Not every browser can tell. */
export function idle(): Promise<void> {
  return new Promise((resolve) => {
    if ('requestIdleCallback' in globalThis) requestIdleCallback(() => resolve(), { timeout: IDLE_WITHIN_MS });
    else setTimeout(resolve, IDLE_WITHIN_MS / 10);
  });
}
