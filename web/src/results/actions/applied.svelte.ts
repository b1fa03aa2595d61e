/* Which recommendations were applied from this browser, with what the server needs to undo each. Kept until it is
 * undone, so that it can still be undone tomorrow. */
import type { Schemas } from '../../api/client';

export interface Applied {
  undo: Schemas['SettingUndo'];
  takesEffect: string;
}

const PLACE = 'llmind.applied';

function read(): Record<string, Applied> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(PLACE) ?? '{}');
    return typeof kept === 'object' && kept !== null ? (kept as Record<string, Applied>) : {};
  } catch {
    return {};
  }
}

class AppliedOnes {
  #all = $state.raw<Record<string, Applied>>(read());

  of(run: string, recommendation: string): Applied | undefined {
    return this.#all[`${run} ${recommendation}`];
  }

  set(run: string, recommendation: string, applied: Applied | undefined): void {
    const key = `${run} ${recommendation}`;
    const others = Object.entries(this.#all).filter(([name]) => name !== key);
    this.#all = Object.fromEntries(applied ? [...others, [key, applied]] : others);
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.#all));
    } catch {
      // a browser that keeps nothing: it can be undone as long as the page is open
    }
  }
}

export const applied = new AppliedOnes();

const effects: Record<string, string> = {
  at_once: 'It holds at once.',
  next_load: 'It takes effect when a model is loaded next.',
  next_start: 'It takes effect when LLMind is started next.',
};
export const effectOf = (takesEffect: string) => effects[takesEffect] ?? '';
