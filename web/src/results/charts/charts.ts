/* The charts of a run, as drawings for ui/chart/Chart.svelte: pure, from the report alone. null: there is nothing to
 * draw. */
import type { Configuration, Report, Test } from '../report';
import { at, known } from '../sound';
import { changeWithInterval, verdictWords } from '../words';
import { MARGIN_PCT } from '../interval';
import { axisName, distinct, grid, quantile, round, short, unitOf, type Drawing } from './option';

const singles = (test: Test, figure: string): (number | null)[] =>
  test.samples.filter((sample) => sample.outcome === 'ok').map((sample) => round(sample.figure(figure).value));

/* What echarts gives to the function that draws a custom series, as far as it is used here. */
interface Drawer {
  value(dimension: number): number;
  coord(point: number[]): number[];
  barLayout(bars: object): { offsetCenter: number }[];
  visual(what: 'color'): string;
}

const BAR = { barMaxWidth: 48 };

/* A dot over the first of two bars; a scatter's own place is between them. */
function dot(_: unknown, draw: Drawer) {
  const [x = 0, y = 0] = draw.coord([draw.value(0), draw.value(1)]);
  const aside = draw.barLayout({ ...BAR, count: 2 })[0]?.offsetCenter ?? 0;
  return { type: 'circle', shape: { cx: x + aside, cy: y, r: 4 }, style: { fill: draw.visual('color') } };
}

export function throughputChart(tests: readonly Test[]): Drawing | null {
  const prompts = tests.filter((test) => test.kind === 'prompt' && test.stats('tokens_per_second').n > 0).slice(0, 24);
  if (!prompts.length) return null;
  const names = distinct(prompts.map((test) => short(test.label, 20)));
  const of = (figure: string) => prompts.map((test) => round(test.stats(figure).median.value));
  const all = prompts.flatMap((test) => test.samples.filter((sample) => sample.outcome === 'ok')).length;
  return {
    summary: `Bars are medians, dots the ${all} single runs.`,
    option: {
      grid: { ...grid, left: 36 },
      legend: { top: 0, type: 'scroll' },
      tooltip: { trigger: 'axis', valueFormatter: unitOf('tok/s') },
      xAxis: { type: 'category', data: names },
      yAxis: { type: 'value', name: 'tok/s', ...axisName, nameGap: 44 },
      series: [
        { type: 'bar', name: 'Answer', ...BAR, data: of('tokens_per_second') },
        { type: 'bar', name: 'Decode', ...BAR, data: of('decode_tokens_per_second') },
        {
          type: 'custom',
          name: 'Answer, single runs',
          renderItem: dot,
          tooltip: { show: false },
          data: prompts.flatMap((test, i) => singles(test, 'tokens_per_second').map((value) => [i, value])),
        },
      ],
    },
    table: {
      columns: ['Scenario', 'Answer, tok/s', 'Decode, tok/s', 'Single runs of the answer, tok/s'],
      rows: prompts.map((test) => [
        test.label,
        round(test.stats('tokens_per_second').median.value),
        round(test.stats('decode_tokens_per_second').median.value),
        singles(test, 'tokens_per_second').join(', '),
      ]),
    },
  };
}

export function latencyChart(tests: readonly Test[]): Drawing | null {
  const seen = tests
    .map((test) => ({ test, gaps: test.samples.flatMap((sample) => sample.itlMs).sort((a, b) => a - b) }))
    .filter(({ gaps }) => gaps.length >= 5)
    .slice(0, 16);
  if (!seen.length) return null;
  const names = distinct(seen.map(({ test }) => short(test.label, 22)));
  const boxes = seen.map(({ gaps }) => [0.05, 0.25, 0.5, 0.75, 0.99].map((q) => round(quantile(gaps, q)) ?? 0));
  const spread = Math.max(...boxes.map((box) => (box[4] ?? 0) / Math.max(1e-6, box[0] ?? 1)));
  return {
    summary:
      'The box holds the middle half of all gaps, its line is the median; the ends are the 5th and the 99th percentile.',
    height: 120 + 46 * seen.length,
    option: {
      grid: { ...grid, top: 16, bottom: 40 },
      tooltip: { trigger: 'item' },
      xAxis: { type: spread > 12 ? 'log' : 'value', name: 'gap between tokens, ms', ...axisName, scale: true },
      yAxis: { type: 'category', data: names, inverse: true },
      series: [
        {
          type: 'boxplot',
          name: 'Gap between tokens, ms',
          itemStyle: { color: 'rgba(128, 128, 128, 0.25)', borderWidth: 1.5 },
          data: boxes,
        },
      ],
    },
    table: {
      columns: ['Test', 'Gaps', 'p5, ms', 'p25, ms', 'p50, ms', 'p75, ms', 'p99, ms', 'Longest, ms'],
      rows: seen.map(({ test, gaps }, i) => [test.label, gaps.length, ...(boxes[i] ?? []), round(gaps.at(-1) ?? null)]),
    },
  };
}

