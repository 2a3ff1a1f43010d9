// What a receipt file tells. Read only what the core has proven: nothing here checks a signature.
import type { Quote, ReceiptFile, Unit } from '../lib/core';

export interface Receipt {
  vend_id: string;
  meter: string;
  quote: Quote;
  paid: { amount_fen: number; provider: string; order_no: string; paid_at_ms: number };
  settled: { balance: number; register_centi_m3: number; settled_at_ms: number } | undefined;
  refunded: { amount_fen: number; provider_refund_id: string; refunded_at_ms: number } | undefined;
  unit: Unit;
  /** The vend's id and the first 16 digits of the SHA-256 of the settlement, or of the payment where there is none. */
  code: string;
}

export async function receiptOf(file: ReceiptFile): Promise<Receipt> {
  const quote = payloadOf(file.quote) as Quote;
  const digest = await sha256(file.settlement ?? file.payment);
  return {
    vend_id: file.vend_id,
    meter: file.meter,
    quote,
    paid: payloadOf(file.payment) as Receipt['paid'],
    settled: file.settlement === undefined ? undefined : (payloadOf(file.settlement) as Receipt['settled']),
    refunded: file.refunded === undefined ? undefined : (payloadOf(file.refunded) as Receipt['refunded']),
    unit: quote.explanation.basis.unit,
    code: `${file.vend_id} ${digest.slice(0, 16)}`,
  };
}

/** The contents of a compact JWS. */
export function payloadOf(jws: string): unknown {
  const [, payload = ''] = jws.split('.');
  const text = atob(payload.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
