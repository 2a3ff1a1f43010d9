// What this phone can tell of a meter, put together from what it read itself and what the gas company knows.
import { flags, type TopUpShown, type Unit } from '../lib/core';
import type { KnownMeter } from '../lib/store';
import type { Words } from '../words/zh';
import { beginOf, dayOf, firstDayOf } from './usage';

export interface MeterState {
  unit: Unit | undefined;
  balance: number;
  register_centi_m3: number;
  valve: 'open' | 'closed' | 'ready' | 'fault';
  battery_percent: number | undefined;
  battery_low: boolean;
  clock_lost: boolean;
  tampered: boolean;
  /** When it was so, ms since 1970. */
  at_ms: number;
  from: 'phone' | 'company';
}

/** The newest state that is known. */
export function stateOf(known: KnownMeter, topUps: readonly TopUpShown[]): MeterState | undefined {
  const told = known.cloud?.state;
  const unit = told?.unit ?? quoteOf(known.meter, topUps)?.quote?.explanation.basis.unit;
  const read = known.status;
  if (told && (!read || told.believed_at_ms > read.read_at_ms)) {
    const battery = told.battery_percent ?? read?.shown.battery_percent;
    return {
      ...told,
      ...flagged(told.flags),
      unit,
      battery_percent: battery,
      at_ms: told.believed_at_ms,
      from: 'company',
    };
  }
  return read && { ...read.shown, ...flagged(read.shown.flags), unit, at_ms: read.read_at_ms, from: 'phone' };
}

/** What a meter is called on this phone; one that it has never met is somebody else's, and told by its number. */
export function nameOf(meter: string, meters: readonly KnownMeter[], words: Words): string {
  const known = meters.find((one) => one.meter === meter);
  return known ? known.name || words.home.unnamed : words.vend.others(grouped(meter));
}

/** The oldest reading from which the gas company quotes away from the meter, ms (docs/protocols/http.md). */
const READING_MAX_MS = 35 * 86_400_000;

/** When the company heard of this meter last, where that is recent enough to quote from. */
export function recentReading(known: KnownMeter, now: number): number | undefined {
  const read = known.status?.unsent ? undefined : known.status?.read_at_ms;
  const at = Math.max(known.cloud?.state?.believed_at_ms ?? 0, read ?? 0);
  return at > now - READING_MAX_MS ? at : undefined;
}

function flagged(bits: number): Pick<MeterState, 'valve' | 'battery_low' | 'clock_lost' | 'tampered'> {
  const has = (mask: number) => (bits & mask) !== 0;
  const closed = has(flags.valveClosed) ? (has(flags.valveArmed) ? 'ready' : 'closed') : 'open';
  return {
    valve: has(flags.valveFault) ? 'fault' : closed,
    battery_low: has(flags.batteryLow),
    clock_lost: has(flags.clockLost),
    tampered: has(flags.tampered),
  };
}

/** The vend of a meter with the newest quote. */
function quoteOf(meter: string, topUps: readonly TopUpShown[]): TopUpShown | undefined {
  let newest: TopUpShown | undefined;
  for (const one of topUps) {
    if (one.meter !== meter || !one.quote) continue;
    if (!newest?.quote || one.quote.created_at_ms > newest.quote.created_at_ms) newest = one;
  }
  return newest;
}

export interface TierState {
  /** 1..=3. */
  tier: number;
  price_fen_per_m3: number;
  position_centi_m3: number;
  /** None in the last tier. */
  left_centi_m3: number | undefined;
  bounds_centi_m3: [number, number];
}

/** Where in this year's tiers the next purchase begins, as far as this phone knows. */
export function tierOf(meter: string, topUps: readonly TopUpShown[], now = Date.now()): TierState | undefined {
  const newest = quoteOf(meter, topUps);
  if (!newest?.quote) return undefined;
  const { quote, vend } = newest;
  const year = beginOf(firstDayOf('year', dayOf(Math.floor(now / 1000))));
  if (quote.created_at_ms < year) return undefined;
  const { tariff, lines, position_centi_m3: began } = quote.explanation;
  const isBought = vend?.payment !== undefined && !['refund_pending', 'refunded'].includes(vend.state);
  const position = isBought ? Math.max(began, ...lines.map((line) => line.to_centi_m3)) : began;
  const [first, second] = tariff.bounds_centi_m3;
  const tier = position < first ? 1 : position < second ? 2 : 3;
  return {
    tier,
    price_fen_per_m3: tariff.prices_fen_per_m3[tier - 1] ?? 0,
    position_centi_m3: position,
    left_centi_m3: tier === 3 ? undefined : (tier === 1 ? first : second) - position,
    bounds_centi_m3: tariff.bounds_centi_m3,
  };
}

/** A meter number as it is printed: in groups. */
export function grouped(meter: string): string {
  return meter.replace(/(.{4})(?=.)/g, '$1 ');
}
