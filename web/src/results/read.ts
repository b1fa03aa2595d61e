/* From a report's JSON to a Report: complete, typed, and harmless whoever wrote it. */
import {
  at,
  clean,
  interval,
  known,
  list,
  number,
  numbers,
  object,
  objectOrNull,
  oneOf,
  reasonAt,
  texts,
} from './sound';
import type { Json } from './sound';
import { grades } from './report';
import type { Bottleneck, Ceiling, Configuration, Forecast, Proof, Recommendation } from './report';
import type { Report, Stats, Test, Trace, TwoTerm, WhatIf } from './report';

const NAME = 160; // characters of a name that stands in a line

export function readReport(value: unknown): Report {
  const report = object(value);
  const analysis = object(report['analysis']);
  const summary = object(report['summary']);
  const flags = objectOrNull(report['flags']);
  return {
    kind: oneOf(report['kind'], ['profile', 'compare', 'prove'], 'profile'),
    created: clean(report['created'], 40),
    quick: report['mode'] === 'quick',
    durationS: known(report, 'duration_s'),
    message: clean(report['message'], 600),
    notes: texts(report['notes']),
    cuts: texts(at(report, 'protocol')['cuts']),
    repeats: number(at(report, 'protocol')['repeats']),
    model: readModel(object(report['model'])),
    machine: machineLine(report),
    target: clean(at(report, 'target')['url'], 300),
    flags: pairs(flags ?? {}),
    flagsReason: reasonAt(report, 'flags'),
    summary: (name) => known(summary, name),
    grade: oneOf(summary['grade'], grades, 'unknown'),
    indicative: summary['indicative'] === true || report['mode'] === 'quick',
    quality: clean(summary['quality'], 600),
    qualityFlags: texts(at(analysis, 'quality')['flags']),
    gpu: known(object(report['host']), 'gpu_utilization', 'no GPU was measured'),
    memory: objectOrNull(report['memory']),
    memoryReason: reasonAt(report, 'memory'),
    kvBytesPerToken: known(object(report['memory']), 'kv_bytes_per_token'),
    tests: list(report['tests']).map(readTest),
    configurations: list(report['configurations']).map(readConfiguration),
    strengths: texts(analysis['strengths']),
    bottlenecks: list(analysis['bottlenecks'], 100).map(readBottleneck),
    recommendations: list(analysis['recommendations'], 100).map(readRecommendation),
    proofs: list(analysis['proofs'], 50).flatMap((one) => readProof(one) ?? []),
    proof: readProof(report['proof']),
    whatIf: readWhatIf(analysis['what_if']),
    forecasts: readForecasts(object(report['predicted'])),
    roofline: readRoofline(analysis['roofline']),
    rooflineReason: reasonAt(analysis, 'roofline') || reasonAt(report, 'analysis'),
    ceilings: readCeilings(object(report['ceilings'])),
    traces: list(report['traces'], 8).map(readTrace),
    twoTerm: readTwoTerm(analysis['two_term']),
    twoTermReason: reasonAt(analysis, 'two_term') || reasonAt(report, 'analysis'),
    sensors: readSensors(report['sensors']),
    sensorsReason: reasonAt(report, 'sensors'),
    comparison: readComparison(report['comparison']),
  };
}

export function readStats(parent: Json, name: string): Stats {
  const stats = objectOrNull(parent[name]);
  if (!stats) {
    const nothing = { value: null, reason: reasonAt(parent, name) || 'not measured' };
    return { n: 0, mean: null, median: nothing, min: null, max: null, sd: null, cv: null, iqr: null, meanCi95: null };
  }
  return {
    n: number(stats['n']) ?? 0,
    mean: number(stats['mean']),
    median: known(stats, 'median'),
    min: number(stats['min']),
    max: number(stats['max']),
    sd: number(stats['sd']),
    cv: number(stats['cv']),
    iqr: number(stats['iqr']),
    meanCi95: interval(stats['mean_ci95']),
  };
}

function pairs(values: Json): { name: string; value: string }[] {
  return Object.entries(values)
    .filter(([name]) => !name.endsWith('_reason'))
    .slice(0, 30)
    .map(([name, value]) => ({ name: clean(name, 60), value: scalar(value) }))
    .filter(({ name, value }) => name && value);
}

