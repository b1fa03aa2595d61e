import type { ComparedModel } from '../report';
import { axisName, distinct, grid, round, short, unitOf, type Drawing } from './option';

/* One model on two backends differs in what stands in brackets at the end: that is kept whole. */
function label(model: string): string {
  const end = / \([^()]{1,16}\)$/.exec(model)?.[0] ?? '';
  return short(model.slice(0, model.length - end.length), 28 - end.length) + end;
}

export function comparisonChart(models: readonly ComparedModel[]): Drawing {
  const good = models.filter((one) => one.ok);
  const names = distinct(good.map((one) => label(one.model)));
  const fastest = [...good].sort((a, b) => (b.decode.median.value ?? 0) - (a.decode.median.value ?? 0))[0];
  return {
    summary: fastest
      ? `${fastest.model} has the highest decoding speed here; the table above says which differences are real.`
      : '',
    height: 120 + 56 * good.length,
    option: {
      grid: { ...grid, bottom: 36 },
      legend: { top: 0, type: 'scroll' },
      tooltip: { trigger: 'axis', valueFormatter: unitOf('tok/s') },
      xAxis: { type: 'value', name: 'tok/s', ...axisName },
      yAxis: { type: 'category', data: names, inverse: true },
      series: [
        { type: 'bar', name: 'Answer speed', data: good.map((one) => round(one.tokensPerSecond.median.value)) },
        { type: 'bar', name: 'Decode', data: good.map((one) => round(one.decode.median.value)) },
      ],
    },
    table: {
      columns: ['Model', 'Answer speed, tok/s', 'Decode, tok/s'],
      rows: good.map((one) => [one.model, round(one.tokensPerSecond.median.value), round(one.decode.median.value)]),
    },
  };
}
