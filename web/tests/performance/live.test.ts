import { expect, it } from 'vitest';
import type { Sample } from '../../src/api/live.svelte';
import { liveCharts } from '../../src/pages/performance/live/charts';
import { briefly, gauges } from '../../src/pages/performance/live/gauges';
import { line, secondsAgo } from '../../src/pages/performance/live/timeline';

function sample(second: number, more: Partial<Sample> = {}, cores = 2): Sample {
  return {
    time: new Date(Date.UTC(2026, 0, 1, 0, 0, Math.floor(second))).toISOString(),
    sequence: second * 2,
    interval_ms: 500,
    uptime_s: second,
    tokens_per_second: second,
    response_s: null,
    tokens: { prompt: 0, cached: 0, generated: 0 },
    answers: { stop: 1, length: 2, cancelled: 0, error: 0 },
    disconnects: 0,
    phase: 'ready',
    waiting_for_model: 0,
    model: null,
    active_sequences: 0,
    queued_requests: 0,
    kv: null,
    allocator: null,
    cpu: {
      busy: 0.5,
      steal: 0,
      cgroup_cores: null,
      mhz: 2100,
      mhz_source: null,
      temperature_c: null,
      temperature_source: null,
      power_w: null,
      cores: Array.from({ length: cores }, (_, id) => ({ id, busy: id / cores, mhz: null })),
    },
    memory: { total_bytes: 8e9, available_bytes: 6e9, limit_bytes: null, server: null, worker: null },
    gpus: null,
    ...more,
  };
}

it('knows when each sample was taken', () => {
  expect(secondsAgo([])).toEqual([]);
  expect(secondsAgo([sample(0), sample(0.5), sample(1)])).toEqual([-1, -0.5, 0]);
});

it('believes the clock when nobody listened for a while, and breaks the line there', () => {
  const samples = [sample(0), sample(0.5), sample(30), sample(30.5)];
  const at = secondsAgo(samples);
  expect(at).toEqual([-31, -30.5, -0.5, 0]);
  expect(line(samples, at, (s) => s.tokens_per_second).map(([, y]) => y)).toEqual([0, 0.5, null, 30, 30.5]);
});

it('says why a figure is not known', () => {
  const gpu = gauges.find((one) => one.id === 'gpu');
  const figure = gpu?.figure({ ...sample(1), gpus_reason: 'no NVIDIA GPU: no library' } as Sample);
  expect(figure?.text).toBe('no GPU');
  expect(figure?.reason).toBe('no NVIDIA GPU: no library');
  expect(briefly(figure?.reason ?? '')).toBe('no NVIDIA GPU');
  for (const gauge of gauges) expect(gauge.figure(sample(1)).text).toBeTruthy();
});

it('draws a line for each of a few cores, and three for many', () => {
  const names = (cores: number) => {
    const cpu = liveCharts([sample(0, {}, cores), sample(0.5, {}, cores)]).find((one) => one.id === 'cpu');
    return cpu?.table.columns.length;
  };
  expect(names(2)).toBe(4);
  expect(names(64)).toBe(4);
});

it('draws temperature and power only where there is a sensor', () => {
  const ids = (samples: Sample[]) => liveCharts(samples).map((one) => one.id);
  expect(ids([sample(0)])).not.toContain('body');
  const warm = sample(0);
  warm.cpu.temperature_c = 60;
  expect(ids([warm])).toContain('body');
  expect(ids([])).toContain('speed');
});
