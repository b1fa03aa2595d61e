/* What every chart of ours has in common. No formatter here builds HTML: names in a report may be anybody's. */
import type { EChartsCoreOption } from 'echarts/core';
import type { CellValue } from '../../ui/table';

export interface Drawing {
  option: EChartsCoreOption;
  table: { columns: string[]; rows: CellValue[][] };
  summary: string;
  height?: number;
}

export const grid = { left: 12, right: 24, top: 48, bottom: 12, containLabel: true };

export const round = (x: number | null, digits = 4): number | null =>
  x === null ? null : Number(x.toPrecision(digits));

export const short = (text: string, most = 28) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/* Names of a category axis must differ, or their bars fall together. */
export function distinct(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

export const axisName = { nameLocation: 'middle' as const, nameGap: 28 };
export const unitOf = (unit: string) => (value: unknown) =>
  typeof value === 'number' ? `${round(value)} ${unit}` : '–';

export function quantile(sorted: readonly number[], q: number): number {
  if (!sorted.length) return NaN;
  const place = (sorted.length - 1) * q;
  const [below, above] = [sorted[Math.floor(place)] ?? 0, sorted[Math.ceil(place)] ?? 0];
  return below + (above - below) * (place - Math.floor(place));
}

/* Of many points, those that keep the shape: the lowest and the highest of each bin. */
export function thinned(points: readonly (readonly [number, number | null])[], most = 600): [number, number | null][] {
  if (points.length <= most) return points.map(([x, y]) => [x, y]);
  const bin = Math.ceil(points.length / (most / 2));
  const kept: [number, number | null][] = [];
  for (let i = 0; i < points.length; i += bin) {
    const some = points.slice(i, i + bin).filter((one): one is readonly [number, number] => one[1] !== null);
    if (!some.length) {
      kept.push([points[i]?.[0] ?? 0, null]);
      continue;
    }
    const low = some.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = some.reduce((a, b) => (b[1] > a[1] ? b : a));
    for (const [x, y] of low[0] <= high[0] ? [low, high] : [high, low]) kept.push([x, y]);
  }
  return kept;
}
