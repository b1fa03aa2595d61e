/* Scripts that scroll ask here; what CSS moves is told by base.css. */
const still = matchMedia('(prefers-reduced-motion: reduce)');

export function bringIntoView(element: Element | undefined, block: ScrollLogicalPosition): void {
  element?.scrollIntoView({ block, behavior: still.matches ? 'instant' : 'smooth' });
}
