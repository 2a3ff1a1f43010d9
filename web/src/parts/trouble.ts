// Troubles by their codes, and what helps against each.
import { CardError, LinkError } from '../lib/link/card-link';
import { type Trouble, problemOf } from '../lib/trouble';

/** Status codes of the card (docs/protocols/link.md section 4). */
const CARD_CODES: Record<number, string> = {
  0x15: 'card_busy',
  0x17: 'card_pairing_required',
  0x20: 'card_meter_silent',
  0x21: 'card_meter_refused',
  0x22: 'card_wrong_meter',
  0x23: 'card_meter_garbled',
  0x30: 'card_storage_failed',
};

/** What helps. */
export type Remedy = 'retry' | 'other_card' | 'new_quote' | 'read_meter' | 'open_vend';

export function codeOf(trouble: Trouble): string {
  switch (trouble.kind) {
    case 'card':
      return trouble.error instanceof LinkError
        ? trouble.error.trouble
        : (CARD_CODES[trouble.error.code] ?? 'card_other');
    case 'cloud':
      return (
        trouble.error.problem?.code ?? (trouble.error.kind === 'unreachable' ? 'cloud_unreachable' : 'cloud_not_now')
      );
    case 'unapplied':
      return trouble.why.problem?.code ?? trouble.why.code;
    case 'unknown':
      return 'unknown';
  }
}

export function remedyOf(trouble: Trouble): Remedy {
  const code = codeOf(trouble);
  if (code === 'tender_open' && problemOf(trouble)?.vend_id) return 'open_vend';
  return REMEDIES[code] ?? 'retry';
}

const REMEDIES: Record<string, Remedy> = {
  other_meter: 'other_card',
  card_wrong_meter: 'other_card',
  not_a_card: 'other_card',
  quote_expired: 'new_quote',
  quote_stale: 'new_quote',
  over_limit: 'new_quote',
  want_not_sellable: 'new_quote',
  nonce_not_live: 'new_quote',
  debit_open: 'read_meter',
  books_restored: 'read_meter',
  not_enrolled: 'read_meter',
  reading_too_old: 'read_meter',
};

/** Whether the card that was chosen may be the wrong one. */
export function mayBeOtherCard(trouble: Trouble): boolean {
  const before = ['no_bluetooth', 'bluetooth_off', 'permission', 'cancelled', 'bridge_away', 'bridge_busy'];
  return trouble.kind === 'card' && !before.includes(codeOf(trouble));
}

/** What the one who threw it says: for those who help. */
export function detailOf(trouble: Trouble): string | undefined {
  if (trouble.kind === 'unapplied') return trouble.why.detail;
  if (trouble.kind === 'unknown') return trouble.error instanceof Error ? trouble.error.message : undefined;
  return trouble.error instanceof CardError ? trouble.error.message : undefined;
}
