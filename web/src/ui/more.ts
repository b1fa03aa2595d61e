/* An attachment for what scrolls sideways: [data-more] while there is something beyond its right edge, which a finger or
 * an eye would not look for otherwise. */
import type { Attachment } from 'svelte/attachments';

export const more: Attachment<HTMLElement> = (element) => {
  const look = () => {
    const rest = element.scrollWidth - element.clientWidth - Math.abs(element.scrollLeft);
    element.toggleAttribute('data-more', rest > 2);
  };
  const watcher = new ResizeObserver(look);
  watcher.observe(element);
  for (const child of element.children) watcher.observe(child);
  element.addEventListener('scroll', look, { passive: true });
  return () => {
    watcher.disconnect();
    element.removeEventListener('scroll', look);
  };
};
