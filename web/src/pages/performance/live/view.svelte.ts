/* Which samples are drawn: all, as they come; every other second while something is measured; none while paused or out
 * of sight. The page must not slow what it shows. Call it while a component is being made. */
import { live, type Sample } from '../../../api/live.svelte';

const CALM_MS = 2_000;

export interface LiveView {
  readonly samples: readonly Sample[];
  readonly latest: Sample | null;
}

export function liveView(state: () => { paused: boolean; inSight: boolean; measuring: boolean }): LiveView {
  let samples = $state.raw<readonly Sample[]>([]);
  let drawnAt = 0;

  $effect(() => {
    const all = live.samples;
    const { paused, inSight, measuring } = state();
    if (paused || !inSight) return;
    const now = performance.now();
    if (measuring && now - drawnAt < CALM_MS - 50) return;
    drawnAt = now;
    samples = all;
  });

  return {
    get samples() {
      return samples;
    },
    get latest() {
      return samples.at(-1) ?? null;
    },
  };
}
