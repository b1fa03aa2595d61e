/* The two-term line, asked what would be: time per token = bytes / bandwidth + fixed time. Pure. */
import type { Report, WhatIf } from '../report';

export interface Line {
  bandwidthGbps: number;
  fixedMs: number;
  weightBytes: number; // read for each token, as measured
  kvBytesPerToken: number; // of context
  bits: number; // a weight has now, on the average
  kvBits: number;
  context: number; // the deepest that was measured
}

/* Milliseconds of one token. */
export function tokenMs(line: Line, bits: number, context: number): number {
  const bytes = (line.weightBytes * bits) / line.bits + line.kvBytesPerToken * context;
  return bytes / (line.bandwidthGbps * 1e6) + line.fixedMs;
}

/* null: there is no line, or not all that it needs. */
export function lineOf(report: Report): Line | null {
  const line = report.twoTerm;
  const decode = report.tests.filter((test) => test.kind === 'decode').sort((a, b) => (a.depth ?? 0) - (b.depth ?? 0));
  const weightBytes = decode[0]?.weightBytes.value ?? report.model.weightBytes.value;
  if (!line || line.fixedMs === null || line.fixedMs < 0 || !weightBytes || weightBytes <= 0) return null;
  const parameters = report.model.parameters.value;
  const bits = parameters && report.model.weightBytes.value ? (8 * report.model.weightBytes.value) / parameters : 4;
  return {
    bandwidthGbps: line.bandwidthGbps,
    fixedMs: line.fixedMs,
    weightBytes,
    kvBytesPerToken: Math.max(0, report.kvBytesPerToken.value ?? 0),
    bits: Math.min(32, Math.max(1, bits)),
    kvBits: Number(report.flags.find((flag) => flag.name === 'kv_bits')?.value) || 16,
    context: Math.max(0, ...decode.map((test) => test.depth ?? 0)),
  };
}

export interface Asked {
  n: number; // answers at once
  stepMs: number | null;
  rate: number | null; // tokens each second, of one answer
  low: number | null;
  high: number | null;
  all: number | null; // of all answers together
  totalBytes: number | null;
}

/* The report's own formula: weights + answers × context / 1000 × attention + fixed. Indices into its lists. */
export function asked(whatIf: WhatIf, option: number, sequences: number, kv: number, context: number): Asked {
  const chosen = whatIf.options[option];
  const n = whatIf.sequences[sequences] ?? 1;
  const [weights, fixed] = [chosen?.weightsMs[sequences] ?? null, whatIf.fixedMs[sequences] ?? null];
  const attention = context > 0 ? (whatIf.attentionMsPer1k[kv] ?? null) : 0;
  const stepMs =
    weights === null || fixed === null || attention === null
      ? null
      : weights + ((n * context) / 1000) * attention + fixed;
  const rate = stepMs !== null && stepMs > 0 ? 1000 / stepMs : null;
  const times = (factor: number | null) => (rate === null || factor === null ? null : rate * factor);
  const kvBytes = whatIf.kvBytesPerToken[kv] ?? null;
  return {
    n,
    stepMs,
    rate,
    low: times(whatIf.low),
    high: times(whatIf.high),
    all: times(n),
    totalBytes:
      !chosen || kvBytes === null || whatIf.otherBytes === null
        ? null
        : chosen.weightBytes + whatIf.otherBytes + n * context * kvBytes,
  };
}
