import { describe, expect, it } from 'vitest';
import { readReport } from '../../src/results/read';
import { clean, interval, known, number } from '../../src/results/sound';
import { json, report } from './reports';

describe('what anybody may have written', () => {
  it('loses what would disturb the lines around it', () => {
    expect(clean('\u202eevil\u202c\u001b[31m')).toBe('evil[31m');
    expect(clean('Z\u0300\u0301\u0302\u0303')).toBe('Z\u0300\u0301');
    expect(clean('x'.repeat(300), 10)).toBe(`${'x'.repeat(10)}…`);
    expect(clean(7)).toBe('');
  });
  it('believes no number that nothing measures', () => {
    expect(number(1e308)).toBeNull();
    expect(number(NaN)).toBeNull();
    expect(number('7')).toBeNull();
    expect(known({ a: 1e308 }, 'a').reason).toContain('plausible');
    expect(known({ a: null, a_reason: 'no GPU' }, 'a')).toEqual({ value: null, reason: 'no GPU' });
    expect(interval([3, 1])).toBeNull();
    expect(interval([1])).toBeNull();
  });
  it.each([null, [], 'x', 7, {}, { tests: 'x', analysis: [], configurations: [null, 7, 'x'], sensors: { t_s: {} } }])(
    'reads %j without falling',
    (value) => {
      expect(() => readReport(value)).not.toThrow();
    },
  );
  it('reads the hostile report', () => {
    const it = report('hostile');
    expect(it.tests).toHaveLength(48);
    expect(it.summary('tokens_per_second').value).toBeNull();
    expect(JSON.stringify(it)).not.toMatch(/\\u001b|\u202e/);
    expect(Math.max(...it.tests.map((test) => test.label.length))).toBeLessThanOrEqual(161);
  });
});

describe('a full report', () => {
  const it_ = report('full');
  it('has its figures', () => {
    expect(it_.model.name).toBe('Llama-3.2-1B-Instruct-4bit');
    expect(it_.machine).toBe(
      'AMD EPYC 9B14 96-Core Processor, 2 cores, Linux 6.1.0 x86_64, LLMind 0.1.0 (cd38bfc21ac2-dirty)',
    );
    expect(it_.summary('mbu').value).toBeCloseTo(0.8385);
    expect(it_.gpu.reason).toContain('no GPU');
    expect(it_.flags).toContainEqual({ name: 'kv_bits', value: '16' });
    expect(it_.flags).toContainEqual({ name: 'precise', value: 'off' });
    expect(it_.tests[0]?.stats('tokens_per_second').n).toBe(3);
    expect(it_.tests[0]?.samples[0]?.itlMs.length).toBeGreaterThan(100);
  });
  it('has its findings', () => {
    expect(it_.bottlenecks.filter((one) => one.principal).map((one) => one.id)).toEqual(['memory_bandwidth']);
    expect(it_.recommendations[0]?.setting).toEqual({ key: 'max_sequences', value: '4' });
    expect(it_.configurations.filter((one) => one.best).map((one) => one.id)).toEqual(['concurrency=4']);
    expect(it_.twoTerm?.points).toHaveLength(4);
    expect(it_.sensors?.series.find((one) => one.id === 'cpu_power_w')?.reason).toContain('RAPL');
  });
  it('has a proof where there is one', () => {
    const sentence = '4 threads → 2: decode +31 % [95 % CI +27, +35], kept';
    const proof = { recommendation: 'x', proves: 'r', verdict: 'kept', reason: 'better', sentence, compared: 'ttft_ms', better: 'higher', change_pct: 31, ci95: [27, 35], blocks: 5, proof_run_id: 'abc' }; // prettier-ignore
    const text = { analysis: { recommendations: [{ id: 'x', text: 'y', proof }], proofs: [proof, null] } };
    const read = readReport(text);
    expect(read.recommendations[0]?.proof).toMatchObject({ verdict: 'kept', change: 31, runId: 'abc', sentence });
    expect(read.proofs).toHaveLength(1);
    expect(readReport({ kind: 'prove', proof }).proof?.proves).toBe('r');
  });
});

it('says why a remote target has no engine figures', () => {
  const remote = report('remote');
  expect(remote.flagsReason).toBe('a remote target is a black box');
  expect(remote.memory).toBeNull();
  expect(remote.memoryReason).toBe('a remote target is a black box');
  expect(remote.target).toBe('http://192.168.1.20:8080/v1');
  expect(remote.rooflineReason).toBe('a remote target is a black box');
});

it('reads a comparison with a model that failed', () => {
  const { comparison } = readReport(json('compare'));
  expect(comparison?.models.filter((one) => !one.ok).map((one) => one.model)).toEqual(['broken-model']);
  expect(comparison?.models.find((one) => !one.ok)?.message).not.toBe('');
});
