/* A diff of two runs, as rows. Pure. */
import type { Schemas } from '../../api/client';
import { clean, interval, known, list, number, oneOf, reasonAt, type Json, type Known } from '../../results/sound';
import { comparedName, isClear, knobName, plain } from '../../results/words';
import type { Verdict } from '../../results/report';

export interface DiffRow {
  index: number;
  owner: string; // "The whole run", or the test, configuration or model it belongs to
  figure: string; // its internal name
  name: string;
  unit: string;
  a: Known;
  b: Known;
  change: Known;
  ci95: [number, number] | null;
  verdict: Verdict;
  better: '' | 'a' | 'b';
  why: string; // why there is no verdict
}

export function diffRows(diff: Schemas['RunDiff']): DiffRow[] {
  return list(diff.figures).map((one, index) => {
    const full = clean(one['name'], 200);
    const cut = full.lastIndexOf('.');
    const figure = full.slice(cut + 1);
    const owner = cut > 0 ? full.slice(0, cut) : '';
    return {
      index,
      owner: owner ? plain(owner) : 'The whole run',
      figure,
      name: plain(comparedName(figure)),
      unit: clean(one['unit'], 20),
      a: known(one, 'a'),
      b: known(one, 'b'),
      change: known(one, 'change_pct'),
      ci95: interval(one['ci95']),
      verdict: oneOf(one['verdict'], ['higher', 'lower', 'no_real_difference', 'unknown'], 'unknown'),
      better: oneOf<DiffRow['better']>(one['better'], ['a', 'b'], ''),
      why: reasonAt(one, 'ci95') || reasonAt(one, 'change_pct'),
    };
  });
}

/* What the figures mean, as the user reads them: which run is better, or that none is. */
export function diffWords(row: DiffRow): { text: string; kind: 'good' | 'low' | 'neutral' } {
  if (row.better) return { text: `${row.better.toUpperCase()} is really better`, kind: 'good' };
  if (row.verdict === 'no_real_difference' && !isClear(row.ci95))
    return { text: 'unclear: the interval is too wide', kind: 'neutral' };
  if (row.verdict === 'no_real_difference') return { text: 'no real difference', kind: 'low' };
  return { text: row.why ? `no verdict: ${row.why}` : 'no verdict', kind: 'neutral' };
}

export function diffFlags(diff: Schemas['RunDiff']): string[] {
  const value = (one: Json, name: string) => {
    const it = one[name];
    if (typeof it === 'boolean') return it ? 'on' : 'off';
    return clean(it, 60) || number(it)?.toString() || 'not said';
  };
  return list(diff.flags, 50).map(
    (one) => `${knobName(clean(one['name'], 60))}: A ${value(one, 'a')}, B ${value(one, 'b')}`,
  );
}
