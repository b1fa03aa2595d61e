/* Says things to people who use a screen reader. `polite` waits its turn; `assertive` interrupts, for failures only. */
import { untrack } from 'svelte';

class Announcer {
  polite = $state('');
  assertive = $state('');
}
export const announcer = new Announcer();

/* The same text twice is no change, and no change is not read out; a trailing no-break space makes it one.
 * Untracked, so that an effect may call it. */
export function announce(text: string, how: 'polite' | 'assertive' = 'polite'): void {
  const before = untrack(() => announcer[how]);
  announcer[how] = before === text ? `${text}\u00a0` : text;
}
