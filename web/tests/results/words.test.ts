import { describe, expect, it } from 'vitest';
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
