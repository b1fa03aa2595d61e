/* Something a page reads from the server: loading, error and data in one place, read again when the connection is back,
 * when an input changes, or on refetch(). Call it while a component is being made.
 *
 *   const chats = resource((signal) => get('/api/chats', { query: { search }, signal }));
 *   {#if chats.error}<ErrorState error={chats.error} onretry={chats.refetch} />{/if}
 *
 * `read` runs inside an effect: every reactive value it touches before its first await is an input. */
import { untrack } from 'svelte';
import { connection } from '../state/connection.svelte';
import { isAbort } from './error';

export interface Resource<T> {
  readonly data: T | undefined; // the last good answer stays while a new one is on its way, or failed
  readonly error: unknown;
  readonly loading: boolean;
  refetch(): void;
  set(data: T): void; // what an action answered, without reading again
}

export function resource<T>(read: (signal: AbortSignal) => Promise<T>): Resource<T> {
  let data = $state.raw<T | undefined>();
  let error = $state.raw<unknown>(null);
  let loading = $state(true);
  let turn = $state(0);

  $effect(() => {
    void [turn, connection.epoch];
    const stop = new AbortController();
    untrack(() => (loading = true));
    read(stop.signal).then(
      (answer) => {
        if (stop.signal.aborted) return;
        [data, error, loading] = [answer, null, false];
      },
      (problem: unknown) => {
        if (stop.signal.aborted || isAbort(problem)) return;
        [error, loading] = [problem, false];
      },
    );
    return () => stop.abort();
  });

  return {
    get data() {
      return data;
    },
    get error() {
      return error;
    },
    get loading() {
      return loading;
    },
    refetch: () => void turn++,
    set(answer) {
      [data, error] = [answer, null];
    },
  };
}
