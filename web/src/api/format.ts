/* Figures as people read them. Every function takes null for "not known", with the server's reason, and answers a
 * Figure: its parts for a card, its text for a line, its reason for whoever asks why there is a dash. */
export interface Figure {
  value: string; // "41.2", or "–"
  unit: string; // "tok/s"; "" where there is none or nothing is known
  text: string; // "41.2 tok/s"
  reason: string; // why there is no value; "" where there is one
}

type Maybe = number | null | undefined;

const DASH = '–';
const BLANK = '\u00a0'; // a number never parts from its unit at the end of a line

function known(value: string, unit: string): Figure {
  return { value, unit, text: unit ? value + BLANK + unit : value, reason: '' };
}

export function unknown(reason?: string | null): Figure {
  return { value: DASH, unit: '', text: DASH, reason: reason || 'not known' };
}

/* Three digits that count: 1 234, 123, 12.3, 1.23, 0.123. */
function digits(x: number): string {
  const size = Math.abs(x);
  const places = size >= 99.95 || x === 0 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3; // 9.996 is 10.0
  return grouped(x, places);
}

function grouped(x: number, places: number): string {
  const text = x.toLocaleString('en-GB', { minimumFractionDigits: places, maximumFractionDigits: places });
  return text.replace(/^-/, '−').replaceAll(',', '\u202f');
}

function is(x: Maybe): x is number {
  return typeof x === 'number' && Number.isFinite(x);
}

/* Decimal, as on labels and as the program prints them: 1 GB is 10⁹ bytes. */
export function bytes(x: Maybe, reason?: string | null): Figure {
  if (!is(x)) return unknown(reason);
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let power = 0;
  while (power + 1 < units.length && Math.abs(x) >= 999.5 * 1000 ** power) power++;
  return known(power === 0 ? grouped(x, 0) : digits(x / 1000 ** power), units[power] ?? 'B');
}

export function bytesPerSecond(x: Maybe, reason?: string | null): Figure {
  const size = bytes(x, reason);
  return size.reason ? size : known(size.value, `${size.unit}/s`);
}

export function tokensPerSecond(x: Maybe, reason?: string | null): Figure {
  return is(x) ? known(digits(x), 'tok/s') : unknown(reason);
}

export function milliseconds(x: Maybe, reason?: string | null): Figure {
  if (!is(x)) return unknown(reason);
  return Math.abs(x) >= 10_000 ? seconds(x / 1000) : known(digits(x), 'ms');
}

/* "1.23 s", "45.6 s", "2 min 05 s", "3 h 07 min". */
export function seconds(x: Maybe, reason?: string | null): Figure {
  if (!is(x)) return unknown(reason);
  if (Math.abs(x) < 99.95) return known(digits(x), 's');
  const whole = Math.round(x);
  const two = (n: number) => String(n).padStart(2, '0');
  if (whole < 3600) return known(`${Math.floor(whole / 60)}${BLANK}min ${two(whole % 60)}`, 's');
  const minutes = Math.round(x / 60);
  return known(`${grouped(Math.floor(minutes / 60), 0)}${BLANK}h ${two(minutes % 60)}`, 'min');
}

/* For what is only guessed: "18 s", "2 min 05 s". */
export function roundSeconds(x: Maybe, reason?: string | null): Figure {
  return is(x) && x < 99 ? known(grouped(Math.ceil(x), 0), 's') : seconds(x, reason);
}

/* Of a share between 0 and 1. */
export function percent(share: Maybe, reason?: string | null): Figure {
  return is(share)
    ? known(grouped(share * 100, Math.abs(share) < 0.0995 && share !== 0 ? 1 : 0), '%')
    : unknown(reason);
}

/* A change that is already in per cent, always with its sign. */
export function change(pct: Maybe, reason?: string | null): Figure {
  if (!is(pct)) return unknown(reason);
  const text = grouped(pct, 1);
  return known(pct > 0 && text !== '0.0' ? `+${text}` : text.replace(/^−0\.0$/, '0.0'), '%');
}

/* `noun` in the singular; the plural takes an s unless it is told. */
export function count(x: Maybe, noun = '', plural = noun && `${noun}s`, reason?: string | null): Figure {
  if (!is(x)) return unknown(reason);
  return known(grouped(x, 0), Math.abs(x) === 1 ? noun : plural);
}

/* Any other number with its unit: quantity(65, '°C'). */
export function quantity(x: Maybe, unit: string, reason?: string | null): Figure {
  return is(x) ? known(digits(x), unit) : unknown(reason);
}

/* "±1.3 tok/s": the spread beside a value, in the same unit. */
export function plusMinus(x: Maybe, unit: string): string {
  return is(x) ? `±${digits(x)}${unit ? BLANK + unit : ''}` : '';
}

/* Local time, unambiguous: "5 Mar 2026, 14:07". `at`: RFC 3339. */
export function dateTime(at: string | null | undefined, reason?: string | null): Figure {
  const time = at ? new Date(at) : null;
  if (!time || Number.isNaN(time.getTime())) return unknown(reason);
  const date = time.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
  return known(`${date}, ${time.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })}`, '');
}

/* "just now", "5 min ago", "yesterday", then the date. */
export function ago(at: string | null | undefined, now = Date.now()): string {
  const then = at ? Date.parse(at) : NaN;
  if (Number.isNaN(then)) return DASH;
  const minutes = Math.floor((now - then) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes}${BLANK}min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}${BLANK}h ago`;
  if (minutes < 48 * 60) return 'yesterday';
  return dateTime(at).text;
}

/* The server puts `name_reason` beside a `name` that is null. */
export function reasonOf(object: object | null | undefined, name: string): string | null {
  const reason = object ? (object as Record<string, unknown>)[`${name}_reason`] : null;
  return typeof reason === 'string' ? reason : null;
}
