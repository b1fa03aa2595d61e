/* Streams of events over fetch, which unlike EventSource can send the API key and a body.
 *
 *   for await (const { event, data } of followEvents('/api/profiling/runs/7/events', { signal, finite: true })) …
 *   for await (const { data } of postEvents('/v1/chat/completions', body, signal)) …
 *
 * Leaving the loop (break, return, throw) or firing the signal closes the connection. An abort ends the loop by the
 * AbortError; everything else that is thrown is an ApiError. */
import { connection } from '../state/connection.svelte';
import { ApiError, isAbort, unreachable } from './error';
import { request, type RequestParts } from './request';
import { backOffMs, wait } from './retry';
import { SseParser, type SseEvent } from './sse';

const SILENCE_MS = 30_000; // the server says something at least every 10 s

/* A stream that begins again by itself, after the last event that was read. `finite`: it is over when the server ends
 * it properly; otherwise that too is a reason to connect again. Thrown: what no new attempt could mend (4xx). */
export async function* followEvents(
  url: string,
  options: { signal?: AbortSignal; finite?: boolean } = {},
): AsyncGenerator<SseEvent, void, undefined> {
  const { signal, finite = false } = options;
  let lastId = '';
  for (let failures = 0; ;) {
    try {
      const headers: Record<string, string> = lastId ? { 'Last-Event-ID': lastId } : {};
      for await (const event of open({ method: 'GET', url, headers, signal })) {
        failures = 0;
        lastId = event.id;
        yield event;
      }
      if (finite) return;
    } catch (error) {
      if (!mendable(error)) throw error;
      if (error instanceof ApiError && error.retryAfterMs) await wait(error.retryAfterMs, signal);
    }
    failures++;
    await wait(backOffMs(failures, 500, 5_000), signal);
    await connection.whenUp(signal);
  }
}

/* An answer that is written once: never sent again, since the model may already be writing it. */
export function postEvents(
  url: string,
  body: unknown,
  signal?: AbortSignal,
): AsyncGenerator<SseEvent, void, undefined> {
  return open({ method: 'POST', url, body, signal });
}

function mendable(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

async function* open(parts: RequestParts): AsyncGenerator<SseEvent, void, undefined> {
  const gone = new AbortController();
  const signal = parts.signal ? AbortSignal.any([parts.signal, gone.signal]) : gone.signal;
  const headers = { ...parts.headers, Accept: 'text/event-stream' };
  try {
    const response = await request({ ...parts, headers, signal });
    if (!response.body) throw unreachable('unknown');
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await unlessSilent(reader.read());
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    if (error instanceof ApiError || isAbort(error) || parts.signal?.aborted) throw error;
    connection.failed();
    throw unreachable('unknown');
  } finally {
    gone.abort();
  }
}

/* A connection whose other end has vanished (a laptop that slept) never ends by itself. */
async function unlessSilent<T>(reading: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unreachable('unknown')), SILENCE_MS);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}
