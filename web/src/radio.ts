// What reaches cards here.
import type { Radio } from './lib/link/card-link';

/** As a native shell leaves it for the page, before the page's first script. */
interface Shell {
  Capacitor?: { isNativePlatform?: () => boolean };
}

/** Only what is used here is loaded, beside the core. */
export async function radioHere(): Promise<Radio> {
  if ((globalThis as Shell).Capacitor?.isNativePlatform?.()) return (await import('./shell')).radio();
  return new (await import('./lib/link/web-bluetooth')).WebBluetooth();
}
