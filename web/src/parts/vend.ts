// A vend in few words.
import type { TopUpShown, VendState } from '../lib/core';
import type { Format } from '../lib/format';
import type { ShownTopUp } from '../lib/phone.svelte';

/** `none`: no quote yet. `declined`: it is over, and nobody was asked to pay. */
export type ShownState = VendState | 'none' | 'declined';

export function stateOf({ saved, shown }: ShownTopUp): ShownState {
  const state = shown.vend?.state;
  const isUnpaid = state === undefined || state === 'quoted' || state === 'tender_requested';
  if (saved.is_over && isUnpaid) return 'declined';
  return state ?? 'none';
}

/** What it brings to the meter, or what was asked for while that is not known. */
export function creditOf({ quote, want }: TopUpShown, format: Format): string {
  if (quote) return format.balance(quote.explanation.credit, quote.explanation.basis.unit);
  return 'amount_fen' in want ? format.money(want.amount_fen) : format.volume(want.volume_centi_m3);
}
