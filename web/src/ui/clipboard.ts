/* Copying, with a word about how it went. */
import { notify } from '../state/notices.svelte';
import { announce } from '../state/announce.svelte';

export async function copyText(text: string, what: string): Promise<boolean> {
  const done = await write(text);
  if (done) announce(`${what} copied`);
  else notify(`${what} could not be copied: the browser does not allow it here. Select it and copy by hand.`, 'error');
  return done;
}

/* The clipboard proper exists on https and on localhost only; a server in the home network has neither. */
async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    const host = document.querySelector('dialog[open]') ?? document.body; // elsewhere nothing can be selected
    const focused = document.activeElement;
    host.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
  }
}
