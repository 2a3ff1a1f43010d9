// What only a demo needs.
import type { components } from '../lib/api';
import { CloudError } from '../lib/cloud';
import { Bridge } from '../lib/link/bridge';
import type { Radio } from '../lib/link/card-link';
import { chooser } from './chooser.svelte';

export { default as Banner } from './Banner.svelte';

const ANSWER_MS = 20_000;

/** The way to the demo card; none where this cloud has no demo. */
export async function demoRadio(): Promise<Radio | undefined> {
  const origin = await bridgeOrigin();
  return origin === undefined ? undefined : new Bridge(origin, (cards) => chooser.choose(cards));
}

async function bridgeOrigin(): Promise<string | undefined> {
  try {
    const response = await fetch('/v1/bridge', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    if (response.status === 404) return undefined;
    if (response.ok) return ((await response.json()) as components['schemas']['DemoBridge']).origin;
  } catch (error) {
    throw new CloudError('unreachable', undefined, error);
  }
  throw new CloudError('unreachable');
}
