/* Keeps the end of the page in view while it grows, for a reader who is there; whoever has scrolled up is left alone. */
import type { Attachment } from 'svelte/attachments';

const NEAR_PX = 64;

export class Follow {
  atEnd = $state(true);

  /* For the element that grows. */
  growing: Attachment<HTMLElement> = (element) => {
    const look = () => (this.atEnd = near());
    const grown = new ResizeObserver(() => this.atEnd && toEnd());
    addEventListener('scroll', look, { passive: true });
    grown.observe(element);
    return () => {
      removeEventListener('scroll', look);
      grown.disconnect();
    };
  };

  toEnd = (): void => {
    this.atEnd = true;
    toEnd();
  };
}

function near(): boolean {
  const page = document.documentElement;
  return page.scrollHeight - innerHeight - scrollY < NEAR_PX;
}

function toEnd(): void {
  scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
}
