/* A tooltip for anything that can be focused: `<button {@attach tooltip('What it means')}>`. Shown on hover, on keyboard
 * focus and on touch; Esc, leaving, or a touch elsewhere hides it; the pointer may move onto it (WCAG 1.4.13). It lives
 * in the top layer, so no panel cuts it off. Where the text only repeats the control's name, pass `describes: false`. */
import type { Attachment } from 'svelte/attachments';

const DELAY_MS = 250;
const GAP_PX = 8;
let lastId = 0;

export function tooltip(text: string, { describes = true }: { describes?: boolean } = {}): Attachment<HTMLElement> {
  return (anchor) => {
    const tip = document.createElement('div');
    tip.className = 'tooltip';
    tip.role = 'tooltip';
    tip.id = `tooltip-${++lastId}`;
    tip.popover = 'manual';
    tip.textContent = text;
    anchor.after(tip); // beside it, so that it is in a dialog when its anchor is
    if (describes) anchor.setAttribute('aria-describedby', tip.id);
    else tip.ariaHidden = 'true';

    const abort = new AbortController();
    const on = (target: EventTarget, type: string, handle: (event: Event) => void) =>
      target.addEventListener(type, handle, { signal: abort.signal });
    let timer: ReturnType<typeof setTimeout> | undefined;

    const show = () => {
      clearTimeout(timer);
      if (!tip.isConnected || tip.matches(':popover-open')) return;
      tip.showPopover();
      place(tip, anchor);
    };
    const hide = () => {
      clearTimeout(timer);
      if (tip.matches(':popover-open')) tip.hidePopover();
    };
    const later = (what: () => void) => {
      clearTimeout(timer);
      timer = setTimeout(what, DELAY_MS);
    };
    const byMouse = (what: () => void) => (event: Event) => {
      if ((event as PointerEvent).pointerType === 'mouse') what();
    };

    const enter = byMouse(() => later(show));
    const leave = byMouse(() => later(hide));
    for (const one of [anchor, tip]) {
      on(one, 'pointerenter', enter);
      on(one, 'pointerleave', leave);
    }
    on(anchor, 'focus', () => anchor.matches(':focus-visible') && show());
    on(anchor, 'blur', hide);
    on(anchor, 'click', (event) => {
      if ((event as PointerEvent).pointerType !== 'mouse') show();
      else if (describes) show();
      else hide();
    });
    on(document, 'pointerdown', (event) => {
      if (event.target instanceof Node && !anchor.contains(event.target) && !tip.contains(event.target)) hide();
    });
    on(document, 'keydown', (event) => {
      if ((event as KeyboardEvent).key !== 'Escape' || !tip.matches(':popover-open')) return;
      event.preventDefault(); // a dialog around it stays
      hide();
    });
    // Focus may scroll the page, and must not hide by that what it has just shown.
    window.addEventListener('scroll', () => tip.matches(':popover-open') && place(tip, anchor), {
      capture: true,
      passive: true,
      signal: abort.signal,
    });

    return () => {
      clearTimeout(timer);
      abort.abort();
      tip.remove();
      if (describes) anchor.removeAttribute('aria-describedby');
    };
  };
}

/* Above the anchor, or below where there is no room; never over the edge of the window. Also for menus. */
export function place(floating: HTMLElement, anchor: HTMLElement, side: 'above' | 'below' = 'above'): void {
  const at = anchor.getBoundingClientRect();
  const own = floating.getBoundingClientRect();
  const above = at.top - own.height - GAP_PX;
  const below = at.bottom + GAP_PX;
  const fitsBelow = below + own.height <= innerHeight;
  const top = side === 'above' ? (above >= 0 ? above : below) : fitsBelow || above < 0 ? below : above;
  const left = side === 'above' ? at.left + (at.width - own.width) / 2 : at.right - own.width;
  floating.style.top = `${top}px`;
  floating.style.left = `${Math.max(GAP_PX, Math.min(left, document.documentElement.clientWidth - own.width - GAP_PX))}px`;
}
