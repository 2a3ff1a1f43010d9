// A demo: this page with a demo card, through the bridge that the cloud names. A link says only that it is to be one, never
// which bridge: nobody's link leads the page to somebody else's.
const KEPT = 'pilotlight.demo';

/** Where a demo's meters and vends are remembered: not among a household's own. */
export const DEMO_MEMORY = 'pilotlight-demo';

/** What stands in front of a place in a demo's links: whoever is sent one, or is led back, is in the demo again. */
const MARK = '/demo';

/** The place in the demo that this address means, if it is the demo's link or one out of it. */
export function demoPlace(hash: string): string | undefined {
  const [, place] = /^#\/demo(\/(?:vend\/[0-9a-f-]+|returned\b.*))?$/.exec(hash) ?? [];
  return hash === `#${MARK}` ? '/' : place;
}

/** What a link to a place of this page begins with. */
export function linkMark(): string {
  return isDemo() ? MARK : '';
}

/** Whether this tab came by the demo link and has not left it since. */
export function isDemo(): boolean {
  try {
    return sessionStorage.getItem(KEPT) !== null;
  } catch {
    return false;
  }
}

export function enterDemo(): void {
  try {
    sessionStorage.setItem(KEPT, '1');
  } catch {
    // Storage may be forbidden; then nothing else works here either, and the page says so.
  }
}

export function leaveDemo(): void {
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // As above: there is none.
  }
}
