/* Where the time of a token goes, and how near each operation is to what the machine can do. */
import type { Operation, Report, Trace } from '../report';
import { axisName, distinct, grid, round, short, unitOf, type Drawing } from '../charts/option';

/* "layers.*.mlp.gate_up" is "mlp gate up"; the same operation of all layers is one. */
export function operationName(name: string): string {
  const text = name
    .replace(/layers\.(\*|\d+)\./g, '')
    .replace(/^\*\./, '')
    .replaceAll('self_attn.', 'attention ')
    .replaceAll('attn.', 'attention ')
    .replaceAll('mlp.', 'mlp ')
    .replaceAll('_', ' ')
    .replaceAll('.', ' ');
  return text.trim() || name;
}

/* A trace whose operations explain too little of the step was disturbed: its figures say nothing. */
export const isSound = (trace: Trace) => trace.covered === null || (trace.covered > 0.8 && trace.covered < 1.2);

export interface Part {
  name: string;
  ms: number;
}

const REST = 'everything else';

/* The operations of a traced step, the longest first; those not in `named` as one. */
export function partsOf(trace: Trace, named?: readonly string[]): Part[] {
  const sums = new Map<string, number>();
  for (const segment of trace.segments) {
    const own = operationName(segment.name);
    const name = !named || named.includes(own) ? own : REST;
    sums.set(name, (sums.get(name) ?? 0) + segment.ms);
  }
  const all = [...sums].map(([name, ms]) => ({ name, ms }));
  return all.sort((a, b) => Number(a.name === REST) - Number(b.name === REST) || b.ms - a.ms);
}

/* As many as there are colours: the longest of any trace, and the rest. */
export function tokenTimeChart(traces: readonly Trace[]): Drawing {
  const longest = new Map<string, number>();
  for (const { name, ms } of traces.flatMap((trace) => partsOf(trace)))
    longest.set(name, Math.max(ms, longest.get(name) ?? 0));
  const named = [...longest]
    .sort((a, b) => b[1] - a[1])
    .map(([name]) => name)
    .slice(0, 5);
  const all = traces.map((trace) => partsOf(trace, named));
  const parts = all.map((some) => new Map(some.map((part) => [part.name, part.ms])));
  const names = longest.size > named.length ? [...named, REST] : named;
  const rows = distinct(traces.map((trace) => `${trace.depth} tokens`));
  const first = all[0]?.[0];
  const total = (all[0] ?? []).reduce((sum, part) => sum + part.ms, 0);
  return {
    summary:
      first && total
        ? `At ${traces[0]?.depth} tokens of context, ${first.name} takes ${Math.round((100 * first.ms) / total)} % of a token.`
        : '',
    height: 130 + 60 * traces.length,
    option: {
      grid: { ...grid, top: 56, bottom: 36 },
      legend: { top: 0, type: 'scroll' },
      tooltip: { trigger: 'item', valueFormatter: unitOf('ms') },
      xAxis: { type: 'value', name: 'ms of a token', ...axisName },
      yAxis: { type: 'category', data: rows, inverse: true },
      series: names.map((name) => ({
        type: 'bar',
        stack: 'token',
        name: short(name, 40),
        itemStyle: { borderRadius: 0 },
        barMaxWidth: 44,
        data: parts.map((part) => round(part.get(name) ?? 0)),
      })),
    },
    table: {
      columns: ['Operation', ...rows.map((row) => `at ${row}, ms`)],
      rows: names.map((name) => [name, ...parts.map((part) => round(part.get(name) ?? 0))]),
    },
  };
}

interface Placed extends Operation {
  intensity: number; // operations for each byte
  rate: number;
}

export function placed(operations: readonly Operation[]): Placed[] {
  return operations.flatMap((one) => {
    const [gbps, rate] = [one.gbps.value ?? 0, one.gflops.value ?? 0];
    return gbps > 0 && rate > 0 ? [{ ...one, rate, intensity: rate / gbps }] : [];
  });
}

/* Both axes logarithmic: what is bound by reading lies on a rising line, what is bound by arithmetic on a flat one. */
export function rooflineChart(roofline: NonNullable<Report['roofline']>): Drawing {
  const points = placed(roofline.operations);
  const [read, peak] = [roofline.readGbps.value ?? 0, roofline.peakGflops.value ?? 0];
  const xs = points.map((one) => one.intensity);
  const knee = read > 0 ? peak / read : 1;
  const low = 10 ** Math.floor(Math.log10(Math.min(knee / 10, ...xs)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(knee * 10, ...xs)));
  const size = (share: number | null) => 9 + 26 * Math.sqrt(Math.min(1, Math.max(0, share ?? 0)));
  const line = (name: string, data: number[][]) => ({ type: 'line', name, data, symbol: 'none', silent: true });
  const near = [...points].sort((a, b) => (b.share.value ?? 0) - (a.share.value ?? 0))[0];
  return {
    summary: near
      ? `${operationName(near.name)}, the longest, reaches ${round(near.rate, 3)} GFLOP/s at ${round(near.intensity, 3)} operations for each byte.`
      : '',
    height: 380,
    option: {
      grid: { ...grid, bottom: 40, left: 24 },
      legend: { top: 0, type: 'scroll' },
      tooltip: { trigger: 'item' },
      xAxis: { type: 'log', name: 'operations for each byte read (FLOP/B)', ...axisName, min: low, max: high },
      yAxis: { type: 'log', name: 'GFLOP/s', nameLocation: 'end' },
      series: [
        ...(read > 0 && peak > 0
          ? [
              line(`Memory: ${round(read, 3)} GB/s`, [
                [low, low * read],
                [knee, peak],
              ]),
              line(`Arithmetic: ${round(peak, 3)} GFLOP/s`, [
                [knee, peak],
                [high, peak],
              ]),
            ]
          : []),
        {
          type: 'scatter',
          name: 'Operations',
          data: points.map((one) => ({
            name: short(operationName(one.name), 40),
            value: [round(one.intensity), round(one.rate)],
            symbolSize: size(one.share.value),
          })),
          itemStyle: { opacity: 0.8 },
          label: { show: false },
        },
      ],
    },
    table: {
      columns: ['Operation', 'Operations for each byte, FLOP/B', 'Reached, GFLOP/s'],
      rows: points.map((one) => [operationName(one.name), round(one.intensity), round(one.rate)]),
    },
  };
}
