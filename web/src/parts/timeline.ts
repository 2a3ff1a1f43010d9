// A vend's way, step by step, for whoever asks where the money is.
import type { TopUpShown, VendState } from '../lib/core';
import { payloadOf } from './receipt';

export interface Stage {
  state: VendState | 'begun';
  /** Ms since 1970; none where it was not reached yet. */
  at_ms: number | undefined;
  is_now: boolean;
  /** At which provider, and the order's number there. */
  provider?: string;
  order?: string;
}

const WAY: VendState[] = ['quoted', 'tender_requested', 'tender_confirmed', 'token_issued', 'delivered', 'accepted'];
const BACK: VendState[] = ['refund_pending', 'refunded'];
const AT_PROVIDER: Stage['state'][] = ['tender_requested', 'tender_confirmed', 'refunded'];

/** `isOver`: nothing more will come, so that only what was reached is told. */
export function stagesOf(shown: TopUpShown, isOver: boolean): Stage[] {
  const { vend } = shown;
  const at = (state: VendState) => vend?.timeline.findLast((step) => step.state === state)?.at_ms;
  const isBack = vend !== undefined && BACK.includes(vend.state);
  // Of a vend that was taken back only what was reached belongs to its way.
  const forth = isBack || isOver ? WAY.filter((state) => at(state) !== undefined) : WAY;
  let way: VendState[] = isBack ? [...forth, ...BACK] : forth;
  if (vend?.state === 'expired') way = ['quoted', 'tender_requested', 'expired'];
  const stages: Stage[] = way.map((state) => ({ state, at_ms: at(state), is_now: vend?.state === state }));
  const { provider, order_no } = orderOf(shown);
  for (const stage of stages) {
    if (provider !== undefined && AT_PROVIDER.includes(stage.state)) stage.provider = provider;
    if (order_no !== undefined && stage.state === 'tender_confirmed') stage.order = order_no;
  }
  // Another phone's, sent to this one, was begun there.
  if ((at('quoted') ?? Infinity) < shown.begun_at_ms) return stages;
  return [{ state: 'begun', at_ms: shown.begun_at_ms, is_now: vend === undefined }, ...stages];
}

function orderOf({ vend }: TopUpShown): { provider?: string; order_no?: string } {
  // The core has verified the payment before it showed the vend.
  if (vend?.payment) return payloadOf(vend.payment) as { provider: string; order_no: string };
  return vend?.payment_request ? { provider: vend.payment_request.provider } : {};
}
