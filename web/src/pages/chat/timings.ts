/* The quiet line under an answer. Pure. */
import { count, milliseconds, tokensPerSecond } from '../../api/format';

/* "128 tokens · 41.2 tok/s · TTFT 95 ms · cached 512": what is not known is left out. */
export function quietLine(timings: object | null | undefined): string {
  const figure = (name: string): number | null => {
    const value = timings ? (timings as Record<string, unknown>)[name] : null;
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  };
  const [tokens, speed, ttft, cached] = [
    figure('generated_tokens'),
    figure('decode_tokens_per_second'),
    figure('ttft_ms'),
    figure('cached_tokens'),
  ];
  return [
    tokens === null ? '' : count(tokens, 'token').text,
    speed === null ? '' : tokensPerSecond(speed).text,
    ttft === null ? '' : `TTFT ${milliseconds(ttft).text}`,
    cached === null ? '' : `cached ${count(cached).text}`,
  ]
    .filter(Boolean)
    .join(' · ');
}

export const QUIET_LINE_MEANS =
  'Tokens: pieces of words that the model wrote. tok/s: how many of them each second, after the first. ' +
  'TTFT: time to first token, from the request until the first of them. ' +
  'Cached: tokens of the prompt that were still known from before, and were not read again.';
