/* The words of the results: what a figure means, how an internal name reads, what a verdict says. Pure. */
import {
  bytes,
  change,
  count,
  milliseconds,
  percent,
  quantity,
  tokensPerSecond,
  unknown,
  type Figure,
} from '../api/format';
import type { Grade, Stats, Verdict } from './report';
import type { Known } from './sound';

export const definitions = {
  tokensPerSecond:
    'Tokens of the answer divided by the time from the request to the last token, so reading the prompt counts. ± is the standard deviation of the runs.',
  memory:
    'The most memory the model process ever used during the run: weights, KV cache, scratch space and the program itself.',
  gpu: 'The share of time in which the GPU was busy. Busy is not the same as fast: a GPU that waits for memory is busy too.',
  response:
    'From sending the request until the last token of the answer has arrived. ± is the standard deviation of the runs.',
  decode: 'Decoding: tokens written each second, from the first to the last one of an answer.',
  prefill: 'Prefill: tokens of the prompt read each second, before the first token of the answer.',
  ttft: 'Time to first token: from sending the request until the first token arrives.',
  tpot: 'Time per output token: from the first to the last token, divided by the number of gaps.',
  itl: 'Inter-token latency: the gap between one token and the next. p50 is the middle one; of 100 gaps 99 are shorter than p99.',
  mbu: 'Memory bandwidth utilisation: bytes read for each token, divided by its time, as a share of what this machine can read at most (measured beside the run).',
  mfu: 'Compute utilisation of prefill: its arithmetic divided by its time, as a share of what this machine can calculate at most (measured).',
  gbps: 'Bytes of weights and KV cache read each second while decoding.',
  depth: 'How many tokens of context were there already when the measured tokens were written.',
  spread: 'Standard deviation of the runs that ended well; with it the share of the mean.',
  kv: 'The KV cache holds what the model remembers of the context; every new token reads all of it.',
  interval:
    'With 95 % confidence the real change lies in this range. Different means: the whole range lies outside ±2 %.',
  fixed: 'What a token costs even if there were nothing to read: starting operations and waiting for all threads.',
  outcome: 'Only runs that ended well (ok) enter an average.',
  cores: 'Processor cores that were busy for the model while decoding.',
  load: 'From starting the model process until it can answer.',
};

export const gradeWords: Record<
  Grade,
  { text: string; kind: 'good' | 'low' | 'medium' | 'high' | 'neutral'; means: string }
> = {
  excellent: { text: 'excellent', kind: 'good', means: 'Repeats differ by less than 5 %.' },
  good: { text: 'good', kind: 'good', means: 'Repeats differ by 5 to 10 %.' },
  fair: { text: 'fair', kind: 'medium', means: 'Repeats differ by 10 to 20 %: small differences cannot be seen.' },
  unstable: { text: 'unstable', kind: 'high', means: 'Repeats differ by more than 20 %: no verdict is possible.' },
  unknown: { text: 'not graded', kind: 'neutral', means: 'There were too few repeats to say how far they agree.' },
};

const outcomes: Record<string, string> = {
  ok: 'ok',
  short_output: 'ended early',
  not_cold: 'prompt was already known',
  timeout: 'took too long',
  out_of_memory: 'out of memory',
  cancelled: 'cancelled',
  error: 'failed',
};
export const outcomeWord = (outcome: string) => outcomes[outcome] ?? (outcome || 'unknown').replaceAll('_', ' ');

const knobs: Record<string, string> = {
  backend: 'Backend',
  isa: 'Instructions',
  threads: 'Threads',
  context: 'Context, tokens',
  prefill_chunk: 'Prefill chunk, tokens',
  kv_bits: 'KV cache bits',
  prompt_lookup: 'Tokens guessed at once',
  max_sequences: 'Answers at once',
  concurrency: 'Answers at once',
  queue_limit: 'Waiting requests',
  precise: 'Exact arithmetic',
  prefix_cache: 'Prompt known already',
  huge_pages: 'Huge pages',
};
export const knobName = (name: string) => knobs[name] ?? plain(name);

