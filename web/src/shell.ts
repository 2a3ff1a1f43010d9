// What only a native shell loads.
import { CapacitorBluetooth } from './lib/link/capacitor';
import type { Radio } from './lib/link/card-link';
import { chooser } from './words/chooser';
import { speech } from './words/speech.svelte';

export function radio(): Radio {
  return new CapacitorBluetooth(() => chooser[speech.language]);
}