function scalar(value: unknown): string {
  if (typeof value === 'string') return clean(value, NAME);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  const figure = number(value);
  return figure === null ? '' : String(Math.round(figure * 1000) / 1000);
}

function readModel(model: Json): Report['model'] {
  return {
    name: clean(model['name'], NAME),
    architecture: clean(model['architecture'], 60),
    quantization: clean(model['quantization'], NAME),
    parameters: known(model, 'parameters'),
    weightBytes: known(model, 'weight_bytes'),
  };
}

/* "AMD EPYC 9B14, 2 cores, Linux 6.1.0 x86_64, LLMind 0.1.0 (cd38bfc)" */
function machineLine(report: Json): string {
  const [machine, tool] = [object(report['machine']), object(report['tool'])];
  const cores = number(machine['cores_allowed']);
  const version = clean(tool['version'], 30);
  const commit = clean(tool['commit'], 20);
  return [
    clean(machine['cpu'], NAME),
    cores === null ? '' : `${cores} ${cores === 1 ? 'core' : 'cores'}`,
    clean(machine['gpu'], NAME),
    clean(machine['os'], 80),
    version && `LLMind ${version}${commit && ` (${commit})`}`,
  ]
    .filter(Boolean)
    .join(', ');
}

function readTest(test: Json, index: number): Test {
  const [summary, roofline] = [object(test['summary']), object(test['roofline'])];
  return {
    index,
    id: clean(test['id'], 80),
    kind: oneOf(test['kind'], ['prompt', 'prefill', 'decode'], 'prompt'),
    label: clean(test['label'], NAME) || clean(test['id'], 80) || `test ${index + 1}`,
    prompt: clean(test['prompt']),
    depth: number(test['depth']),
    maxTokens: number(test['max_tokens']),
    grade: oneOf(test['grade'], grades, 'unknown'),
    drifts: test['drifts'] === true,
    drift: number(test['drift']),
    headline: clean(test['headline'], 60),
    stats: (name) => readStats(summary, name),
    achievedGbps: readStats(roofline, 'achieved_gbps'),
    readGbps: readStats(roofline, 'read_gbps'),
    mbu: readStats(roofline, 'mbu'),
    mfu: known(roofline, 'mfu', reasonAt(test, 'roofline') || 'not measured'),
    weightBytes: known(roofline, 'weight_bytes_per_token'),
    kvBytes: known(roofline, 'kv_bytes_per_token'),
    samples: list(test['samples'], 200).map((sample, i) => ({
      index: i,
      outcome: clean(sample['outcome'], 30) || 'unknown',
      message: clean(sample['message'], 300),
      figure: (name: string) => known(sample, name),
      itlMs: numbers(sample['itl_ms']).filter((gap) => gap >= 0),
    })),
  };
}

const verdicts = ['higher', 'lower', 'no_real_difference', 'unknown'] as const;

function readConfiguration(one: Json, index: number): Configuration {
  return {
    index,
    id: clean(one['id'], 80),
    label: clean(one['label'], NAME) || clean(one['id'], 80) || `configuration ${index + 1}`,
    knobs: pairs(object(one['knobs'])),
    temperature: known(one, 'temperature'),
    maxTokens: number(one['max_tokens']),
    outcome: clean(one['outcome'], 30),
    message: clean(one['message'], 400),
    tokensPerSecond: readStats(one, 'tokens_per_second'),
    decode: readStats(one, 'decode_tokens_per_second'),
    prefill: readStats(one, 'prefill_tokens_per_second'),
    ttftMs: readStats(one, 'ttft_ms'),
    totalS: readStats(one, 'total_time_s'),
    memoryBytes: known(one, 'memory_bytes'),
    change: known(one, 'change_pct'),
    ci95: interval(one['ci95']),
    verdict: oneOf(one['verdict'], verdicts, 'unknown'),
    verdictReason: reasonAt(one, 'verdict') || reasonAt(one, 'change_pct'),
    compared: clean(one['compared'], 60) || 'tokens_per_second',
    better: oneOf(one['better'], ['higher', 'lower'], 'higher'),
    best: one['best'] === true,
    indicative: one['indicative'] === true,
    pairs: number(one['pairs']) ?? 0,
  };
}

