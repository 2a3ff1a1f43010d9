import { describe, expect, it } from 'vitest';

import type { Reading } from '../lib/core';
import { beginOf, dayOf, daysLeft, firstDayOf, firstOfDays, usePer, usePerDay } from './usage';

/** 2026-11-01 00:00 in Shanghai. */
const FIRST = Date.UTC(2026, 9, 31, 16) / 1000;

let number = 0;
function reading(day: number, hour: number, register: number, balance = 10_000): Reading {
  number += 1;
  return { number, time: FIRST + day * 86_400 + hour * 3600, register_centi_m3: register, balance };
}

describe('days', () => {
  it('begin at midnight in Shanghai', () => {
    const day = dayOf(FIRST);
    expect(dayOf(FIRST - 1)).toBe(day - 1);
    expect(dayOf(FIRST + 86_399)).toBe(day);
    expect(beginOf(day)).toBe(FIRST * 1000);
  });

  it('have a first reading, whatever the order', () => {
    const readings = [reading(0, 7, 120), reading(0, 1, 100), reading(1, 0, 150)];
    expect(firstOfDays(readings).map(({ reading: first }) => first.register_centi_m3)).toEqual([100, 150]);
  });

  it('lie in months and years of their own', () => {
    expect(firstDayOf('month', dayOf(FIRST + 20 * 86_400))).toBe(dayOf(FIRST));
    expect(firstDayOf('year', dayOf(FIRST))).toBe(dayOf(Date.UTC(2025, 11, 31, 16) / 1000));
  });
});

describe('use', () => {
  it('is the difference of two days, and of today what there is', () => {
    const readings = [
      reading(0, 0, 100),
      reading(0, 5, 130),
      reading(1, 0, 180),
      reading(2, 1, 200),
      reading(2, 9, 215),
    ];
    expect(usePerDay(readings)).toEqual([
      { day: dayOf(FIRST), centi_m3: 80, open: false, about: false },
      { day: dayOf(FIRST) + 1, centi_m3: 20, open: false, about: false },
      { day: dayOf(FIRST) + 2, centi_m3: 15, open: true, about: false },
    ]);
  });

  it('of days without a reading is shared out, and none of it is lost', () => {
    const uses = usePerDay([reading(0, 0, 100), reading(3, 0, 200)]);
    expect(uses.map((use) => use.centi_m3)).toEqual([34, 33, 33]);
    expect(uses.every((use) => use.about)).toBe(true);
  });

  it('is not told where the register went back', () => {
    const uses = usePerDay([reading(0, 0, 500), reading(1, 0, 20), reading(2, 0, 50)]);
    expect(uses.map((use) => use.centi_m3)).toEqual([30]);
  });

  it('of one reading is none', () => {
    expect(usePerDay([])).toEqual([]);
    expect(usePerDay([reading(0, 0, 500)])).toEqual([]);
  });

  it('adds up to months', () => {
    const days = usePerDay([reading(-2, 0, 0), reading(-1, 0, 10), reading(0, 0, 30), reading(1, 0, 70)]);
    expect(usePer('month', days).map(({ centi_m3, open }) => [centi_m3, open])).toEqual([
      [30, false],
      [40, true],
    ]);
    expect(usePer('year', days).map((use) => use.centi_m3)).toEqual([70]);
    expect(usePer('day', days)).toEqual(days);
  });
});

describe('days left', () => {
  it('go by the mean of the days on which the balance sank', () => {
    const readings = [reading(0, 0, 0, 1000), reading(1, 0, 0, 900), reading(2, 0, 0, 700)];
    expect(daysLeft(700, readings)).toBe(4);
  });

  it('leave out days with a top-up', () => {
    const readings = [reading(0, 0, 0, 1000), reading(1, 0, 0, 900), reading(2, 0, 0, 5900), reading(3, 0, 0, 5800)];
    expect(daysLeft(5800, readings)).toBe(58);
  });

  it('look at the last fourteen days only', () => {
    const readings = [reading(0, 0, 0, 100_000), reading(1, 0, 0, 50_000)];
    for (let day = 20; day <= 34; day += 1) readings.push(reading(day, 0, 0, 50_000 - day * 10));
    expect(daysLeft(1_000, readings)).toBe(100);
  });

  it('are not told where nothing tells', () => {
    expect(daysLeft(1000, [])).toBeUndefined();
    expect(daysLeft(1000, [reading(0, 0, 0, 5), reading(1, 0, 0, 5)])).toBeUndefined();
    expect(daysLeft(-5, [reading(0, 0, 0, 5), reading(1, 0, 0, -5)])).toBeUndefined();
  });
});
