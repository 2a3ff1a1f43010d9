import { describe, expect, it } from 'vitest';

import { Format, hundredths } from './format';

describe('hundredths', () => {
  it('are read as they are typed', () => {
    expect(hundredths('80')).toBe(8000);
    expect(hundredths(' 80.5 ')).toBe(8050);
    expect(hundredths('80.05')).toBe(8005);
    expect(hundredths('0,01')).toBe(1);
    expect(hundredths('80。50')).toBe(8050);
    expect(hundredths('999999.99')).toBe(99_999_999);
  });

  it('are no more than two decimals of a number', () => {
    for (const text of ['', '.', '-5', '1.234', '1e3', '80元', '1234567', '8 0', '١٢']) {
      expect(hundredths(text), text).toBeUndefined();
    }
  });
});

describe('format', () => {
  const zh = new Format('zh-CN');
  const en = new Format('en');

  it('cuts fen into yuan without rounding', () => {
    expect(zh.money(0)).toBe('¥0.00');
    expect(zh.money(7)).toBe('¥0.07');
    expect(zh.money(-1240)).toBe('-¥12.40');
    expect(zh.money(99_999_999_99)).toBe('¥99,999,999.99');
  });

  it('shows 0.01 fen exactly', () => {
    expect(zh.exact(17)).toBe('¥0.0017');
    expect(zh.exact(826_848)).toBe('¥82.6848');
    expect(zh.exact(1_000_000)).toBe('¥100.00');
  });

  it('shows a balance in its unit', () => {
    expect(en.balance(4812, 'centi_cubic_metre')).toBe('48.12 m³');
    expect(en.balance(4812, 'fen')).toBe('¥48.12');
  });

  it('tells the time at the meter, wherever the phone is', () => {
    const ms = Date.UTC(2026, 10, 23, 16, 30);
    expect(zh.dateTime(ms)).toBe('2026年11月24日 00:30');
    expect(zh.dayOnly(ms)).toBe('11/24');
    expect(zh.ago(ms, ms + 3 * 3_600_000)).toBe('3小时前');
  });
});
