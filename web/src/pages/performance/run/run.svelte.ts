/* The run that is being watched, from whichever window or program it was started. The server keeps its events, so
 * whoever comes later sees all of it; leaving the page loses nothing. One for the whole page, like the live stream.
 *
 * In a component: `useRunWatch();` once, then read run.now. */
import { untrack } from 'svelte';
import { del, get, post, type Schemas } from '../../../api/client';
import { ApiError, isAbort } from '../../../api/error';
import { followEvents } from '../../../api/events';
import { announce } from '../../../state/announce.svelte';
import { connection } from '../../../state/connection.svelte';
import { holdMeasuring } from '../../../state/measuring';
import { notifyError } from '../../../state/notices.svelte';
import type { RunRequest } from '../setup/form';
import { readEvent, type RunEvent, type RunSample } from './events';
import { phaseWords, stepWords } from './words';

const LOOK_MS = 1_500;

export interface WatchedRun {
  id: string;
  kind: string; // profile or compare
  model: string;
  started: string;
  phase: string;
  step: string | null;
  progress: number | null;
  etaS: number | null;
  notes: readonly string[];
  samples: readonly RunSample[];
  waiting: number; // runs that come after it
  cancelling: boolean;
}

export interface EndedRun {
  id: string;
  kind: string;
  model: string;
  status: string;
  message: string | null;
}

/* Another run was in the way of one that was to start. running null: it is another program's. */
export interface Blocked {
  message: string;
  running: Schemas['ProfilingStatus']['running'];
  request: RunRequest;
}

class RunWatch {
  now = $state.raw<WatchedRun | null>(null);
  ended = $state.raw<EndedRun | null>(null); // the last one that ended while it was watched
  status = $state.raw<Schemas['ProfilingStatus'] | null>(null);
  blocked = $state.raw<Blocked | null>(null);
  starting = $state(false);
  failure = $state.raw<unknown>(null); // why the running one cannot be followed, or the status not read

  mine = ''; // the id of the run that this window has started

  #stop: AbortController | null = null;
  #watchers = 0;

  watch(): () => void {
    this.#watchers++;
    void this.look();
    const timer = setInterval(() => void this.look(), LOOK_MS);
    const seen = () => void this.look();
    document.addEventListener('visibilitychange', seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', seen);
      if (--this.#watchers === 0) this.#leave();
    };
  }

  /* Is there one? Asked while none is watched: another window or a terminal may start it. */
  async look(): Promise<void> {
    if (document.visibilityState !== 'visible' || connection.down || this.now || this.blocked) return;
    try {
      const status = await get('/api/profiling/status');
      this.status = status;
      if (this.now || this.blocked || this.starting) return; // meanwhile
      this.failure = null;
      if (status.running?.run_id) this.follow(status.running);
    } catch (error) {
      if (!isAbort(error)) this.failure = error;
    }
  }

  async start(request: RunRequest): Promise<void> {
    if (this.starting || this.now) return;
    this.starting = true;
    [this.blocked, this.ended] = [null, null];
    try {
      const { run_id } = await post('/api/profiling/runs', request);
      this.mine = run_id;
      const model =
        request.models?.map((model) => (typeof model === 'string' ? model : model.model)).join(', ') ??
        request.model_name ??
        '';
      announce(request.kind === 'compare' ? 'The comparison has begun' : 'The measurement has begun');
      this.follow({
        run_id,
        kind: request.kind ?? 'profile',
        model,
        phase: null,
        step: null,
        progress: null,
        eta_s: null,
      });
    } catch (error) {
      if (error instanceof ApiError && error.code === 'run_in_progress') await this.#block(error, request);
      else throw error;
    } finally {
      this.starting = false;
    }
  }

  async cancel(): Promise<void> {
    const run = this.now;
    if (!run || run.cancelling) return;
    this.now = { ...run, cancelling: true };
    try {
      await del('/api/profiling/runs/{id}', { path: { id: run.id } });
    } catch (error) {
      if (this.now?.id === run.id) this.now = { ...this.now, cancelling: false };
      notifyError(error, () => void this.cancel(), 'The run could not be cancelled');
    }
  }

  follow(running: NonNullable<Schemas['ProfilingStatus']['running']>): void {
    if (!running.run_id) return;
    this.#leave();
    this.blocked = null;
    this.now = {
      id: running.run_id,
      kind: running.kind ?? 'profile',
      model: running.model ?? '',
      started: running.started ?? new Date().toISOString(),
      phase: running.phase ?? '',
      step: running.step,
      progress: running.progress,
      etaS: running.eta_s,
      notes: [],
      samples: [],
      waiting: running.waiting ?? 0,
      cancelling: false,
    };
    void this.#follow(this.now.id, (this.#stop = new AbortController()));
  }

  dismiss(): void {
    [this.ended, this.blocked] = [null, null];
  }

  async #block(error: ApiError, request: RunRequest): Promise<void> {
    const status = await get('/api/profiling/status').catch(() => null);
    this.blocked = { message: error.message, running: status?.running ?? null, request };
  }

  #leave(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.now = null;
  }

  async #follow(id: string, stop: AbortController): Promise<void> {
    const release = holdMeasuring();
    const url = `/api/profiling/runs/${encodeURIComponent(id)}/events`;
    let end: { status: string; message: string | null } | null = null;
    try {
      for await (const { event, data } of followEvents(url, { signal: stop.signal, finite: true })) {
        const told = readEvent(event, data);
        if (told.type === 'end') end = told;
        else this.#take(told);
      }
      // A server that was started anew no longer has the events, but it has the row.
      end ??= await get('/api/profiling/runs/{id}', { path: { id }, signal: stop.signal }).then((row) => ({
        status: row.status,
        message: row.message ?? null,
      }));
    } catch (error) {
      if (isAbort(error)) return;
      if (error instanceof ApiError && error.status === 404)
        end = { status: 'failed', message: 'It was deleted while it was being watched.' };
      else this.failure = error;
    } finally {
      release();
    }
    const run = this.now;
    if (stop.signal.aborted || run?.id !== id) return;
    this.#leave();
    if (end) this.ended = { id, kind: run.kind, model: run.model, ...end };
  }

  #take(told: RunEvent): void {
    const run = this.now;
    if (!run) return;
    if (told.type === 'begin')
      this.now = { ...run, kind: told.kind, model: told.model || run.model, started: told.time || run.started };
    else if (told.type === 'phase') {
      if (told.phase !== run.phase) announce(phaseWords(told.phase));
      // What is not known any more stays as it was last said.
      const progress = told.progress ?? run.progress;
      this.now = { ...run, phase: told.phase, step: told.step, progress, etaS: told.etaS };
    } else if (told.type === 'sample') this.now = { ...run, samples: [...run.samples, told.sample] };
    else if (told.type === 'note') this.now = { ...run, notes: [...run.notes, told.text] };
  }
}

export const run = new RunWatch();

export function useRunWatch(): void {
  $effect(() => untrack(() => run.watch())); // what it looks at must not make it begin anew
}

export function nowWords(watched: WatchedRun): string {
  return watched.cancelling
    ? 'Cancelling: the test that is being measured ends first'
    : stepWords(watched.phase, watched.step);
}
