import { describe, expect, it } from 'vitest';
import { ApiError, errorOf, retryAfterMs, unreachable } from '../src/api/error';
import { backOffMs, mayRetry, retryDelayMs, wait } from '../src/api/retry';

const status = (code: number) => new ApiError('no', { status: code });

describe('mayRetry', () => {
  it('repeats reads that failed on the network, 5xx and 429', () => {
    for (const error of [unreachable('unknown'), status(500), status(503), status(429)])
      expect(mayRetry('GET', 1, error)).toBe(true);
  });

  it('does not repeat what is wrong, an abort, or for ever', () => {
    for (const code of [400, 401, 403, 404, 409]) expect(mayRetry('GET', 1, status(code))).toBe(false);
    expect(mayRetry('GET', 1, new DOMException('', 'AbortError'))).toBe(false);
    expect(mayRetry('GET', 4, unreachable('unknown'))).toBe(false);
  });

  it('repeats an unsafe request only if it never left', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect(mayRetry(method, 1, unreachable('unknown'))).toBe(false);
      expect(mayRetry(method, 1, status(503))).toBe(false);
      expect(mayRetry(method, 1, unreachable('no'))).toBe(true);
    }
  });
});

describe('delays', () => {
  it('double up to a limit, with some chance in them', () => {
    expect([1, 2, 3, 9].map((attempt) => backOffMs(attempt, 250, 10_000))).toEqual([250, 500, 1000, 10_000]);
    expect(retryDelayMs(2, null, () => 0)).toBe(500);
    expect(retryDelayMs(2, null, () => 1)).toBe(375);
  });

  it('believe Retry-After, in seconds or as a date', () => {
    expect(retryAfterMs('5')).toBe(5000);
    expect(retryAfterMs('Thu, 05 Mar 2026 12:00:10 GMT', Date.parse('2026-03-05T12:00:00Z'))).toBe(10_000);
    expect(retryAfterMs('soon')).toBeNull();
    expect(retryDelayMs(1, new ApiError('', { status: 429, retryAfterMs: 5000 }))).toBe(5000);
    expect(retryDelayMs(1, new ApiError('', { status: 429, retryAfterMs: 1e9 }))).toBe(60_000);
  });

  it('end at once by a signal', async () => {
    const stop = new AbortController();
    const waiting = wait(60_000, stop.signal);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('errorOf', () => {
  it('reads the server’s message, code, field and delay', async () => {
    const body = { error: { message: 'the queue is full', type: 'x', code: 'queue_full', param: 'n' } };
    const response = new Response(JSON.stringify(body), { status: 429, headers: { 'Retry-After': '1' } });
    expect(await errorOf(response)).toMatchObject({
      message: 'The queue is full.',
      code: 'queue_full',
      param: 'n',
      status: 429,
      retryAfterMs: 1000,
    });
  });

  it('says so when there is none', async () => {
    expect((await errorOf(new Response('<html>', { status: 500 }))).message).toContain('status 500');
  });
});
