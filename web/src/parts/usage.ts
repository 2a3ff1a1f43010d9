// What was used, from readings of the register. Integers throughout: 0.01 m³ and days.
import type { Reading } from '../lib/core';

/** Days are those of the meter's place; China has one time and has not moved its clocks since 1991. */
const ZONE_S = 8 * 3600;
const DAY_S = 86_400;
/** Days whose mean tells how long the balance lasts. */
const MEAN_DAYS = 14;

/** A calendar day at the meter, days since 1970-01-01. */
export type Day = number;

export interface Use {
  /** The first day of the day, month or year. */
  day: Day;
  centi_m3: number;
  /** It is not over yet. */
  open: boolean;
  /** Readings were missing: the share of a longer time. */
  about: boolean;
}

export type Span = 'day' | 'month' | 'year';

export function dayOf(seconds: number): Day {
  return Math.floor((seconds + ZONE_S) / DAY_S);
}

/** Its beginning, ms since 1970. */
export function beginOf(day: Day): number {
  return (day * DAY_S - ZONE_S) * 1000;
}

/** The first reading of each day, oldest first; hourly and daily readings alike. */
export function firstOfDays(readings: readonly Reading[]): { day: Day; reading: Reading }[] {
  const first = new Map<Day, Reading>();
  for (const reading of readings) {
    const day = dayOf(reading.time);
    const before = first.get(day);
    if (!before || reading.time < before.time) first.set(day, reading);
  }
  return Array.from(first, ([day, reading]) => ({ day, reading })).sort((a, b) => a.day - b.day);
}

/** Use of each day, oldest first. Where days have no reading, what was used in them is shared out. */
export function usePerDay(readings: readonly Reading[]): Use[] {
  const firsts = firstOfDays(readings);
  const uses: Use[] = [];
  for (const [place, { day, reading }] of firsts.entries()) {
    const next = firsts[place + 1];
    if (!next) {
      const newest = readings.reduce((one, other) => (other.time > one.time ? other : one), reading);
      const used = newest.register_centi_m3 - reading.register_centi_m3;
      if (newest !== reading && used >= 0) uses.push({ day, centi_m3: used, open: true, about: false });
      continue;
    }
    const used = next.reading.register_centi_m3 - reading.register_centi_m3;
    // The register never goes back, unless it is another meter's or was set anew.
    if (used < 0) continue;
    const days = next.day - day;
    const share = Math.floor(used / days);
    const rest = used - share * days;
    for (let nth = 0; nth < days; nth += 1) {
      uses.push({ day: day + nth, centi_m3: share + (nth < rest ? 1 : 0), open: false, about: days > 1 });
    }
  }
  return uses;
}

/** The days' use added up to months or years; days as they are. The last one is open. */
export function usePer(span: Span, days: readonly Use[]): Use[] {
  if (span === 'day') return [...days];
  const sums = new Map<Day, Use>();
  for (const use of days) {
    const first = firstDayOf(span, use.day);
    const sum = sums.get(first) ?? { day: first, centi_m3: 0, open: false, about: false };
    sums.set(first, { ...sum, centi_m3: sum.centi_m3 + use.centi_m3 });
  }
  const uses = Array.from(sums.values()).sort((a, b) => a.day - b.day);
  const last = uses.at(-1);
  if (last) last.open = true;
  return uses;
}

/** The first day of the month or year of a day. */
export function firstDayOf(span: 'month' | 'year', day: Day): Day {
  const date = new Date(day * DAY_S * 1000);
  const month = span === 'month' ? date.getUTCMonth() : 0;
  return Math.floor(Date.UTC(date.getUTCFullYear(), month, 1) / 1000 / DAY_S);
}

/** For about how many days a balance lasts, by the days of late on which it sank; in the balance's own unit, so that prices
 * need not be known. None where nothing tells. */
export function daysLeft(balance: number, readings: readonly Reading[]): number | undefined {
  const firsts = firstOfDays(readings);
  const newest = firsts.at(-1)?.day ?? 0;
  let spent = 0;
  let days = 0;
  for (const [place, { day, reading }] of firsts.entries()) {
    const next = firsts[place + 1];
    if (!next || day < newest - MEAN_DAYS) continue;
    const sank = reading.balance - next.reading.balance;
    // It rose: credit came in between.
    if (sank < 0) continue;
    spent += sank;
    days += next.day - day;
  }
  if (spent === 0 || balance < 0) return undefined;
  return Math.floor((balance * days) / spent);
}
