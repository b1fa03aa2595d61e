import { describe, expect, it } from 'vitest';
import { diffFlags, diffRows, diffWords } from '../../src/pages/history/diff';
import { addressOf, filterOf, linesOf, queryOf, trendChart, trendOf, type Row } from '../../src/pages/history/history';
import type { Schemas } from '../../src/api/client';

const row = (more: object): Row =>
  ({ id: 'a', created: '2026-11-01T00:00:00Z', model: 'm', machine: 'x', kind: 'profile', status: 'success', imported: false, trend: null, decode_tokens_per_second: 10, tokens_per_second: 9, ...more }) as unknown as Row; // prettier-ignore

describe('the address', () => {
  it('keeps the filter', () => {
    const filter = filterOf(new URLSearchParams('model=org/a b&status=failed&kind=nonsense&origin=here'));
    expect(filter).toEqual({ model: 'org/a b', status: 'failed', kind: '', origin: 'here' });
    expect(addressOf(filter)).toBe('/history?model=org%2Fa+b&status=failed&origin=here');
    expect(addressOf({ model: '', status: '', kind: '', origin: '' })).toBe('/history');
  });
  it('asks the server for where a run was made', () => {
    const filter = { model: 'm', status: '', kind: 'profile', origin: '' } as const;
    expect(queryOf(filter)).toEqual({ model: 'm', status: '', kind: 'profile', imported: '' });
    expect(queryOf({ ...filter, origin: 'here' }).imported).toBe('false');
    expect(queryOf({ ...filter, origin: 'imported' }).imported).toBe('true');
  });
});

describe('the trend', () => {
  const slower = { run_id: 'b', change_pct: -12, ci95: [-15, -9], verdict: 'lower', regression: true };
  it('is a line for each model and machine, oldest first', () => {
    const rows = [
      row({ id: 'c', created: '2026-11-03T00:00:00Z', trend: slower }),
      row({ id: 'b', created: '2026-11-02T00:00:00Z' }),
      row({ id: 'd', machine: 'y' }),
      row({ id: 'e', status: 'failed' }),
      row({ id: 'f', decode_tokens_per_second: null }),
    ];
    const [line, other] = linesOf(rows);
    expect(line?.rows.map(({ id }) => id)).toEqual(['b', 'c']);
    expect(other?.rows.map(({ id }) => id)).toEqual(['d']);
    if (line) expect(trendChart(line).summary).toContain('One run was really slower');
  });
  it('says what it means', () => {
    expect(trendOf(row({ trend: slower }))?.text).toBe('slower: −12.0\u00a0% [−15.0, −9.0]');
    expect(trendOf(row({}))).toBeNull();
    const same = { ...slower, regression: false, verdict: 'no_real_difference' };
    expect(trendOf(row({ trend: same }))?.text).toContain('no real difference');
    expect(trendOf(row({ trend: { ...same, ci95: [-21, 36] } }))?.text).toContain('unclear');
  });
});

describe('a diff', () => {
  const diff = {
    a: row({}), b: row({}), comparable: true, warnings: [],
    figures: [
      { name: 'ttft_ms', unit: 'ms', a: 10, b: 5, change_pct: -50, ci95: [-52, -48], verdict: 'lower', better: 'b' },
      { name: 'kv_bits=8.decode_tokens_per_second', unit: 'tok/s', a: 10, b: 10.1, change_pct: 1, ci95: [-1, 3], verdict: 'no_real_difference', better: null },
      { name: 'mbu', unit: 'fraction', a: 0.5, b: null, b_reason: 'b does not have it', change_pct: null, ci95: null, ci95_reason: 'measured once', verdict: 'unknown' },
    ],
    flags: [{ name: 'threads', a: 2, b: 1 }, { name: 'precise', a: true, b: null }],
  } as unknown as Schemas['RunDiff']; // prettier-ignore
  it('has rows with an owner and a meaning', () => {
    const rows = diffRows(diff);
    expect(rows.map(({ owner }) => owner)).toEqual(['The whole run', 'Kv bits=8', 'The whole run']);
    expect(rows.map((one) => diffWords(one).text)).toEqual([
      'B is really better',
      'no real difference',
      'no verdict: measured once',
    ]);
    expect(rows[2]?.b.reason).toBe('b does not have it');
  });
  it('names the settings that differ', () => {
    expect(diffFlags(diff)).toEqual(['Threads: A 2, B 1', 'Exact arithmetic: A on, B not said']);
  });
});
