/* When a request is sent again, and after how long. Pure, so that every rule has a test. */
import { ApiError } from './error';

const READ_ATTEMPTS = 4; // in all
const LONGEST_MS = 10_000;

const SAFE = new Set(['GET', 'HEAD']);

/* Reads may be repeated freely. Anything else only if it never reached the server: what was sent may have been done. */
export function mayRetry(method: string, attempt: number, error: unknown): boolean {
  if (!(error instanceof ApiError) || attempt >= READ_ATTEMPTS) return false;
  if (error.reached === 'no') return true;
  if (!SAFE.has(method)) return false;
  return error.reached === 'unknown' || error.status === 429 || error.status >= 500;
}

/* Doubles from 250 ms; up to a quarter is taken off at random, so that many pages do not come back as one.
 * A server that says when to come back is believed, within reason. attempt: 1 after the first failure. */
export function retryDelayMs(attempt: number, error: unknown, random: () => number = Math.random): number {
  const told = error instanceof ApiError ? error.retryAfterMs : null;
  if (told != null) return Math.min(told, 6 * LONGEST_MS);
  return backOffMs(attempt, 250, LONGEST_MS) * (1 - random() / 4);
}

export function backOffMs(attempt: number, first: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(attempt - 1, 20));
}

/* Rejects with the signal's reason as soon as it fires. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
