/* The proof of a recommendation: a run of its own, A B B A, started here and followed to its end. */
import { get } from '../../api/client';
import { ApiError, isAbort } from '../../api/error';
import { followEvents } from '../../api/events';
import { request } from '../../api/request';
import { urlOf } from '../../api/url';
import { notifyError } from '../../state/notices.svelte';
import { announce } from '../../state/announce.svelte';
import { object, clean, number } from '../sound';
import { hasRoute } from './routes';

const ROUTE = '/api/profiling/runs/{id}/prove';

export class Prover {
  possible = $state(false);
  running = $state(false);
  progress = $state<number | null>(null);
  step = $state('');
  #stop = new AbortController();

  /* Call while a component is made; wanted: the recommendation can be proved at all. */
  constructor(wanted: () => boolean) {
    $effect(() => {
      if (wanted()) void hasRoute(ROUTE).then((has) => (this.possible = has));
    });
    $effect(() => () => this.#stop.abort());
  }

  async start(run: string, recommendation: string, done: () => void): Promise<void> {
    this.running = true;
    [this.progress, this.step] = [null, ''];
    const { signal } = this.#stop;
    try {
      const url = urlOf(ROUTE, { id: run });
      const response = await request({ method: 'POST', url, body: { recommendation }, signal });
      const id = clean(object(await response.json())['run_id'], 40);
      if (id) await this.#follow(id, signal);
      announce('The proof is done.');
      done();
    } catch (error) {
      if (isAbort(error)) return;
      if (error instanceof ApiError && (error.status === 404 || error.status === 405)) this.possible = false;
      notifyError(error, () => void this.start(run, recommendation, done), 'It was not proved');
    } finally {
      this.running = false;
    }
  }

  async #follow(id: string, signal: AbortSignal): Promise<void> {
    const url = urlOf('/api/profiling/runs/{id}/events', { id });
    for await (const { data } of followEvents(url, { signal, finite: true })) {
      const event = object(JSON.parse(data));
      this.progress = number(event['progress']) ?? this.progress;
      this.step = clean(event['step'], 100) || this.step;
    }
    const run = await get('/api/profiling/runs/{id}', { path: { id }, signal });
    if (run.status !== 'success')
      throw new ApiError(clean(run.message, 400) || `The proof ended as ${run.status}.`, { status: 200 });
  }
}