export function memoryChart(report: Report): Drawing | null {
  const [predicted, measured] = [at(report.memory, 'predicted'), at(report.memory, 'measured')];
  const mb = (of: typeof predicted, name: string) => {
    const { value } = known(of, name);
    return value === null ? null : value / 1e6;
  };
  const parts: { name: string; value: number | null; total?: boolean; measured?: boolean }[] = [
    { name: 'Weights', value: mb(predicted, 'weights_bytes') },
    { name: 'KV cache', value: mb(predicted, 'kv_bytes') },
    { name: 'Scratch', value: mb(predicted, 'scratch_bytes') },
    { name: 'Predicted', value: mb(predicted, 'footprint_bytes'), total: true },
    { name: 'Files', value: mb(measured, 'file_resident_bytes'), measured: true },
    { name: 'Own memory', value: mb(measured, 'anonymous_bytes'), measured: true },
    { name: 'Measured', value: mb(measured, 'footprint_bytes'), total: true, measured: true },
    { name: 'Peak', value: mb(measured, 'footprint_peak_bytes'), total: true, measured: true },
  ];
  if (parts.every((part) => part.value === null)) return null;
  let sum = 0;
  const below = parts.map((part) => {
    if (part.total) {
      sum = 0;
      return 0;
    }
    const base = sum;
    sum += part.value ?? 0;
    return base;
  });
  const bars = (measured: boolean) =>
    parts.map((part) => (Boolean(part.measured) === measured ? round(part.value) : null));
  const [a, b] = [parts[3]?.value ?? null, parts[6]?.value ?? null];
  return {
    summary:
      a !== null && b !== null && a > 0
        ? `Measured ${Math.round(b)} MB, ${Math.round((100 * b) / a)} % of the ${Math.round(a)} MB predicted. Scratch: the intermediate results of one step.`
        : 'What was predicted and what was measured stand side by side.',
    option: {
      grid: { ...grid, left: 36 },
      legend: { top: 0, type: 'scroll', data: ['Predicted', 'Measured'] },
      tooltip: { trigger: 'item', valueFormatter: unitOf('MB') },
      xAxis: { type: 'category', data: parts.map((part) => part.name), axisLabel: { interval: 0, rotate: 30 } },
      yAxis: { type: 'value', name: 'MB', ...axisName, nameGap: 48 },
      series: [
        {
          type: 'bar',
          stack: 'memory',
          name: 'below',
          silent: true,
          tooltip: { show: false },
          itemStyle: { color: 'transparent', decal: { symbol: 'none' } },
          data: below,
        },
        { type: 'bar', stack: 'memory', name: 'Predicted', data: bars(false) },
        { type: 'bar', stack: 'memory', name: 'Measured', data: bars(true) },
      ],
    },
    table: {
      columns: ['What', 'Kind', 'MB'],
      rows: parts.map((part) => [part.name, part.measured ? 'measured' : 'predicted', round(part.value)]),
    },
  };
}

