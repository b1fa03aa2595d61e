import { describe, expect, it } from 'vitest';
import { readEvent, type RunSample } from '../../src/pages/performance/run/events';
import { newestOf, type Row } from '../../src/pages/performance/run/newest';
import { speedChart } from '../../src/pages/performance/run/speedChart';

describe('events', () => {
  it('reads a sample, of all sequences together where there are several', () => {
    const data = {
      configuration: 'concurrency=4',
      test: null,
      run: 2,
      warmup: false,
      outcome: 'ok',
      decode_tokens_per_second: 10,
      aggregate_decode_tokens_per_second: 40,
      tokens_per_second: 30,
      ttft_ms: 5,
    };
    const told = readEvent('sample', JSON.stringify(data));
    expect(told).toMatchObject({ type: 'sample', sample: { name: 'concurrency=4', decode: 40, whole: 30, ttftMs: 5 } });
  });
  it('gives one token alone no speed', () => {
    const told = readEvent('sample', '{"test":"prefill_512","tokens_per_second":9,"decode_tokens_per_second":null}');
    expect(told).toMatchObject({ sample: { decode: null, whole: null } });
  });
  it('reads the end, and leaves out what it does not know', () => {
    expect(readEvent('end', '{"status":"failed","message":"why"}')).toEqual({
      type: 'end',
      status: 'failed',
      message: 'why',
    });
    for (const odd of ['{', 'null', '7', '"x"']) expect(readEvent('phase', odd)).toEqual({ type: 'other' });
    expect(readEvent('news', '{}')).toEqual({ type: 'other' });
    expect(readEvent('phase', '{"progress":"much","eta_s":null}')).toMatchObject({ progress: null, etaS: null });
  });
});

describe('the chart of a run', () => {
  const sample = (name: string, decode: number | null, warmup = false): RunSample => ({
    number: 1,
    name,
    run: 1,
    warmup,
    outcome: 'ok',
    decode,
    whole: decode,
    ttftMs: 1,
  });
  it('joins the runs of one test only, and keeps warm-ups apart', () => {
    const samples = [sample('simple', 5, true), sample('simple', 6), sample('simple', 7), sample('prefill_512', null)];
    const { option, table } = speedChart([...samples, sample('medium', 3)]);
    const series = option['series'] as { data: unknown[] }[];
    expect(series[0]?.data).toEqual([
      [2, 6],
      [3, 7],
      [3.5, null],
      [4, 3],
    ]);
    expect(series[2]?.data).toEqual([[1, 5]]);
    expect(table.rows).toHaveLength(5);
  });
});

describe('what a visitor sees first', () => {
  const row = (id: string, status: Row['status'], speed: number | null = null) =>
    ({ id, status, tokens_per_second: speed }) as Row;
  it('is the newest run that has something to show', () => {
    const rows = [row('1', 'running'), row('2', 'interrupted'), row('3', 'cancelled', 5), row('4', 'success', 6)];
    expect(newestOf(rows)).toMatchObject({ shown: { id: '3' }, lost: { id: '2' } });
    expect(newestOf([row('4', 'success', 6)])).toMatchObject({ shown: { id: '4' }, lost: null });
    expect(newestOf([])).toEqual({ shown: null, lost: null });
  });
});