function readBottleneck(one: Json, index: number): Bottleneck {
  const evidence = Object.entries(object(one['evidence']))
    .slice(0, 20)
    .map(([name, value]) => ({ name: clean(name, 60), value: number(value) ?? clean(scalar(value), 120) }))
    .filter(({ value }) => value !== '');
  return {
    index,
    id: clean(one['id'], 80),
    severity: oneOf(one['severity'], ['High', 'Medium', 'Low'], 'Low'),
    fault: one['kind'] === 'fault',
    title: clean(one['title'], 200) || 'Without a title',
    explanation: clean(one['explanation'], 1500),
    evidence,
    principal: one['principal'] === true,
  };
}

function readRecommendation(one: Json, index: number): Recommendation {
  const setting = objectOrNull(one['setting']);
  return {
    index,
    id: clean(one['id'], 200),
    text: clean(one['text'], 1500),
    expected: known(one, 'expected_pct', 'not measured in this run'),
    provable: one['provable'] === true,
    setting: setting && { key: clean(setting['key'], 60), value: scalar(setting['value']) },
    settingReason: reasonAt(one, 'setting'),
    because: clean(one['because'], 80),
    proof: readProof(one['proof']),
  };
}

export function readProof(value: unknown): Proof | null {
  const proof = objectOrNull(value);
  return (
    proof && {
      recommendation: clean(proof['recommendation'], 200),
      verdict: oneOf(proof['verdict'], ['kept', 'rejected', 'unclear'], 'unclear'),
      sentence: clean(proof['sentence'], 600),
      change: number(proof['change_pct']),
      ci95: interval(proof['ci95']),
      better: oneOf(proof['better'], ['higher', 'lower'], 'higher'),
      runId: clean(proof['proof_run_id'], 40),
      proves: clean(proof['proves'], 40),
    }
  );
}

function readForecasts(predicted: Json): Forecast[] {
  const memory = objectOrNull(predicted['memory_bytes']);
  const all = [...list(predicted['tests']), ...(memory ? [{ ...memory, test: 'memory', figure: 'memory_bytes' }] : [])];
  return all.map((one: Json, index) => ({
    index,
    test: clean(one['test'], 80),
    figure: clean(one['figure'], 60),
    predicted: known(one, 'predicted'),
    measured: known(one, 'measured'),
    errorPct: known(one, 'error_pct'),
  }));
}

function readWhatIf(value: unknown): WhatIf | null {
  const whatIf = objectOrNull(value);
  const from = object(whatIf?.['coefficients']);
  const each = (of: unknown) => (Array.isArray(of) ? of.slice(0, 16).map(number) : []);
  const options = list(whatIf?.['bits'], 32).flatMap((one) => {
    const weightBytes = number(one['weight_bytes']);
    const label = clean(one['label'], 60) || `${number(one['bits']) ?? '?'} bits`;
    return weightBytes === null
      ? []
      : [{ label, current: one['current'] === true, weightBytes, weightsMs: each(one['weights_ms']) }];
  });
  const [sequences, kvBits] = [numbers(from['sequences'], 16), numbers(from['kv_bits'], 4)];
  if (!whatIf || !options.length || !sequences.length || !kvBits.length) return null;
  return {
    options,
    sequences,
    kvBits,
    kvBytesPerToken: each(from['kv_bytes_per_token']),
    attentionMsPer1k: each(from['attention_ms_per_1k']),
    fixedMs: each(from['fixed_ms']),
    low: number(from['low']),
    high: number(from['high']),
    reason: reasonAt(from, 'low'),
    otherBytes: number(from['other_bytes']),
    modelContext: number(from['model_context']),
    context: number(whatIf['context']) ?? 0,
    kv: number(whatIf['kv_bits']) ?? 16,
  };
}

function readRoofline(value: unknown): Report['roofline'] {
  const roofline = objectOrNull(value);
  return (
    roofline && {
      readGbps: known(roofline, 'read_gbps'),
      peakGflops: known(roofline, 'peak_gflops'),
      operations: list(roofline['operations'], 200).map((one, index) => ({
        index,
        name: clean(one['name'], 100) || `operation ${index + 1}`,
        calls: number(one['calls']),
        timeMs: known(one, 'time_ms'),
        share: known(one, 'share'),
        gbps: known(one, 'gbps'),
        gflops: known(one, 'gflops'),
        bound: clean(one['bound'], 30),
        efficiency: known(one, 'efficiency'),
      })),
    }
  );
}

