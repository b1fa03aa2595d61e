/* Every sample of a run as a point: the chart that fills in while it goes on. Pure. */
import type { EChartsCoreOption } from 'echarts/core';
import type { CellValue } from '../../../ui/table';
import type { RunSample } from './events';
import { sampleWords } from './words';

const rounded = (x: number | null) => (x == null ? null : Math.round(x * 10) / 10);

export function speedChart(samples: readonly RunSample[]): {
  option: EChartsCoreOption;
  table: { columns: string[]; rows: CellValue[][] };
} {
  const drawn = samples.filter((sample) => sample.decode != null);
  /* A line joins the runs of one test only: between different tests there is no "faster". */
  const points = (warmup: boolean, value: (sample: RunSample) => number | null) => {
    let before = '';
    return drawn.flatMap((sample, i) => {
      if (sample.warmup !== warmup) return [];
      const cut = before && before !== sample.name ? [[i + 0.5, null]] : [];
      before = sample.name;
      return [...cut, [i + 1, rounded(value(sample))]];
    });
  };
  return {
    option: {
      grid: { left: 56, right: 16, top: 62, bottom: 40 },
      legend: { top: 0, type: 'scroll' },
      tooltip: {
        trigger: 'item',
        renderMode: 'richText', // names are never markup
        formatter: (at: { seriesName?: string; value?: unknown }) => {
          const [x, y] = Array.isArray(at.value) ? (at.value as number[]) : [];
          const sample = drawn[(x ?? 0) - 1];
          return sample ? `${sampleWords(sample.name)}\n${at.seriesName}: ${y} tok/s` : '';
        },
      },
      xAxis: {
        type: 'value',
        name: 'measurement',
        nameLocation: 'middle',
        nameGap: 26,
        min: 0,
        max: Math.max(12, Math.ceil(drawn.length * 1.1)),
        minInterval: 1,
      },
      yAxis: { type: 'value', name: 'tok/s', min: 0 },
      series: [
        {
          type: 'line',
          id: 'decode',
          name: 'Writing',
          data: points(false, (one) => one.decode),
          symbolSize: 5,
          lineStyle: { width: 1.5 },
        },
        {
          type: 'line',
          id: 'whole',
          name: 'Whole answer',
          data: points(false, (one) => one.whole),
          symbolSize: 4,
          lineStyle: { width: 1 },
        },
        {
          type: 'scatter',
          id: 'warmup',
          name: 'Warm-up, not counted',
          data: points(true, (one) => one.decode),
          itemStyle: { opacity: 0.55 },
          symbolSize: 7,
        },
      ],
    },
    table: {
      columns: ['Measurement', 'Run', 'Writing, tok/s', 'Whole answer, tok/s', 'First token, ms'],
      rows: samples.map((one) => [
        sampleWords(one.name),
        one.warmup ? 'warm-up' : String(one.run),
        rounded(one.decode),
        rounded(one.whole),
        rounded(one.ttftMs),
      ]),
    },
  };
}
