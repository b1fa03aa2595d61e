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
  fixed:
    'What a token costs however little is read, such as starting operations and waiting for all threads. Worked out from the line through the measured depths, not measured by itself.',
  outcome: 'Only runs that ended well (ok) enter an average.',
  temperature: 'How freely words are chosen; 0, or greedy, always takes the likeliest. It seldom changes the speed.',
  maxTokens: 'The longest answer that was allowed. A token is a piece of a word.',
  total: 'From sending the request until the last token, for this configuration.',
  verdict:
    'Really better or really worse: the whole 95 % interval of the change lies outside ±2 %. Unclear: the interval is too wide (20 points or more) to say that there is no difference.',
  inTurn:
    'A B B A: the baseline (A) and the change (B) run one after the other, so that a machine that gets slower meanwhile favours neither.',
  ceilings:
    'The last-level cache is the largest memory inside the processor. 8-bit arithmetic multiplies quantized weights, 32-bit arithmetic the rest. GB/s: thousand million bytes each second; Gop/s and GFLOP/s: thousand million operations each second.',
  share: 'The part of the whole step that this operation takes.',
  arithmetic: 'Multiplications and additions each second. GFLOP/s: thousand million of them.',
  possible:
    'How near it comes to the measured ceiling that bounds it: reading from memory, or arithmetic, whichever takes longer.',
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

const knobMeanings: Record<string, string> = {
  backend: 'What computes: cpu is LLMind’s own, mlx is Apple’s library.',
  isa: 'Which of the processor’s special instructions compute, such as AVX2 or AVX-512; of the MLX backend, its device.',
  threads: 'How many processor cores work on an answer at the same time.',
  context: 'How many tokens (pieces of words) one conversation may have.',
  prefill_chunk: 'The prompt is read in pieces of so many tokens.',
  kv_bits:
    'Bits of each number in the KV cache, which holds what the model has worked out about the context. Fewer need less memory.',
  prompt_lookup: 'So many next tokens are guessed from the text so far and checked in one step; 0: none.',
  max_sequences: 'How many answers can be written at the same time; further ones wait.',
  concurrency: 'How many answers are written at the same time.',
  queue_limit: 'How many requests may wait; a further one is told to try again.',
  precise: 'Everything is computed in 32-bit numbers: slower, for comparing results.',
  prefix_cache: 'The prompt was read before, so that its beginning need not be read again (prefix cache).',
  huge_pages: 'Memory is handed out in large pieces, which are quicker to find.',
  adapter: 'A small set of weights (LoRA) that was trained on top of the model.',
};
export const knobMeaning = (name: string) => knobMeanings[name] ?? '';

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
  if (/fraction|share|mbu|mfu|slowdown|resident|^frequency_change$/.test(name)) return percent(value);
  if (/_w$/.test(name)) return quantity(value, 'W');
  if (name === 'sequences') return count(value, 'answer');
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
  extra_ms_by_bytes: 'Time that its bytes explain',
  fixed_ms: 'Fixed cost of a token',
  share: 'Share of a token’s time',
  overhead_share_of_step: 'Overhead in the traced step',
  compute_share_of_step: 'Arithmetic in the traced step',
  prefill_gflops: 'Arithmetic in prefill',
  peak_gflops: 'This machine calculates at most',
  threads: 'Threads used',
  enough_threads: 'Threads that are enough',
  change_pct: 'Measured change',
  ci95_low_pct: 'at least (95 %)',
  sequences: 'Answers at once',
  speedup: 'Faster together by',
  exponent: 'Gain exponent (1: in proportion, 0: none)',
  throttled_fraction: 'Periods stopped by the CPU quota',
  quota_cores: 'CPU quota',
  cores_allowed: 'Cores allowed',
  cores_online: 'Cores of the machine',
  cores_physical: 'Physical cores',
  steal_fraction: 'Withheld by the hypervisor',
  others_cores: 'Used by other programs',
  process_cores: 'Used by this run',
  frequency_change: 'Clock changed by',
  temperature_c: 'Highest temperature',
  power_limit_w: 'Power limit',
  time_share_at_power_limit: 'Time at the power limit',
  power_share_of_limit: 'Power, of its limit',
  numa_remote_fraction: 'Read from another socket',
  itl_p50_ms: 'Usual gap between tokens',
  itl_p99_ms: '1 % of the gaps are longer than',
  ratio: 'Longest to usual',
  swap_in_bytes_per_s: 'Swapped in',
  swap_change_bytes: 'Swap grew by',
  major_faults: 'Reads from disk',
  major_faults_per_s: 'Reads from disk',
  weight_bytes: 'Weights',
  weights_resident_before: 'Weights in memory at the start',
  memory_bytes: 'Memory that it may use',
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
  ci95?: [number, number] | null;
  verdictReason?: string;
  indicative?: boolean;
}

/* From -40 % to +40 % follows nothing: "no real difference" is said of a narrow interval only, as in pairs.h. */
const CLEAR_WIDTH_PCT = 20;
export const isClear = (ci95: [number, number] | null | undefined) =>
  ci95 === undefined || (ci95 !== null && ci95[1] - ci95[0] < CLEAR_WIDTH_PCT);

/* A verdict in words: what it means for the user, never only which way the number went. */
export function verdictWords(one: Judged): {
  text: string;
  kind: 'good' | 'high' | 'neutral' | 'low';
  better: boolean;
} {
  const better = one.verdict !== 'unknown' && one.verdict === (one.better ?? 'higher');
  const hedge = one.indicative ? ' (indicative)' : '';
  if (one.verdict === 'unknown') return { text: 'no verdict', kind: 'neutral', better: false };
  if (one.verdict === 'no_real_difference' && !isClear(one.ci95))
    return { text: `unclear${hedge}`, kind: 'neutral', better: false };
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
