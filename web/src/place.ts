// The places of the page, as its addresses name them.
import { linkMark } from './demo';

export type Place =
  | { screen: 'home' | 'top-up' | 'history' | 'meters' | 'help' }
  | { screen: 'vend'; vend: string; returned: boolean }
  | { screen: 'receipt'; vend: string };

const SIMPLE = ['top-up', 'history', 'meters', 'help'] as const;

export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [screen = '', id] = path.split('/');
  if (screen === 'vend' && id) return { screen, vend: id, returned: query.startsWith('returned') };
  if (screen === 'receipt' && id) return { screen, vend: id };
  return { screen: SIMPLE.find((one) => one === screen) ?? 'home' };
}

/** Where another phone finds a vend. What stands behind # is sent to no server: whoever has the link may pay and carry. */
export function linkTo(vendId: string): string {
  return `${location.origin}/#${linkMark()}/vend/${vendId}`;
}

/** A household at the cashier is not led back to a demo's vend, nor the other way round. */
const paying = () => `pilotlight${linkMark().replace('/', '.')}.paying`;

/** Where the provider leads back to once a vend is paid. It is not told which vend that is, since whoever knows a vend's id
 * may follow it; this phone remembers. */
export function wayBack(vendId: string): string {
  localStorage.setItem(paying(), vendId);
  return `${location.origin}/#${linkMark()}/returned`;
}

/** The place that a provider's way back means here. */
export function returnedTo(hash: string): string | undefined {
  if (!/^#\/returned\b/.test(hash)) return undefined;
  const vend = localStorage.getItem(paying());
  return vend ? `/vend/${vend}?returned` : '/history';
}
