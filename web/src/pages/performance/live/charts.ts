/* The live charts: what is drawn and the table behind it, from the samples of the last minute. Pure. */
import type { EChartsCoreOption } from 'echarts/core';
import type { Sample } from '../../../api/live.svelte';
import type { CellValue } from '../../../ui/table';
import { ownMemory, usedMemory } from './gauges';
import { line, secondsAgo, type Point } from './timeline';

export interface LiveChart {
  id: string;
  name: string;
  option: EChartsCoreOption;
  table: { columns: string[]; rows: CellValue[][] };
}

interface Series {
  name: string;
  value: (sample: Sample) => number | null | undefined;
  filled?: boolean;
  stepped?: boolean;
}

const MANY_CORES = 8; // more lines than that are a tangle
const share = (x: number | null | undefined) => (x == null ? null : x * 100);
const giga = (x: number | null | undefined) => (x == null ? null : x / 1e9);

export function liveCharts(samples: readonly Sample[]): LiveChart[] {
  const at = secondsAgo(samples);
  const last = samples.at(-1);
  const charts = [
    make('speed', 'Speed', 'tok/s', {}, [
      { name: 'Tokens per second', value: (s) => s.tokens_per_second, filled: true },
    ]),
    make('cpu', 'CPU utilization', '%', { max: 100 }, coreSeries(last)),
    make('memory', 'Memory', 'GB', {}, [
      { name: 'All programs', value: (s) => giga(usedMemory(s)) },
      { name: 'LLMind', value: (s) => giga(ownMemory(s)), filled: true },
    ]),
    make('requests', 'Requests and KV cache', 'count', { minInterval: 1 }, [
      { name: 'Active sequences', value: (s) => s.active_sequences, stepped: true },
      { name: 'Waiting', value: (s) => (s.queued_requests ?? 0) + s.waiting_for_model, stepped: true },
      { name: 'KV pages used', value: (s) => s.kv?.pages_used, stepped: true },
    ]),
  ];
  if (last?.gpus?.length)
    charts.push(
      make(
        'gpu',
        'GPU utilization',
        '%',
        { max: 100 },
        last.gpus.map((gpu, i) => ({ name: gpu.name, value: (s) => share(s.gpus?.[i]?.busy) })),
      ),
    );
  const body: Series[] = [
    { name: 'Temperature, °C', value: (s: Sample) => s.gpus?.[0]?.temperature_c ?? s.cpu.temperature_c },
    { name: 'Power, W', value: (s: Sample) => s.gpus?.[0]?.power_w ?? s.cpu.power_w },
  ].filter((one) => last && one.value(last) != null);
  if (body.length) charts.push(make('body', 'Temperature and power', '°C, W', {}, body));
  return charts;

  function make(id: string, name: string, unit: string, axis: object, series: readonly Series[]): LiveChart {
    const lines = series.map((one) => line(samples, at, one.value));
    return {
      id,
      name,
      option: option(unit, axis, series, lines),
      table: {
        columns: ['Seconds ago', ...series.map((one) => (one.name.includes(',') ? one.name : `${one.name}, ${unit}`))],
        rows: samples.map((sample, i) => [round(-(at[i] ?? 0)), ...series.map((one) => round(one.value(sample)))]),
      },
    };
  }
}

function coreSeries(last: Sample | undefined): Series[] {
  const mean: Series = { name: 'Mean of all', value: (s) => share(s.cpu.busy), filled: true };
  const cores = last?.cpu.cores ?? [];
  const busy = (s: Sample) => s.cpu.cores.flatMap((core) => (core.busy == null ? [] : [core.busy]));
  if (cores.length > MANY_CORES)
    return [
      mean,
      { name: 'Busiest core', value: (s) => share(Math.max(...busy(s))) },
      { name: 'Idlest core', value: (s) => share(Math.min(...busy(s))) },
    ];
  return [
    mean,
    ...cores.map((core, i): Series => ({ name: `Core ${core.id}`, value: (s) => share(s.cpu.cores[i]?.busy) })),
  ];
}

function option(unit: string, axis: object, series: readonly Series[], lines: readonly Point[][]): EChartsCoreOption {
  const several = series.length > 1;
  return {
    grid: { left: 52, right: 16, top: several ? 62 : 34, bottom: 38 },
    legend: several ? { top: 0, type: 'scroll', itemWidth: 18 } : undefined,
    tooltip: {
      trigger: 'axis',
      valueFormatter: (value: unknown) => `${typeof value === 'number' ? round(value) : '–'}`,
    },
    xAxis: {
      type: 'value',
      min: -60,
      max: 0,
      name: 'seconds ago',
      nameLocation: 'middle',
      nameGap: 24,
      splitNumber: 6,
      axisLabel: { formatter: (value: number) => String(Math.abs(value)) },
    },
    yAxis: { type: 'value', name: unit, min: 0, axisLine: { onZero: false }, ...axis },
    series: series.map((one, i) => ({
      type: 'line',
      id: String(i), // so that it is changed, not made anew, twice a second
      name: one.name,
      data: lines[i],
      showSymbol: false,
      step: one.stepped ? 'end' : undefined,
      areaStyle: one.filled ? { opacity: 0.15 } : undefined,
      lineStyle: { width: one.filled ? 2 : 1.5 },
    })),
  };
}

function round(x: number | null | undefined): number | null {
  return x == null || !Number.isFinite(x) ? null : Math.round(x * 100) / 100;
}
