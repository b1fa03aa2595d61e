/* What the server does now, twice a second. One stream for the whole page: it runs while somebody watches and the page
 * can be seen, and keeps the last minute.
 *
 * In a component: `useLive();` once, then read live.latest and live.samples. */
import { connection } from '../state/connection.svelte';
import { followEvents } from './events';
import { isAbort } from './error';
import type { Schemas } from './client';

export type Sample = Schemas['Performance'];

const KEPT = 120; // a minute

class Live {
  latest = $state.raw<Sample | null>(null);
  samples = $state.raw<readonly Sample[]>([]); // oldest first; a new array each time
  error = $state.raw<unknown>(null); // why there is nothing, when the server refuses

  #watchers = 0;
  #stop: AbortController | null = null;

  /* Answers the function that ends it. */
  watch(): () => void {
    if (this.#watchers++ === 0) document.addEventListener('visibilitychange', this.#adjust);
    this.#adjust();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      if (--this.#watchers === 0) document.removeEventListener('visibilitychange', this.#adjust);
      this.#adjust();
    };
  }

  /* Once more after an error. */
  restart(): void {
    this.#adjust();
  }

  #adjust = () => {
    const wanted = this.#watchers > 0 && document.visibilityState === 'visible';
    if (wanted && !this.#stop) void this.#run((this.#stop = new AbortController()));
    else if (!wanted && this.#stop) {
      this.#stop.abort();
      this.#stop = null;
    }
  };

  async #run(stop: AbortController) {
    this.error = null;
    try {
      for await (const { data } of followEvents('/api/performance/stream', { signal: stop.signal })) {
        const sample = JSON.parse(data) as Sample;
        this.latest = sample;
        this.samples = [...this.samples.slice(1 - KEPT), sample];
      }
    } catch (error) {
      if (!isAbort(error)) this.error = error;
    } finally {
      if (this.#stop === stop) this.#stop = null;
    }
  }
}

export const live = new Live();

export function useLive(): void {
  $effect(() => {
    void connection.epoch; // a stream that was refused begins again
    return live.watch();
  });
}