export function depthChart(report: Report): Drawing | null {
  const decode = report.tests
    .filter((test) => test.kind === 'decode' && test.depth !== null && test.stats('decode_tokens_per_second').n > 0)
    .sort((a, b) => (a.depth ?? 0) - (b.depth ?? 0));
  if (!decode.length) return null;
  const speed = (test: Test) => test.stats('decode_tokens_per_second');
  const line = report.twoTerm;
  const fitted =
    line && line.fixedMs !== null
      ? line.points.flatMap((point) => {
          const ms = point.bytes / (line.bandwidthGbps * 1e6) + (line.fixedMs ?? 0);
          return point.depth === null || ms <= 0 ? [] : [[point.depth, round(1000 / ms)]];
        })
      : [];
  const [first, last] = [decode[0], decode.at(-1)];
  const [from, to] = [first && speed(first).median.value, last && speed(last).median.value];
  return {
    summary:
      from && to && first !== last
        ? `At ${last?.depth} tokens of context decoding runs at ${Math.round((100 * to) / from)} % of its speed at the start.`
        : 'Decoding was measured at one depth only.',
    option: {
      grid: { ...grid, left: 36, bottom: 40 },
      legend: { top: 0, type: 'scroll' },
      tooltip: { trigger: 'axis', valueFormatter: unitOf('tok/s') },
      xAxis: { type: 'value', name: 'tokens of context', ...axisName },
      yAxis: { type: 'value', name: 'tok/s', ...axisName, nameGap: 44, min: 0 },
      series: [
        { type: 'line', name: 'Decode', data: decode.map((test) => [test.depth, round(speed(test).median.value)]) },
        {
          type: 'scatter',
          name: 'Single runs',
          symbolSize: 7,
          data: decode.flatMap((test) =>
            test.samples
              .filter((one) => one.outcome === 'ok')
              .map((one) => [test.depth, round(one.figure('decode_tokens_per_second').value)]),
          ),
        },
        ...(fitted.length > 1
          ? [
              {
                type: 'line',
                name: 'Line of bytes and fixed cost',
                lineStyle: { type: 'dashed' },
                symbol: 'none',
                data: fitted,
              },
            ]
          : []),
      ],
    },
    table: {
      columns: ['Context, tokens', 'Decode, tok/s', 'Standard deviation, tok/s', 'Runs'],
      rows: decode.map((test) => [test.depth, round(speed(test).median.value), round(speed(test).sd), speed(test).n]),
    },
  };
}

export function configurationChart(all: readonly Configuration[]): Drawing | null {
  const shown = all.filter((one) => one.id !== 'baseline' && one.change.value !== null).slice(0, 40);
  if (!shown.length) return null;
  /* Where less is better, the change is turned round: to the right is always the better side. */
  const turn = (one: Configuration, pct: number) => round(one.better === 'lower' ? -pct : pct);
  const names = distinct(shown.map((one) => short(one.label, 26)));
  const wide = Math.max(...shown.flatMap((one) => (one.ci95 ?? [0]).map(Math.abs))) > 250;
  const cut = (pct: number | null) => (pct === null || !wide ? pct : Math.max(-120, Math.min(250, pct)));
  return {
    summary:
      'Bars are changes against the baseline, lines their 95 % intervals; to the right is better. Between the dashed lines (±2 %) nothing is different.' +
      (wide ? ' Intervals are cut at +250 %.' : ''),
    height: 110 + 30 * shown.length,
    option: {
      grid: { ...grid, top: 16, bottom: 40 },
      tooltip: { trigger: 'axis', valueFormatter: unitOf('%') },
      xAxis: { type: 'value', name: 'change, %', ...axisName },
      yAxis: { type: 'category', data: names, inverse: true, axisLine: { onZero: false } },
      series: [
        {
          type: 'bar',
          name: 'Change, better to the right',
          barMaxWidth: 16,
          itemStyle: { borderRadius: 0, opacity: 0.75 },
          data: shown.map((one) => cut(turn(one, one.change.value ?? 0))),
          markLine: {
            silent: true,
            symbol: 'none',
            label: { show: false },
            lineStyle: { type: 'dashed' },
            data: [{ xAxis: -MARGIN_PCT }, { xAxis: MARGIN_PCT }],
          },
        },
        ...shown.flatMap((one, i) =>
          one.ci95
            ? [
                {
                  type: 'line',
                  name: 'Interval',
                  symbol: 'rect',
                  symbolSize: [2, 12],
                  tooltip: { show: false },
                  silent: true,
                  color: 'gray',
                  lineStyle: { width: 2 },
                  data: one.ci95.map((end) => [cut(turn(one, end)), names[i]]),
                },
              ]
            : [],
        ),
      ],
    },
    table: {
      columns: ['Configuration', 'Change [95 %]', 'Verdict'],
      rows: shown.map((one) => [one.label, changeWithInterval(one.change.value, one.ci95), verdictWords(one).text]),
    },
  };
}
