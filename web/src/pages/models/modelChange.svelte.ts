/* The one change of the loaded model that this page has asked for. It goes on when the dialog is closed, or the page. */
import { post } from '../../api/client';
import { milliseconds } from '../../api/format';
import { notify } from '../../state/notices.svelte';
import type { LoadBody } from './loadOptions';

export interface Wish {
  kind: 'load' | 'unload';
  model: string;
  options: LoadBody;
  makeRoom: boolean; // give the loaded one up first, if it does not fit beside it
}

class ModelChange {
  running = $state.raw<Wish | null>(null);
  failed = $state.raw<{ wish: Wish; error: unknown } | null>(null);
  done = $state(0); // grows after every change, so that lists are read again

  /* true: done. */
  async load(model: string, options: LoadBody, makeRoom: boolean): Promise<boolean> {
    const wish: Wish = { kind: 'load', model, options, makeRoom };
    return this.#run(wish, async () => {
      const answer = await post('/api/models/load', { model, options, unload_current: makeRoom });
      notify(`${model} is loaded, in ${milliseconds(answer.load_ms).text}.`, 'good');
    });
  }

  async unload(model: string): Promise<boolean> {
    return this.#run({ kind: 'unload', model, options: {}, makeRoom: false }, async () => {
      await post('/api/models/unload', {});
      notify(`${model} is unloaded.`, 'good');
    });
  }

  again(): Promise<boolean> {
    const wish = this.failed?.wish;
    if (!wish) return Promise.resolve(false);
    return wish.kind === 'unload' ? this.unload(wish.model) : this.load(wish.model, wish.options, wish.makeRoom);
  }

  dismiss(): void {
    this.failed = null;
  }

  async #run(wish: Wish, change: () => Promise<void>): Promise<boolean> {
    if (this.running) return false;
    [this.running, this.failed] = [wish, null];
    try {
      await change();
      return true;
    } catch (error) {
      this.failed = { wish, error };
      return false;
    } finally {
      this.running = null;
      this.done++;
    }
  }
}

export const modelChange = new ModelChange();
