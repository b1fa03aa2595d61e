/* The address is the state of the page: /chat, /chat/ID, /history?model=… Plain links work (main.ts calls
 * interceptLinks); code calls navigate(). Pages read route.rest and route.query and are not remade while only those
 * change. */
import { pageOf } from './routes';

class Route {
  path = $state(location.pathname);
  search = $state(location.search);
  #found = $derived(pageOf(this.path));
  page = $derived(this.#found.page);
  rest = $derived(this.#found.rest);
  query = $derived(new URLSearchParams(this.search));

  follow(): void {
    if (location.pathname === '/') history.replaceState(null, '', '/chat');
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const route = new Route();

export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  const same = to === location.pathname + location.search;
  if (how === 'replace' || same) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  route.follow();
}

/* Links to our pages stay in this document; files, other windows and modified clicks are the browser's. */
export function interceptLinks(): void {
  route.follow();
  addEventListener('popstate', () => route.follow());
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.hash || (link.pathname !== '/' && !pageOf(link.pathname).page.path)) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
