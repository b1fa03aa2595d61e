/* When each sample of the live stream was taken, in seconds before the last one. Pure.
 *
 * Their `time` is whole seconds, too coarse for two a second; `interval_ms` is exact but does not know of the time in
 * which nobody listened (a hidden tab, a server that was away). So the interval counts, unless the clock contradicts. */
import type { Sample } from '../../../api/live.svelte';

const GAP_S = 2; // a stretch without samples, in which no line is drawn

export function secondsAgo(samples: readonly Sample[]): number[] {
  const at = new Array<number>(samples.length).fill(0);
  for (let i = samples.length - 1; i > 0; i--) {
    const [one, next] = [samples[i - 1], samples[i]];
    if (!one || !next) continue;
    const clock = (Date.parse(next.time) - Date.parse(one.time)) / 1000;
    const exact = next.interval_ms / 1000;
    at[i - 1] = (at[i] ?? 0) - (Math.abs(clock - exact) > 1.5 ? Math.max(clock, 0) : exact);
  }
  return at;
}

export type Point = [seconds: number, value: number | null];

/* The points of a line; where nothing is known, or nobody listened, the line is broken. */
export function line(
  samples: readonly Sample[],
  at: readonly number[],
  value: (sample: Sample) => number | null | undefined,
): Point[] {
  const points: Point[] = [];
  samples.forEach((sample, i) => {
    const here = at[i] ?? 0;
    const before = at[i - 1];
    if (before !== undefined && here - before > GAP_S) points.push([(here + before) / 2, null]);
    const y = value(sample);
    points.push([here, y == null || !Number.isFinite(y) ? null : y]);
  });
  return points;
}
