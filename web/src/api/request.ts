/* One request to the server: the API key, the connection banner, the shape of errors. No retries: those are
 * client.ts's for answers and events.ts's for streams. */
import { askForKey, apiKey } from '../state/key.svelte';
import { connection } from '../state/connection.svelte';
import { errorOf, isAbort, unreachable } from './error';

export interface RequestParts {
  method: string;
  url: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/* 502 and 504 come from a proxy that found nobody behind it, never from LLMind. */
const NOBODY_THERE = new Set([502, 504]);

export async function request(parts: RequestParts): Promise<Response> {
  const safe = parts.method === 'GET';
  if (!safe && connection.down && !(await connection.probe())) throw unreachable('no');
  let response = await send(parts);
  // The key is checked before anything else, so a refused request did nothing and may be sent again.
  while (response.status === 401) {
    const error = await errorOf(response);
    if (!(await askForKey(error.message))) throw error;
    response = await send(parts);
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function send({ method, url, body, headers, signal }: RequestParts): Promise<Response> {
  const all: Record<string, string> = { ...headers };
  const key = apiKey();
  if (key) all['Authorization'] = `Bearer ${key}`;
  if (body !== undefined) all['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: 'no-store',
    });
  } catch (error) {
    if (isAbort(error) || signal?.aborted) throw error;
    connection.failed();
    throw unreachable('unknown');
  }
  if (NOBODY_THERE.has(response.status)) {
    connection.failed();
    throw unreachable('unknown');
  }
  connection.answered();
  return response;
}
