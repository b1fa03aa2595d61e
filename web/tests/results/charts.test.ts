import { describe, expect, it } from 'vitest';
import { operationName, partsOf, placed, rooflineChart, tokenTimeChart } from '../../src/results/analysis/operations';
import { asked, lineOf, tokenMs } from '../../src/results/analysis/whatIf';
import {
  configurationChart,
  depthChart,
  latencyChart,
  memoryChart,
  throughputChart,
} from '../../src/results/charts/charts';
import { comparisonChart } from '../../src/results/charts/comparison';
import { distinct, quantile, thinned } from '../../src/results/charts/option';
import { absent, timelineChart } from '../../src/results/charts/timeline';
import { readReport } from '../../src/results/read';
import { report } from './reports';

const full = report('full');

describe('helpers', () => {
  it('keeps names apart and the shape of a curve', () => {
    expect(distinct(['a', 'b', 'a'])).toEqual(['a', 'b', 'a (2)']);
    expect(quantile([1, 2, 3, 4, 5], 0.5)).toBe(3);
    const spike = Array.from({ length: 10_000 }, (_, i): [number, number] => [i, i === 5000 ? 99 : 1]);
    const some = thinned(spike, 200);
    expect(some.length).toBeLessThanOrEqual(200);
    expect(Math.max(...some.map(([, y]) => y ?? 0))).toBe(99);
  });
});

describe('every chart', () => {
  it('has the same figures in its table', () => {
    expect(throughputChart(full.tests)?.table.rows.map(([name]) => name)).toEqual(['simple', 'medium', 'complex']);
    expect(latencyChart(full.tests)?.table.rows.length).toBe(7);
    expect(depthChart(full)?.table.rows.map(([depth]) => depth)).toEqual([0, 1024, 2048, 4096]);
    expect(configurationChart(full.configurations)?.table.rows.length).toBe(11);
    expect(timelineChart(full)?.table.rows.length).toBe(24);
    expect(absent(full).map(({ label }) => label)).toEqual(['CPU power', 'GPU busy']);
  });
  it('draws memory as steps that add up', () => {
    const drawing = memoryChart(full);
    const series = drawing?.option['series'] as { data: (number | null)[] }[];
    expect(series[0]?.data[1]).toBeCloseTo(695.28, 1); // the KV cache stands on the weights
    expect(series[0]?.data[3]).toBe(0); // a sum stands on the ground
    expect(drawing?.summary).toContain('100 %');
  });
  it('is none where nothing was measured', () => {
    const failed = report('failed');
    expect(throughputChart(failed.tests)).toBeNull();
    expect(latencyChart(failed.tests)).toBeNull();
    expect(memoryChart(report('remote'))).toBeNull();
    expect(timelineChart(report('remote'))).toBeNull();
    expect(configurationChart([])).toBeNull();
  });
  it('survives a hostile report', () => {
    const hostile = report('hostile');
    throughputChart(hostile.tests);
    latencyChart(hostile.tests);
    memoryChart(hostile);
    depthChart(hostile);
    configurationChart(hostile.configurations);
    timelineChart(hostile);
    tokenTimeChart(hostile.traces);
    if (hostile.roofline) rooflineChart(hostile.roofline);
    comparisonChart(report('compare').comparison?.models ?? []);
  });
});

describe('a comparison of backends', () => {
  it('names each of them, however long the model’s name is', () => {
    const [one] = report('compare').comparison?.models ?? [];
    if (!one) throw new Error('no model');
    const named = (end: string) => ({ ...one, model: `mlx-community/Qwen3-0.6B-Instruct-4bit${end}` });
    const { option } = comparisonChart([named(' (cpu)'), named(' (mlx)'), named('')]);
    const { data } = option['yAxis'] as { data: string[] };
    expect(data.map((name) => name.length)).toEqual([28, 28, 28]);
    expect(data[0]).toMatch(/… \(cpu\)$/);
    expect(data[1]).toMatch(/… \(mlx\)$/);
  });
});

describe('operations', () => {
  it('has readable names', () => {
    expect(operationName('layers.*.self_attn.q_proj … v_proj')).toBe('attention q proj … v proj');
    expect(operationName('layers.12.mlp.down_proj')).toBe('mlp down proj');
    expect(operationName('lm_head')).toBe('lm head');
  });
  it('sums the layers, and the small ones as one', () => {
    const [trace] = full.traces;
    const parts = trace ? partsOf(trace, ['mlp gate up', 'mlp down proj', 'lm head']) : [];
    expect(parts.map(({ name }) => name)).toEqual(['mlp gate up', 'mlp down proj', 'lm head', 'everything else']);
    expect(parts.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(58.7, 0);
  });
  it('places only what both reads and calculates', () => {
    expect(placed(full.roofline?.operations ?? [])).toHaveLength(9);
  });
});

describe('what if', () => {
  const line = lineOf(full);
  it('gives back what was measured', () => {
    expect(line?.bits).toBeCloseTo(4.5, 1);
    expect(line && tokenMs(line, line.bits, 0)).toBeCloseTo(695 / 12.9 + 3.2, 1);
  });
  it('halves the reading with half the bits, and leaves the fixed cost', () => {
    expect(line && tokenMs(line, line.bits / 2, 0)).toBeCloseTo(695 / 2 / 12.9 + 3.2, 1);
    expect(line && tokenMs(line, line.bits, 4096)).toBeCloseTo((695 + 0.032768 * 4096) / 12.9 + 3.2, 1);
  });
  it('is not asked where there is no line', () => {
    expect(lineOf(report('remote'))).toBeNull();
  });
  it('follows the formula of the report, and knows what is not known', () => {
    const what_if = {
      context: 100, kv_bits: 16,
      coefficients: { sequences: [1, 4], kv_bits: [16, 8], kv_bytes_per_token: [1000, 500], attention_ms_per_1k: [2, 1], fixed_ms: [1, 3], low: 0.8, high: 1.2, other_bytes: 5000, model_context: 8192 },
      bits: [{ bits: 4, label: '4-bit', current: true, weight_bytes: 100000, weights_ms: [7, 9] }, { bits: 8, label: '8-bit', current: false, weight_bytes: 200000, weights_ms: [14, null] }],
    }; // prettier-ignore
    const { whatIf } = readReport({ analysis: { what_if } });
    if (!whatIf) throw new Error('it was not read');
    expect(asked(whatIf, 0, 0, 0, 1000)).toEqual({
      n: 1,
      stepMs: 10,
      rate: 100,
      low: 80,
      high: 120,
      all: 100,
      totalBytes: 1_105_000,
    });
    expect(asked(whatIf, 0, 1, 1, 1000)).toMatchObject({ stepMs: 16, all: 250, totalBytes: 2_105_000 });
    expect(asked(whatIf, 1, 1, 0, 0).rate).toBeNull();
    expect(readReport({ analysis: { what_if: { bits: 7 } } }).whatIf).toBeNull();
  });
});
