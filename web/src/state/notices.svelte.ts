/* Short messages at the edge of the page. A failure stays until it is dismissed; good news leaves by itself. */
import { untrack } from 'svelte';
import { isAbort, messageOf } from '../api/error';
import { announce } from './announce.svelte';

export type NoticeKind = 'good' | 'info' | 'warning' | 'error';

export interface Notice {
  id: number;
  kind: NoticeKind;
  text: string;
  action?: { label: string; run: () => void };
}

class Notices {
  all = $state.raw<readonly Notice[]>([]);
  #next = 1;

  add(kind: NoticeKind, text: string, action?: Notice['action']): number {
    const id = this.#next++;
    const others = untrack(() => this.all).filter((notice) => notice.text !== text); // the same failure twice is shown once
    this.all = [...others, { id, kind, text, action }].slice(-5);
    announce(text, kind === 'error' ? 'assertive' : 'polite');
    return id;
  }

  dismiss(id: number): void {
    this.all = untrack(() => this.all).filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();

export function notify(text: string, kind: NoticeKind = 'info', action?: Notice['action']): number {
  return notices.add(kind, text, action);
}

/* For the catch of every action: says what failed and offers to try again. An abort is no failure. */
export function notifyError(error: unknown, retry?: () => void, what = ''): void {
  if (isAbort(error)) return;
  const text = what ? `${what}: ${messageOf(error)}` : messageOf(error);
  notices.add('error', text, retry && { label: 'Retry', run: retry });
}
