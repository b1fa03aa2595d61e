/* The API key, where the server wants one: kept for this tab only, asked for when the server answers 401. */
import { connection } from './connection.svelte';

const PLACE = 'llmind.key';

class KeyQuestion {
  asked = $state(false);
  reason = $state('');
}
export const keyQuestion = new KeyQuestion();

let waiting: { promise: Promise<boolean>; resolve: (given: boolean) => void } | null = null;

export function apiKey(): string | null {
  return sessionStorage.getItem(PLACE);
}

/* Opens the dialog, once for all requests that need it. false: the user will not tell. */
export function askForKey(reason: string): Promise<boolean> {
  if (waiting) return waiting.promise;
  let resolve: (given: boolean) => void = () => {};
  const promise = new Promise<boolean>((settle) => (resolve = settle));
  waiting = { promise, resolve };
  keyQuestion.reason = reason;
  keyQuestion.asked = true;
  return promise;
}

export function answerKey(key: string | null): void {
  if (key) sessionStorage.setItem(PLACE, key);
  keyQuestion.asked = false;
  waiting?.resolve(key !== null);
  waiting = null;
  if (key) connection.readAnew();
}

export function forgetKey(): void {
  sessionStorage.removeItem(PLACE);
}
