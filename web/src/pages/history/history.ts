/* The list of runs: what the address says of it, what is shown of it, and the trend. Pure. */
import type { Schemas } from '../../api/client';
import { reasonOf } from '../../api/format';
import { axisName, grid, round, type Drawing } from '../../results/charts/option';
import { modelName } from '../../results/run';
import { clean, interval, number, object } from '../../results/sound';
import { changeWithInterval, isClear } from '../../results/words';

export type Row = Schemas['RunRow'];

export interface Filter {
  model: string;
  status: string;
  kind: string;
  origin: '' | 'here' | 'imported';
}

export const statuses = ['success', 'cancelled', 'failed', 'interrupted', 'running', 'waiting'];
export const kinds = ['profile', 'compare', 'prove'];

const listed = (value: string | null, from: readonly string[]) => (value && from.includes(value) ? value : '');

export function filterOf(query: URLSearchParams): Filter {
  return {
    model: query.get('model') ?? '',
    status: listed(query.get('status'), statuses),
    kind: listed(query.get('kind'), kinds),
    origin: listed(query.get('origin'), ['here', 'imported']) as Filter['origin'],
  };
}

export function addressOf(filter: Filter): string {
  const asked = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  return asked.size ? `/history?${asked}` : '/history';
}

/* What the server is asked for; "" is no wish. */
export function queryOf(filter: Filter): Record<'model' | 'status' | 'kind' | 'imported', string> {
  const { origin, ...rest } = filter;
  return { ...rest, imported: origin && String(origin === 'imported') };
}

export interface Trend {
  runId: string;
  change: number | null;
  ci95: [number, number] | null;
  regression: boolean;
  text: string;
}

/* Against the last successful run of the same model, flags and machine. */
export function trendOf(row: Row): Trend | null {
  if (!row.trend) return null;
  const trend = object(row.trend);
  const [change, ci95] = [number(trend['change_pct']), interval(trend['ci95'])];
  const regression = trend['regression'] === true;
  const text = changeWithInterval(change, ci95);
  const words = regression
    ? `slower: ${text}`
    : trend['verdict'] === 'higher'
      ? `faster: ${text}`
      : trend['verdict'] === 'no_real_difference'
        ? `${isClear(ci95) ? 'no real difference' : 'unclear'}: ${text}`
        : `no verdict: ${text}`;
  return { runId: clean(trend['run_id'], 40), change, ci95, regression, text: words };
}

/* Runs of one model on one machine form a line. */
export interface Line {
  key: string;
  label: string;
  rows: Row[]; // oldest first
}

export function linesOf(rows: readonly Row[]): Line[] {
  const lines = new Map<string, Line>();
  for (const row of rows) {
    if (row.status !== 'success' || row.kind !== 'profile' || number(row.decode_tokens_per_second) === null) continue;
    const key = JSON.stringify([row.model, row.quantization, row.machine]);
    const label = `${modelName(row)} on ${clean(row.machine, 80) || 'an unknown machine'}`;
    const line = lines.get(key) ?? { key, label, rows: [] };
    line.rows.push(row);
    lines.set(key, line);
  }
  for (const line of lines.values()) line.rows.sort((a, b) => a.created.localeCompare(b.created));
  return [...lines.values()].sort((a, b) => b.rows.length - a.rows.length);
}

export function trendChart(line: Line): Drawing {
  const points = line.rows.map((row) => ({ row, x: Date.parse(row.created), trend: trendOf(row) }));
  const regressions = points.filter(({ trend }) => trend?.regression);
  return {
    summary: regressions.length
      ? `${regressions.length === 1 ? 'One run was' : `${regressions.length} runs were`} really slower than the one before; ${regressions.length === 1 ? 'it is' : 'they are'} marked.`
      : 'No run was really slower than the one before it with the same settings.',
    height: 300,
    option: {
      grid: { ...grid, left: 36, bottom: 16 },
      legend: { top: 0, type: 'scroll' },
      tooltip: { trigger: 'axis' },
      xAxis: { type: 'time' },
      yAxis: { type: 'value', name: 'tok/s', ...axisName, nameGap: 44, scale: true },
      series: [
        {
          type: 'line',
          name: 'Decode, tok/s',
          data: points.map(({ row, x }) => [x, round(number(row.decode_tokens_per_second))]),
        },
        {
          type: 'scatter',
          name: 'Regression',
          symbol: 'triangle',
          symbolRotate: 180,
          symbolSize: 18,
          data: regressions.map(({ row, x }) => [x, round(number(row.decode_tokens_per_second))]),
        },
      ],
    },
    table: {
      columns: ['When (UTC)', 'Mode', 'Decode, tok/s', 'Answer, tok/s', 'Against the run before'],
      rows: points.map(({ row, trend }) => [
        row.created,
        row.mode,
        round(number(row.decode_tokens_per_second)),
        round(number(row.tokens_per_second)),
        trend ? trend.text : (reasonOf(row, 'trend') ?? '–'),
      ]),
    },
  };
}
