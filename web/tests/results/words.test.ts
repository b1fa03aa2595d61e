import { describe, expect, it } from 'vitest';
import { meanings } from '../../src/results/glossary';
import { drawn } from '../../src/results/interval';
import { curlOf, fileName, requestOf, shellQuoted } from '../../src/results/run';
import { changeWithInterval, evidenceName, figureOf, verdictWords } from '../../src/results/words';

describe('verdicts', () => {
  it('says what it means, not which way it went', () => {
    expect(verdictWords({ verdict: 'lower', better: 'lower' })).toMatchObject({ text: 'really better', better: true });
    expect(verdictWords({ verdict: 'lower', better: 'higher' })).toMatchObject({ text: 'really worse', better: false });
    expect(verdictWords({ verdict: 'higher', indicative: true }).text).toBe('really better (indicative)');
    expect(verdictWords({ verdict: 'no_real_difference' })).toMatchObject({
      text: 'no real difference',
      better: false,
    });
    expect(verdictWords({ verdict: 'unknown', better: 'higher' }).better).toBe(false);
  });
  it('does not take a wide interval for sameness', () => {
    const same = { verdict: 'no_real_difference' } as const;
    expect(verdictWords({ ...same, ci95: [-1, 3] }).text).toBe('no real difference');
    expect(verdictWords({ ...same, ci95: [-21, 36], indicative: true }).text).toBe('unclear (indicative)');
    expect(verdictWords({ ...same, ci95: null }).text).toBe('unclear');
  });
  it('shows the interval', () => {
    expect(changeWithInterval(31, [27, 35])).toBe('+31.0\u00a0% [+27.0, +35.0]');
    expect(changeWithInterval(null, null, 'why')).toBe('–');
  });
});

describe('evidence', () => {
  it('has plain names and units', () => {
    expect(evidenceName('kv_bytes_per_token')).toBe('KV cache read for each token');
    expect(evidenceName('something_new')).toBe('Something new');
    expect(figureOf('mbu', 0.84).text).toBe('84\u00a0%');
    expect(figureOf('achieved_gbps', 11.9).text).toBe('11.9\u00a0GB/s');
    expect(figureOf('tpot_ms_at_depth', 61.2).text).toBe('61.2\u00a0ms');
    expect(figureOf('kv_bytes_per_token', 32768).text).toBe('32.8\u00a0kB');
    expect(figureOf('swap_in_bytes_per_s', 2e6).text).toBe('2.00\u00a0MB/s');
    expect(figureOf('threads', 1).text).toBe('1\u00a0thread');
    expect(figureOf('others_cores', 1.4).text).toBe('1.40\u00a0cores');
    expect(figureOf('power_limit_w', 700).text).toBe('700\u00a0W');
    expect(figureOf('time_share_at_power_limit', 0.42).text).toBe('42\u00a0%');
    expect(figureOf('weights_resident_before', 0.2).text).toBe('20\u00a0%');
    expect(figureOf('sequences', 4).text).toBe('4\u00a0answers');
  });
});

describe('the special words of a sentence', () => {
  it('are explained once each, and only those that are in it', () => {
    const text = meanings('An 8-bit KV cache, and another KV cache.');
    expect(text).toMatch(/^KV cache: .* Quantization: .*\.$/);
    expect(text.match(/KV cache:/g)).toHaveLength(1);
    expect(meanings('Let the machine cool down.')).toBe('');
  });
});

describe('the interval bar', () => {
  it('is symmetrical around 0 and knows its end', () => {
    expect(drawn(0.4, [-1.1, 1.9])).toMatchObject({ end: 5, at: 54, low: 39, high: 69, marginLow: 30, marginHigh: 70 });
    expect(drawn(117, [113, 122]).end).toBe(200);
  });
  it('cuts what goes on beyond', () => {
    expect(drawn(50, [-20, 1e9])).toMatchObject({ end: 1000, high: 100, cutHigh: true, cutLow: false });
  });
});

describe('a run as curl', () => {
  it('quotes whatever a prompt says', () => {
    expect(shellQuoted(`it's $(rm)`)).toBe(`'it'\\''s $(rm)'`);
    const request = requestOf({ kind: 'profile', model_name: null, test_prompts: ["it's"], target_reason: 'x' });
    expect(request).toEqual({ kind: 'profile', test_prompts: ["it's"] });
    expect(curlOf(request ?? {}, 'http://localhost:8000', true)).toBe(
      `curl -X POST 'http://localhost:8000/api/profiling/runs' \\\n` +
        `  -H "Authorization: Bearer $LLMIND_API_KEY" \\\n` +
        `  -H 'Content-Type: application/json' \\\n` +
        `  -d '{"kind":"profile","test_prompts":["it'\\''s"]}'`,
    );
    expect(requestOf(null)).toBeNull();
  });
  it('names files as the server does', () => {
    expect(fileName('mlx-community/Qwen3-0.6B-4bit', '1f3a90bcdd', 'pdf')).toBe('llmind-Qwen3-0.6B-4bit-1f3a90bc.pdf');
    expect(fileName('../../x y<>', '1f3a90bcdd', 'md')).toBe('llmind-xy-1f3a90bc.md');
    expect(fileName(null, 'abc', 'csv')).toBe('llmind-run-abc.csv');
  });
});
