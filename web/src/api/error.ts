/* The one error that everything in src/api throws. Its message is written for the user: what happened, what to do. */
import type { components } from './types.gen';

export type Problem = components['schemas']['Problem'];

/* `no`: it provably never left this page. `unknown`: the network failed, and the server may have acted on it. */
export type Reached = 'yes' | 'no' | 'unknown';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: string | null;
  readonly param: string | null; // the field of the body or query that is wrong
  readonly status: number; // 0: there was no answer
  readonly reached: Reached;
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    more: {
      code?: string | null;
      param?: string | null;
      status?: number;
      reached?: Reached;
      retryAfterMs?: number | null;
    },
  ) {
    super(message);
    this.code = more.code ?? null;
    this.param = more.param ?? null;
    this.status = more.status ?? 0;
    this.reached = more.reached ?? 'yes';
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/* What to show for anything that was caught. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  return error instanceof Error ? `The page made a mistake: ${error.message}` : 'The page made a mistake.';
}

export function unreachable(reached: Reached): ApiError {
  return new ApiError(
    reached === 'no'
      ? 'LLMind does not answer, so nothing was sent. Check that it is still running, then try again.'
      : 'LLMind did not answer. Check that it is still running, then try again.',
    { code: 'unreachable', reached },
  );
}

/* A number of seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | null, now = Date.now()): number | null {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

export async function errorOf(response: Response): Promise<ApiError> {
  const common = { status: response.status, retryAfterMs: retryAfterMs(response.headers.get('Retry-After')) };
  const body = (await response.json().catch(() => null)) as Partial<Problem> | null;
  const said = body?.error;
  if (said && typeof said.message === 'string')
    return new ApiError(sentence(said.message), { ...common, code: said.code, param: said.param });
  return new ApiError(`LLMind answered with status ${response.status} and did not say why.`, common);
}

/* The server's messages begin small, as they do in a terminal; here each stands alone. A name stays as it is. */
export function sentence(message: string): string {
  const first = message.split(' ', 1)[0] ?? '';
  const text = /^[a-z]+$/.test(first) ? message.charAt(0).toUpperCase() + message.slice(1) : message;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
