// Integers into words of the locale. No arithmetic with money but cutting it into yuan and fen.

export type Language = 'zh-CN' | 'en';

const zone = 'Asia/Shanghai';

export class Format {
  readonly #money: Intl.NumberFormat;
  readonly #volume: Intl.NumberFormat;
  readonly #price: Intl.NumberFormat;
  readonly #dateTime: Intl.DateTimeFormat;
  readonly #shortTime: Intl.DateTimeFormat;
  readonly #date: Intl.DateTimeFormat;
  readonly #month: Intl.DateTimeFormat;
  readonly #dayOnly: Intl.DateTimeFormat;
  readonly #monthOnly: Intl.DateTimeFormat;
  readonly #year: Intl.DateTimeFormat;
  readonly #time: Intl.DateTimeFormat;
  readonly #ago: Intl.RelativeTimeFormat;
  readonly #exact: Intl.NumberFormat;
  readonly #count: Intl.NumberFormat;
  readonly #percent: Intl.NumberFormat;

  constructor(readonly language: Language) {
    const currency = { style: 'currency', currency: 'CNY', currencyDisplay: 'narrowSymbol' } as const;
    this.#money = new Intl.NumberFormat(language, currency);
    this.#price = new Intl.NumberFormat(language, { ...currency, maximumFractionDigits: 2 });
    this.#volume = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    this.#dateTime = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short', timeZone: zone });
    this.#shortTime = new Intl.DateTimeFormat(language, {
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
      timeZone: zone,
    });
    this.#date = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', timeZone: zone });
    this.#month = new Intl.DateTimeFormat(language, { year: 'numeric', month: 'short', timeZone: zone });
    this.#dayOnly = new Intl.DateTimeFormat(language, { month: 'numeric', day: 'numeric', timeZone: zone });
    this.#monthOnly = new Intl.DateTimeFormat(language, { month: 'short', timeZone: zone });
    this.#year = new Intl.DateTimeFormat(language, { year: 'numeric', timeZone: zone });
    this.#time = new Intl.DateTimeFormat(language, { timeStyle: 'short', timeZone: zone });
    this.#exact = new Intl.NumberFormat(language, { ...currency, maximumFractionDigits: 4 });
    this.#count = new Intl.NumberFormat(language);
    this.#percent = new Intl.NumberFormat(language, { style: 'percent' });
    this.#ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  }

  /** Fen. */
  money(fen: number): string {
    return this.#money.format(decimal(fen));
  }

  /** 0.01 fen: as many digits as it has. */
  exact(centiFen: number): string {
    return this.#exact.format(decimal(centiFen, 4));
  }

  /** Fen per m³. */
  price(fenPerM3: number): string {
    return this.#price.format(decimal(fenPerM3));
  }

  /** 0.01 m³. */
  volume(centiM3: number): string {
    return `${this.#volume.format(decimal(centiM3))} m³`;
  }

  /** 0.01 m³, without the unit. */
  cubicMetres(centiM3: number): string {
    return this.#volume.format(decimal(centiM3));
  }

  /** Of things or days. */
  count(number: number): string {
    return this.#count.format(number);
  }

  percent(percent: number): string {
    return this.#percent.format(decimal(percent));
  }

  /** A balance in the meter's unit. */
  balance(amount: number, unit: 'fen' | 'centi_cubic_metre'): string {
    return unit === 'fen' ? this.money(amount) : this.volume(amount);
  }

  /** Ms since 1970. */
  dateTime(ms: number): string {
    return this.#dateTime.format(ms);
  }

  /** Without the year. */
  shortTime(ms: number): string {
    return this.#shortTime.format(ms);
  }

  date(ms: number): string {
    return this.#date.format(ms);
  }

  month(ms: number): string {
    return this.#month.format(ms);
  }

  /** A day where there is little room. */
  dayOnly(ms: number): string {
    return this.#dayOnly.format(ms);
  }

  monthOnly(ms: number): string {
    return this.#monthOnly.format(ms);
  }

  year(ms: number): string {
    return this.#year.format(ms);
  }

  /** Of the day. */
  time(ms: number): string {
    return this.#time.format(ms);
  }

  /** How long ago, in words. */
  ago(ms: number, now = Date.now()): string {
    const minutes = Math.round((ms - now) / 60_000);
    if (Math.abs(minutes) < 60) return this.#ago.format(minutes, 'minute');
    const hours = Math.round(minutes / 60);
    if (Math.abs(hours) < 48) return this.#ago.format(hours, 'hour');
    return this.#ago.format(Math.round(hours / 24), 'day');
  }
}

/** Hundredths (or what the number of places says) as the decimal number that Intl takes, exact. */
function decimal(parts: number, places = 2): `${number}` {
  const digits = String(Math.abs(parts)).padStart(places + 1, '0');
  const sign = parts < 0 ? '-' : '';
  return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}` as `${number}`;
}

/** What a person typed, as hundredths; none where it is no amount with at most two decimals. */
export function hundredths(text: string): number | undefined {
  const match = /^\s*(\d{1,6})(?:[.。,](\d{1,2}))?\s*$/.exec(text);
  if (!match) return undefined;
  const [, whole = '', part = ''] = match;
  return Number(whole) * 100 + Number(part.padEnd(2, '0') || 0);
}
