/* Reading JSON that anybody may have written: a report imported from elsewhere is only loosely checked by the server.
 * Everything here answers with the asked type, whatever stands there. Texts lose what could disturb the lines around
 * them (control characters, writing directions, towers of accents); numbers that nothing measures are not known. */

/* What was measured, or why it was not. */
export interface Known {
  value: number | null;
  reason: string;
}

export type Json = Readonly<Record<string, unknown>>;

const LARGEST = 1e15; // a petabyte; no duration, rate or count of ours comes near it
const LONGEST = 4000; // characters of a text
const NOTHING: Json = {};

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : NOTHING;
}

export function at(value: unknown, ...path: string[]): Json {
  return path.reduce((inside, name) => object(inside[name]), object(value));
}

/* null where there is none: `tests` of a comparison, `memory` of a remote target. */
export function objectOrNull(value: unknown): Json | null {
  return object(value) === NOTHING ? null : (value as Json);
}

export function list(value: unknown, most = 1000): Json[] {
  return Array.isArray(value) ? value.slice(0, most).map(object) : [];
}

export function clean(value: unknown, most = LONGEST): string {
  if (typeof value !== 'string') return '';
  const text = value
    .slice(0, 2 * most)
    // eslint-disable-next-line no-control-regex -- they are what is taken out
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .replace(/(\p{M}{2})\p{M}+/gu, '$1');
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

export function texts(value: unknown, most = 100): string[] {
  return Array.isArray(value)
    ? value
        .slice(0, most)
        .map((one) => clean(one, 600))
        .filter(Boolean)
    : [];
}

export function number(value: unknown): number | null {
  return typeof value === 'number' && Math.abs(value) < LARGEST ? value : null;
}

export function numbers(value: unknown, most = 20_000): number[] {
  return Array.isArray(value) ? value.slice(0, most).filter((one): one is number => number(one) !== null) : [];
}

/* A figure with the reason that stands beside it. */
export function known(parent: Json, name: string, otherwise = 'not in the report'): Known {
  const value = number(parent[name]);
  if (value !== null) return { value, reason: '' };
  const wild = typeof parent[name] === 'number' ? 'the report has no plausible number here' : '';
  return { value: null, reason: wild || reasonAt(parent, name) || otherwise };
}

export function reasonAt(parent: Json, name: string): string {
  return clean(parent[`${name}_reason`], 300);
}

export function interval(value: unknown): [number, number] | null {
  const [low, high] = numbers(value, 2);
  return low !== undefined && high !== undefined && low <= high ? [low, high] : null;
}

export function oneOf<T extends string>(value: unknown, words: readonly T[], otherwise: T): T {
  return words.find((word) => word === value) ?? otherwise;
}
