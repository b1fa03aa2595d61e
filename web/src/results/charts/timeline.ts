/* The run from its beginning to its end: sensors one under the other, and what was measured when. Pure. */
import type { Report, Series } from '../report';
import { round, thinned, type Drawing } from './option';

interface Lane {
  name: string;
  unit: string;
  ids: string[];
  scale?: number;
}

const lanes: Lane[] = [
  { name: 'Processor', unit: '%', ids: ['cpu_busy', 'steal', 'throttled_fraction'], scale: 100 },
  { name: 'Cores of the model', unit: 'cores', ids: ['process_cores'] },
  { name: 'Frequency', unit: 'MHz', ids: ['cpu_mhz', 'gpu_0_mhz'] },
  { name: 'Temperature', unit: '°C', ids: ['cpu_temperature_c', 'gpu_0_temperature_c'] },
  { name: 'Power', unit: 'W', ids: ['cpu_power_w', 'gpu_0_power_w'] },
  { name: 'Memory of the process', unit: 'MB', ids: ['footprint_bytes'], scale: 1e-6 },
  { name: 'GPU', unit: '%', ids: ['gpu_0_busy'], scale: 100 },
];

const LANE_PX = 96;
const GAP_PX = 46;
const TOP_PX = 56;

export interface Absent {
  label: string;
  reason: string;
}

/* What could not be read during the run, and why. */
export function absent(report: Report): Absent[] {
  return (report.sensors?.series ?? [])
    .filter((one) => lanes.some((lane) => lane.ids.includes(one.id)) && !one.values.some((value) => value !== null))
    .map(({ label, reason }) => ({ label, reason: reason || 'not read' }));
}

export function timelineChart(report: Report): Drawing | null {
  const { sensors } = report;
  if (!sensors || sensors.t.length < 2) return null;
  const found = lanes
    .map((lane) => ({
      lane,
      series: lane.ids
        .map((id) => sensors.series.find((one) => one.id === id && one.values.some((value) => value !== null)))
        .filter((one): one is Series => one !== undefined),
    }))
    .filter(({ series }) => series.length);
  if (!found.length) return null;

  const last = sensors.t.at(-1) ?? 0;
  const nameOf = (one: Series, lane: Lane) => `${one.label}, ${lane.unit}`;
  /* A line that is alone in its lane is named by it. */
  const named = found.flatMap(({ lane, series }) => (series.length > 1 ? series.map((one) => nameOf(one, lane)) : []));
  const gridAt = (i: number) => ({ left: 64, right: 24, top: TOP_PX + i * (LANE_PX + GAP_PX), height: LANE_PX });
  const bands = sensors.phases
    .slice(0, 200)
    .map((phase, i) => [
      { xAxis: round(phase.start), name: phase.name.slice(0, 40), itemStyle: { opacity: i % 2 ? 0.1 : 0.22 } },
      { xAxis: round(phase.end) },
    ]);
  const points = ({ values }: Series, scale = 1): [number, number | null][] =>
    thinned(sensors.t.map((t, i) => [t, values[i] == null ? null : (values[i] ?? 0) * scale])).map(([t, y]) => [
      round(t) ?? 0,
      round(y),
    ]);

  return {
    summary: `${sensors.phases.length} measurements in ${Math.round(last)} seconds; the shaded bands are the measurements themselves.`,
    height: TOP_PX + found.length * (LANE_PX + GAP_PX) + 16,
    option: {
      legend: { top: 0, type: 'scroll', data: named },
      tooltip: { trigger: 'axis' },
      axisPointer: { link: [{ xAxisIndex: 'all' }] },
      dataZoom: [
        { type: 'inside', xAxisIndex: found.map((_, i) => i), zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false },
      ],
      grid: found.map((_, i) => gridAt(i)),
      xAxis: found.map((_, i) => ({
        type: 'value',
        gridIndex: i,
        min: 0,
        max: Math.ceil(last),
        axisLabel: { show: i === found.length - 1 },
        name: i === found.length - 1 ? 'seconds since the run began' : '',
        nameLocation: 'middle',
        nameGap: 28,
      })),
      yAxis: found.map(({ lane }, i) => ({
        type: 'value',
        gridIndex: i,
        name: `${lane.name}, ${lane.unit}`,
        nameTextStyle: { align: 'left' },
        nameGap: 10,
        splitNumber: 2,
        scale: lane.unit === 'MHz' || lane.unit === '°C',
      })),
      series: found.flatMap(({ lane, series }, i) =>
        series.map((one, k) => ({
          type: 'line',
          name: nameOf(one, lane),
          xAxisIndex: i,
          yAxisIndex: i,
          symbol: 'none',
          lineStyle: { width: 1.5 },
          data: points(one, lane.scale),
          ...(k === 0 ? { markArea: { silent: true, label: { show: false }, data: bands } } : {}),
        })),
      ),
    },
    table: {
      columns: [
        'Measurement',
        'From, s',
        'To, s',
        ...found.map(({ lane, series }) => `${series[0]?.label ?? ''}, mean, ${lane.unit}`),
      ],
      rows: sensors.phases.map((phase) => [
        phase.name,
        round(phase.start),
        round(phase.end),
        ...found.map(({ lane, series }) => {
          const values = series[0]?.values.filter(
            (value, i): value is number =>
              value !== null && (sensors.t[i] ?? 0) >= phase.start && (sensors.t[i] ?? 0) <= phase.end,
          );
          return values?.length ? round((values.reduce((a, b) => a + b, 0) / values.length) * (lane.scale ?? 1)) : null;
        }),
      ]),
    },
  };
}
