/* Whoever works by keyboard stands on an element. When that vanishes, is hidden or disabled (a row that was deleted, a
 * button that did its work, a dialog), browsers let the focus fall to the document's begin, and the next Tab starts over.
 * Here it goes to what was nearest instead. Components that know better move it themselves; this looks a frame
 * later. */
const FOCUSABLE =
  'a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex]';

const usable = (element: HTMLElement) =>
  element.checkVisibility({ visibilityProperty: true }) && !element.closest('[inert]');

/* The nearest place for the focus, from what was around the lost element, innermost first. */
function nearest(around: readonly Element[]): HTMLElement | null {
  const main = document.querySelector<HTMLElement>('main');
  const modal = [...document.querySelectorAll<HTMLElement>('dialog:modal')].at(-1);
  for (const one of around) {
    if (one === main || one.contains(main)) break;
    if (!one.isConnected || (modal && !modal.contains(one))) continue;
    const found = [...one.querySelectorAll<HTMLElement>(FOCUSABLE)].find(usable);
    if (found) return found;
  }
  const page = modal ?? main;
  return page?.querySelector<HTMLElement>(modal ? 'h2' : 'h1') ?? page;
}

/* For the life of the page. */
export function keepFocus(): void {
  let last: HTMLElement | null = null;
  let around: Element[] = []; // its ancestors, as they were: it may lose them
  let looking = false;

  function look() {
    looking = false;
    if (!last || document.activeElement !== document.body) return;
    if (last.isConnected && !last.matches(':disabled') && usable(last)) return;
    nearest(around)?.focus({ preventScroll: true });
  }

  addEventListener('focusin', ({ target }) => {
    if (!(target instanceof HTMLElement)) return;
    [last, around] = [target, []];
    for (let up = target.parentElement; up; up = up.parentElement) around.push(up);
  });
  /* Pressing beside everything is a wish to stand nowhere. */
  addEventListener('pointerdown', ({ target }) => {
    if (target instanceof Node && !last?.contains(target)) last = null;
  });
  new MutationObserver(() => {
    if (looking || !last) return;
    looking = true;
    // what was removed loses the focus at once, what was disabled or hidden when the next frame has been drawn
    requestAnimationFrame(() => setTimeout(look));
  }).observe(document.documentElement, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ['disabled', 'hidden', 'inert', 'open'],
  });
}
