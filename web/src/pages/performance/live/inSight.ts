/* Tells whether an element is in the window: `{@attach inSight((now) => (visible = now))}`. */
import type { Attachment } from 'svelte/attachments';

export function inSight(tell: (visible: boolean) => void): Attachment {
  return (element) => {
    const watcher = new IntersectionObserver(([entry]) => tell(Boolean(entry?.isIntersecting)), {
      rootMargin: '100px',
    });
    watcher.observe(element);
    return () => watcher.disconnect();
  };
}