function readCeilings(ceilings: Json): Ceiling[] {
  const names = {
    memory_read: 'Reading memory',
    cache_read: 'Reading the last-level cache',
    int8: '8-bit arithmetic',
    f32: '32-bit arithmetic',
  };
  return Object.entries(names)
    .filter(([id]) => objectOrNull(ceilings[id]))
    .map(([id, name]) => {
      const one = object(ceilings[id]);
      const value = known(one, 'value', clean(one['reason'], 300) || 'not measured');
      return { name, value, unit: clean(one['unit'], 20) };
    });
}

function readTrace(trace: Json): Trace {
  return {
    depth: number(trace['depth']) ?? 0,
    tracedMs: number(trace['traced_step_ms']),
    plainMs: number(trace['plain_step_ms']),
    overhead: known(trace, 'overhead_fraction'),
    covered: number(trace['covered_fraction']),
    segments: list(trace['segments'], 5000).map((one) => ({
      name: clean(one['name'], 100),
      ms: Math.max(0, number(one['ms']) ?? 0),
    })),
  };
}

function readTwoTerm(value: unknown): TwoTerm | null {
  const line = objectOrNull(value);
  const bandwidthGbps = number(line?.['bandwidth_gbps']);
  if (!line || !bandwidthGbps || bandwidthGbps <= 0) return null;
  return {
    bandwidthGbps,
    fixedMs: number(line['fixed_ms']),
    fixedReason: reasonAt(line, 'fixed_ms'),
    ci95: interval(line['fixed_ms_ci95']),
    points: list(line['points'], 50).flatMap((point) => {
      const [bytes, tpotMs] = [number(point['bytes']), number(point['tpot_ms'])];
      return bytes === null || tpotMs === null ? [] : [{ depth: number(point['depth']), bytes, tpotMs }];
    }),
  };
}

function readSensors(value: unknown): Report['sensors'] {
  const sensors = objectOrNull(value);
  if (!sensors) return null;
  const t = numbers(sensors['t_s']);
  return {
    t,
    series: list(sensors['series'], 100).map((one) => ({
      id: clean(one['id'], 60),
      label: clean(one['label'], 80),
      unit: clean(one['unit'], 20),
      quality: clean(one['quality'], 20),
      reason: clean(one['reason'], 300),
      values: Array.isArray(one['values']) ? one['values'].slice(0, t.length).map(number) : [],
    })),
    phases: list(sensors['phases'], 500).flatMap((phase) => {
      const [start, end] = [number(phase['start_s']), number(phase['end_s'])];
      return start === null || end === null ? [] : [{ name: clean(phase['name'], 80), start, end }];
    }),
  };
}

function readRanOn(one: Json): string {
  const place = [one['backend'], one['isa']].map((part) => clean(part, 60)).filter(Boolean);
  const adapter = clean(one['adapter'], NAME);
  return [place.join('/'), adapter && `adapter ${adapter}`].filter(Boolean).join(', ');
}

function readComparison(value: unknown): Report['comparison'] {
  const comparison = objectOrNull(value);
  return (
    comparison && {
      prompt: clean(comparison['test_prompt']),
      reference: clean(comparison['reference'], NAME),
      indicative: comparison['indicative'] === true,
      models: list(comparison['models'], 200).map((one, index) => ({
        index,
        model: clean(one['model'], NAME) || `model ${index + 1}`,
        ok: one['status'] === 'success',
        message: clean(one['message'], 600),
        quantization: clean(one['quantization'], NAME),
        ranOn: readRanOn(one),
        tokensPerSecond: readStats(one, 'tokens_per_second'),
        decode: readStats(one, 'decode_tokens_per_second'),
        prefill: readStats(one, 'prefill_tokens_per_second'),
        ttftMs: readStats(one, 'ttft_ms'),
        memoryBytes: known(one, 'memory_bytes'),
        loadMs: known(one, 'load_ms'),
        rank: number(one['rank']),
        change: known(one, 'change_pct'),
        ci95: interval(one['ci95']),
        verdict: oneOf(one['verdict'], verdicts, 'unknown'),
        verdictReason: reasonAt(one, 'verdict') || reasonAt(one, 'change_pct'),
      })),
    }
  );
}
