/* The typed client. Paths, bodies and answers are those of /openapi.json (types.gen.ts):
 *
 *   const { data } = await get('/api/chats', { query: { limit: 20 }, signal });
 *   await post('/api/models/load', { model: 'builtin' });
 *   await del('/api/chats/{id}', { path: { id } });
 *
 * Every failure is an ApiError; an abort stays the AbortError that it is. */
import type { components, paths } from './types.gen';
import { request } from './request';
import { isAbort, unreachable } from './error';
import { mayRetry, retryDelayMs, wait } from './retry';
import { urlOf, type Query } from './url';

export type Schemas = components['schemas'];

type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Operation<P extends keyof paths, V extends Verb> = paths[P][V];
export type PathsWith<V extends Verb> = {
  [P in keyof paths]: Operation<P, V> extends { responses: unknown } ? P : never;
}[keyof paths];

type Json<T> = T extends { content: { 'application/json': infer J } } ? J : never;
type Fine<R> = R extends { 200: infer A } ? A : R extends { 202: infer B } ? B : R extends { 201: infer C } ? C : never;
export type Answer<P extends keyof paths, V extends Verb> =
  Operation<P, V> extends { responses: infer R } ? Json<Fine<R>> : never;
export type Body<P extends keyof paths, V extends Verb> =
  Operation<P, V> extends { requestBody?: infer B } ? Json<NonNullable<B>> : never;

type Names<P extends string> = P extends `${string}{${infer N}}${infer Rest}` ? N | Names<Rest> : never;
interface Common {
  query?: Query;
  signal?: AbortSignal;
}
type Options<P extends string> = [Names<P>] extends [never] ? Common : Common & { path: Record<Names<P>, string> };
type Rest<P extends string> = [Names<P>] extends [never] ? [options?: Options<P>] : [options: Options<P>];

export function get<P extends PathsWith<'get'>>(path: P, ...rest: Rest<P>): Promise<Answer<P, 'get'>> {
  return call('GET', path, undefined, rest[0]);
}
export function post<P extends PathsWith<'post'>>(
  path: P,
  body: Body<P, 'post'> | undefined,
  ...rest: Rest<P>
): Promise<Answer<P, 'post'>> {
  return call('POST', path, body ?? {}, rest[0]);
}
export function put<P extends PathsWith<'put'>>(
  path: P,
  body: Body<P, 'put'>,
  ...rest: Rest<P>
): Promise<Answer<P, 'put'>> {
  return call('PUT', path, body, rest[0]);
}
export function patch<P extends PathsWith<'patch'>>(
  path: P,
  body: Body<P, 'patch'>,
  ...rest: Rest<P>
): Promise<Answer<P, 'patch'>> {
  return call('PATCH', path, body, rest[0]);
}
export function del<P extends PathsWith<'delete'>>(path: P, ...rest: Rest<P>): Promise<Answer<P, 'delete'>> {
  return call('DELETE', path, undefined, rest[0]);
}

/* A report or a chart as a file; a plain link could not send the API key. */
export async function getFile<P extends PathsWith<'get'>>(path: P, ...rest: Rest<P>): Promise<Blob> {
  return retried('GET', path, undefined, rest[0], (response) => response.blob());
}

type AnyOptions = Common & { path?: Record<string, string> };

function call<T>(method: string, path: string, body: unknown, options: AnyOptions = {}): Promise<T> {
  return retried(method, path, body, options, (response) => response.json() as Promise<T>);
}

async function retried<T>(
  method: string,
  path: string,
  body: unknown,
  options: AnyOptions = {},
  read: (response: Response) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  const url = urlOf(path, options.path, options.query);
  for (let attempt = 1; ; attempt++) {
    try {
      return await whole(await request({ method, url, body, signal }), read, signal);
    } catch (error) {
      if (!mayRetry(method, attempt, error)) throw error;
      await wait(retryDelayMs(attempt, error), signal);
    }
  }
}

/* A connection can also break in the middle of a body. */
async function whole<T>(
  response: Response,
  read: (response: Response) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  try {
    return await read(response);
  } catch (error) {
    if (isAbort(error) || signal?.aborted) throw error;
    throw unreachable('unknown');
  }
}
