/* The two-term line, asked what would be: time per token = bytes / bandwidth + fixed time. Pure. */
import type { Report } from '../report';

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
