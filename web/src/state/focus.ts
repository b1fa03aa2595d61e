/* Whoever works by keyboard stands on an element. When that vanishes, is hidden or disabled (a row that was deleted, a
 * button that did its work, a dialog), browsers let the focus fall to the document's begin, and the next Tab starts over.
 * Here it goes to what was nearest instead. Components that know better move it themselves; this looks a frame
 * later. */
const FOCUSABLE =
  'a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex]';

const usable = (element: HTMLElement) =>
  element.checkVisibility({ visibilityProperty: true }) && !element.closest('[inert]');

const within = (box: Element) => [...box.querySelectorAll<HTMLElement>(FOCUSABLE)].filter(usable);

/* Where something was taken out, with what had the focus in it. */
interface Gap {
  before: Node | null;
  after: Node | null;
}

/* The nearest place for the focus: what stood before the gap, what stood behind it, else what is around, innermost
 * first; in the end the page's heading. */
function nearest(gap: Gap | null, around: readonly Element[]): HTMLElement | null {
  const main = document.querySelector<HTMLElement>('main');
  const modal = [...document.querySelectorAll<HTMLElement>('dialog:modal')].at(-1);
  const foreign = (one: Element) => !one.isConnected || one.contains(main) || (modal && !modal.contains(one));
  const places = (one: Node | null) => {
    if (!(one instanceof HTMLElement) || foreign(one)) return [];
    return one.matches(FOCUSABLE) && usable(one) ? [one, ...within(one)] : within(one);
  };
  for (let one = gap?.before ?? null; one; one = one.previousSibling) {
    const last = places(one).at(-1);
    if (last) return last;
  }
  for (let one = gap?.after ?? null; one; one = one.nextSibling) {
    const [first] = places(one);
    if (first) return first;
  }
  for (const one of around) {
    if (one === main || one.contains(main)) break;
    const [first] = foreign(one) ? [] : within(one);
    if (first) return first;
  }
  const page = modal ?? main;
  return page?.querySelector<HTMLElement>(modal ? 'h2' : 'h1') ?? page;
}

/* For the life of the page. */
export function keepFocus(): void {
  let last: HTMLElement | null = null;
  let around: Element[] = []; // its ancestors, as they were: it may lose them
  let gap: Gap | null = null;
  let paused = false; // it was disabled, perhaps only for as long as its work took
  let looking = false;

  function look() {
    looking = false;
    if (!last || document.activeElement !== document.body || !document.hasFocus()) return;
    if (!last.isConnected || last.matches(':disabled') || !usable(last))
      nearest(gap, around)?.focus({ preventScroll: true });
    else if (paused) last.focus({ preventScroll: true });
  }

  addEventListener('focusin', ({ target }) => {
    if (!(target instanceof HTMLElement)) return;
    [last, around, gap, paused] = [target, [], null, false];
    for (let up = target.parentElement; up; up = up.parentElement) around.push(up);
  });
  /* Pressing beside everything is a wish to stand nowhere. */
  addEventListener('pointerdown', ({ target }) => {
    if (target instanceof Node && !last?.contains(target)) last = null;
  });
  new MutationObserver((records) => {
    for (const { removedNodes, previousSibling, nextSibling } of records)
      if (last && [...removedNodes].some((node) => node.contains(last)))
        gap = { before: previousSibling, after: nextSibling };
    if (last?.matches(':disabled')) paused = true;
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
