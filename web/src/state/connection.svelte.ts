/* Whether the server answers. request.ts tells what it saw; when nothing answers, this asks /health again and again and
 * counts down for the banner. When the server is back `epoch` grows, and whoever read it in an effect reads anew. */
import { untrack } from 'svelte';
import { backOffMs, wait } from '../api/retry';

const PROBE_MS = 5_000; // longer than any healthy server needs

class Connection {
  down = $state(false);
  epoch = $state(0);
  retryInS = $state(0); // 0: asking now

  #upAgain: (() => void)[] = [];
  #hurry: AbortController | null = null;

  answered(): void {
    if (!untrack(() => this.down)) return; // whoever reads something in an effect does not wait for this
    this.down = false;
    this.epoch++;
    this.#hurry?.abort();
    for (const tell of this.#upAgain.splice(0)) tell();
  }

  /* Whoever was refused may read anew: the server is there, and now has the key. */
  readAnew(): void {
    this.epoch++;
  }

  failed(): void {
    if (untrack(() => this.down)) return;
    this.down = true;
    void this.#recover();
  }

  /* The banner's button. */
  tryNow(): void {
    this.#hurry?.abort();
  }

  async probe(): Promise<boolean> {
    try {
      const response = await fetch('/health', { cache: 'no-store', signal: AbortSignal.timeout(PROBE_MS) });
      if (!response.ok) return false; // a proxy's word, not LLMind's: /health is always 200
      this.answered();
      return true;
    } catch {
      return false;
    }
  }

  whenUp(signal?: AbortSignal): Promise<void> {
    if (!this.down) return Promise.resolve();
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = () => {
        this.#upAgain = this.#upAgain.filter((one) => one !== tell);
        reject(signal?.reason);
      };
      const tell = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      this.#upAgain.push(tell);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  async #recover(): Promise<void> {
    for (let attempt = 1; this.down; attempt++) {
      this.#hurry = new AbortController();
      const due = Date.now() + backOffMs(attempt, 1_000, 8_000);
      try {
        for (let left; (left = due - Date.now()) > 0; await wait(Math.min(left, 1_000), this.#hurry.signal))
          this.retryInS = Math.ceil(left / 1_000);
      } catch {
        // tryNow(), or somebody's request got through
      }
      this.retryInS = 0;
      if (this.down) await this.probe();
    }
  }
}

export const connection = new Connection();
