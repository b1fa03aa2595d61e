/* A profiling report (docs/report.schema.json) as the page shows it. What is not known is null and carries its reason.
 * read.ts makes one out of whatever the server has. */
import type { Json, Known } from './sound';

export const grades = ['excellent', 'good', 'fair', 'unstable', 'unknown'] as const;
export type Grade = (typeof grades)[number];
export type Verdict = 'higher' | 'lower' | 'no_real_difference' | 'unknown';
export type Severity = 'High' | 'Medium' | 'Low';

export interface Stats {
  n: number;
  mean: number | null;
  median: Known;
  min: number | null;
  max: number | null;
  sd: number | null;
  cv: number | null;
  iqr: number | null;
  meanCi95: [number, number] | null;
}

export interface Sample {
  index: number;
  outcome: string;
  message: string;
  figure: (name: string) => Known;
  itlMs: number[];
}

export interface Test {
  index: number;
  id: string;
  kind: 'prompt' | 'prefill' | 'decode';
  label: string;
  prompt: string;
  depth: number | null;
  maxTokens: number | null;
  grade: Grade;
  drifts: boolean;
  drift: number | null;
  headline: string;
  stats: (name: string) => Stats;
  achievedGbps: Stats;
  readGbps: Stats;
  mbu: Stats;
  mfu: Known;
  weightBytes: Known;
  kvBytes: Known;
  samples: Sample[];
}

export interface Configuration {
  index: number;
  id: string;
  label: string;
  knobs: { name: string; value: string }[];
  temperature: Known;
  maxTokens: number | null;
  outcome: string;
  message: string;
  tokensPerSecond: Stats;
  decode: Stats;
  prefill: Stats;
  ttftMs: Stats;
  totalS: Stats;
  memoryBytes: Known;
  change: Known;
  ci95: [number, number] | null;
  verdict: Verdict;
  verdictReason: string;
  compared: string;
  better: 'higher' | 'lower';
  best: boolean;
  indicative: boolean;
  pairs: number;
}

export interface Bottleneck {
  index: number;
  id: string;
  severity: Severity;
  fault: boolean;
  title: string;
  explanation: string;
  evidence: { name: string; value: number | string }[];
  principal: boolean;
}

/* What trying one configuration against a run's baseline found. */
export interface Proof {
  recommendation: string;
  verdict: 'kept' | 'rejected' | 'unclear';
  sentence: string;
  change: number | null;
  ci95: [number, number] | null;
  better: 'higher' | 'lower';
  runId: string; // the proof's own run; "" in its own report
  proves: string; // the run that it is about
}

export interface Recommendation {
  index: number;
  id: string;
  text: string;
  expected: Known;
  provable: boolean;
  setting: { key: string; value: string } | null;
  settingReason: string;
  because: string;
  proof: Proof | null;
}

export interface Operation {
  index: number;
  name: string;
  calls: number | null;
  timeMs: Known;
  share: Known;
  gbps: Known;
  gflops: Known;
  bound: string;
  efficiency: Known;
}

export interface Trace {
  depth: number;
  tracedMs: number | null;
  plainMs: number | null;
  overhead: Known;
  covered: number | null; // the operations' share of the step
  segments: { name: string; ms: number }[];
}

export interface TwoTerm {
  bandwidthGbps: number;
  fixedMs: number | null;
  fixedReason: string;
  ci95: [number, number] | null;
  points: { depth: number | null; bytes: number; tpotMs: number }[];
}

export interface Series {
  id: string;
  label: string;
  unit: string;
  quality: string;
  reason: string;
  values: (number | null)[];
}

export interface Ceiling {
  name: string;
  value: Known;
  unit: string;
}

export interface ComparedModel {
  index: number;
  model: string;
  ok: boolean;
  message: string;
  quantization: string;
  ranOn: string; // backend, instruction set and adapter, as far as they are told
  tokensPerSecond: Stats;
  decode: Stats;
  prefill: Stats;
  ttftMs: Stats;
  memoryBytes: Known;
  loadMs: Known;
  rank: number | null;
  change: Known;
  ci95: [number, number] | null;
  verdict: Verdict;
  verdictReason: string;
}

/* The coefficients of "what if": step = weights + sequences × context / 1000 × attention + fixed, in ms. */
export interface WhatIf {
  options: { label: string; current: boolean; weightBytes: number; weightsMs: (number | null)[] }[];
  sequences: number[];
  kvBits: number[];
  kvBytesPerToken: (number | null)[]; // by kvBits
  attentionMsPer1k: (number | null)[]; // by kvBits
  fixedMs: (number | null)[]; // by sequences
  low: number | null; // the speed may be this many times the predicted one
  high: number | null;
  reason: string; // why there is no such interval
  otherBytes: number | null;
  modelContext: number | null;
  context: number;
  kv: number; // bits now
}

/* What was expected of a test before it was measured. */
export interface Forecast {
  index: number;
  test: string;
  figure: string;
  predicted: Known;
  measured: Known;
  errorPct: Known;
}

export interface Report {
  kind: 'profile' | 'compare' | 'prove';
  created: string;
  quick: boolean;
  durationS: Known;
  message: string;
  notes: string[];
  cuts: string[];
  repeats: number | null;
  model: { name: string; architecture: string; quantization: string; parameters: Known; weightBytes: Known };
  machine: string; // the machine's line
  target: string; // address of a remote target; "" for a model of this machine
  flags: { name: string; value: string }[];
  flagsReason: string;
  summary: (name: string) => Known;
  grade: Grade;
  indicative: boolean;
  quality: string;
  qualityFlags: string[];
  gpu: Known; // a fraction
  memory: Json | null;
  memoryReason: string;
  kvBytesPerToken: Known;
  tests: Test[];
  configurations: Configuration[];
  strengths: string[];
  bottlenecks: Bottleneck[];
  recommendations: Recommendation[];
  proofs: Proof[]; // all that was tried for this run, newest first
  proof: Proof | null; // of a run that is itself a proof
  whatIf: WhatIf | null;
  forecasts: Forecast[];
  roofline: { readGbps: Known; peakGflops: Known; operations: Operation[] } | null;
  rooflineReason: string;
  ceilings: Ceiling[];
  traces: Trace[];
  twoTerm: TwoTerm | null;
  twoTermReason: string;
  sensors: { t: number[]; series: Series[]; phases: { name: string; start: number; end: number }[] } | null;
  sensorsReason: string;
  comparison: { prompt: string; reference: string; indicative: boolean; models: ComparedModel[] } | null;
}