/* "tpot_ms_at_depth" without a better word is "Tpot ms at depth". */
export function plain(name: string): string {
  const text = name.replaceAll('_', ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const comparedNames: Record<string, string> = {
  tokens_per_second: 'answer speed',
  decode_tokens_per_second: 'decoding speed',
  prefill_tokens_per_second: 'prefill speed',
  aggregate_decode_tokens_per_second: 'decoding speed, all together',
  ttft_ms: 'time to first token',
  response_ms: 'response time',
  memory_bytes: 'memory',
  mbu: 'memory bandwidth utilisation',
  load_ms: 'load time',
};
export const comparedName = (name: string) => comparedNames[name] ?? plain(name).toLowerCase();

/* A figure whose unit its name ends in, as everywhere in our reports. */
export function figureOf(name: string, value: number | null, reason = ''): Figure {
  if (value === null) return unknown(reason);
  if (name.endsWith('tokens_per_second')) return tokensPerSecond(value);
  if (/(^|_)ms(_|$)/.test(name)) return milliseconds(value);
  if (/bytes_per_s$/.test(name)) return quantity(value / 1e6, 'MB/s');
  if (/(^|_)bytes(_|$)/.test(name)) return bytes(value);
  if (name.endsWith('_pct')) return change(value);
  if (name.endsWith('gbps')) return quantity(value, 'GB/s');
  if (name.endsWith('gflops')) return quantity(value, 'GFLOP/s');
  if (/fraction|share|mbu|mfu|slowdown|^frequency_change$/.test(name)) return percent(value);
  if (/temperature_c$/.test(name)) return quantity(value, '°C');
  if (/mhz$/.test(name)) return quantity(value, 'MHz');
  if (name.endsWith('_per_s')) return quantity(value, 'per second');
  if (/cores/.test(name)) return quantity(value, value === 1 ? 'core' : 'cores');
  if (/threads/.test(name)) return count(value, 'thread');
  if (/tokens$|^depth$/.test(name)) return count(value, 'token');
  if (/^(speedup|ratio)$/.test(name)) return quantity(value, '×');
  return quantity(value, '');
}

const evidenceNames: Record<string, string> = {
  mbu: 'Memory bandwidth used',
  mfu: 'Arithmetic used in prefill',
  achieved_gbps: 'Read while decoding',
  read_gbps: 'This machine reads at most',
  ceiling_gbps: 'This machine reads at most',
  bytes_per_token: 'Read for each token',
  tpot_ms: 'Time per token',
  tpot_ms_at_start: 'Time per token at the start',
  tpot_ms_at_depth: 'Time per token at that depth',
  depth: 'Context',
  depth_tokens: 'Context',
  slowdown: 'Slower by',
  kv_bytes_per_token: 'KV cache read for each token',
  extra_ms: 'Extra time per token',
  extra_ms_by_bytes: 'of it explained by bytes',
  fixed_ms: 'Fixed cost of a token',
  share: 'Share of a token’s time',
  overhead_share_of_step: 'Overhead in a token’s time',
  compute_share_of_step: 'Arithmetic in a token’s time',
  prefill_gflops: 'Arithmetic in prefill',
  peak_gflops: 'This machine calculates at most',
  threads: 'Threads used',
  enough_threads: 'Threads that are enough',
  change_pct: 'Measured change',
  ci95_low_pct: 'at least (95 %)',
  sequences: 'Answers at once',
  speedup: 'Faster together by',
  exponent: 'Gain exponent (1 is perfect)',
  throttled_fraction: 'Held back by the CPU quota',
  quota_cores: 'CPU quota',
  cores_allowed: 'Cores allowed',
  cores_online: 'Cores of the machine',
  cores_physical: 'Physical cores',
  steal_fraction: 'Taken by neighbours',
  others_cores: 'Used by other programs',
  process_cores: 'Left for this run',
  frequency_change: 'Clock changed by',
  temperature_c: 'Highest temperature',
  power_share_of_limit: 'Power, of its limit',
  numa_remote_fraction: 'Read from another socket',
  itl_p50_ms: 'Usual gap between tokens',
  itl_p99_ms: 'Longest 1 % of gaps',
  ratio: 'Longest to usual',
  swap_in_bytes_per_s: 'Swapped in',
  swap_change_bytes: 'Swap grew by',
  major_faults: 'Reads from disk',
  major_faults_per_s: 'Reads from disk',
  weight_bytes: 'Weights',
  memory_bytes: 'Memory of the machine',
  footprint_peak_bytes: 'Used at most',
  predicted_bytes: 'Predicted',
  gpu_working_set_bytes: 'GPU may use',
  first_ttft_ms: 'First run, first token after',
  later_ttft_ms: 'Later runs, first token after',
};
export const evidenceName = (name: string) => evidenceNames[name] ?? plain(name);

/* "+31 % [+27, +35]" */
export function changeWithInterval(pct: number | null, ci95: [number, number] | null, reason = ''): string {
  const text = change(pct, reason).text;
  return ci95 && pct !== null ? `${text} [${change(ci95[0]).value}, ${change(ci95[1]).value}]` : text;
}

export interface Judged {
  verdict: Verdict;
  better?: 'higher' | 'lower';
  verdictReason?: string;
  indicative?: boolean;
}

/* A verdict in words: what it means for the user, never only which way the number went. */
export function verdictWords(one: Judged): {
  text: string;
  kind: 'good' | 'high' | 'neutral' | 'low';
  better: boolean;
} {
  const better = one.verdict !== 'unknown' && one.verdict === (one.better ?? 'higher');
  const hedge = one.indicative ? ' (indicative)' : '';
  if (one.verdict === 'unknown') return { text: 'no verdict', kind: 'neutral', better: false };
  if (one.verdict === 'no_real_difference') return { text: `no real difference${hedge}`, kind: 'low', better: false };
  return { text: `${better ? 'really better' : 'really worse'}${hedge}`, kind: better ? 'good' : 'high', better };
}

/* "±1.3 tok/s" of some figure's formatter. */
export function spreadOf(stats: Stats, format: (value: number) => Figure): string {
  return stats.sd === null || stats.n < 2 ? '' : `±${format(stats.sd).text}`;
}

export function show(known: Known, format: (value: number | null, reason?: string) => Figure): Figure {
  return format(known.value, known.reason);
}

/* Median with its spread, for a cell: "16.8 ±0.5". The unit stands in the column's name. */
export function cell(stats: Stats, scale = 1): string {
  if (stats.median.value === null) return '–';
  const value = quantity(stats.median.value * scale, '').text;
  return stats.sd === null || stats.n < 2 ? value : `${value} ±${quantity(stats.sd * scale, '').text}`;
}

/* What a proof said, in a word. */
export const proofWords = {
  kept: { text: 'proved', kind: 'good' },
  rejected: { text: 'failed its proof', kind: 'high' },
  unclear: { text: 'not settled by its proof', kind: 'medium' },
} as const;

/* The verdict of a proof as one of a configuration. */
export function proofVerdict(proof: { verdict: keyof typeof proofWords; better: 'higher' | 'lower' }): Verdict {
  if (proof.verdict === 'kept') return proof.better;
  return proof.verdict === 'rejected' ? 'no_real_difference' : 'unknown';
}
