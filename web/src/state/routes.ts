/* The pages, in the order of the sidebar. Each is a chunk of its own, loaded when it is first opened. */
import type { Component } from 'svelte';
import type { IconName } from '../icons/icons';

export interface Page {
  path: string;
  name: string;
  icon: IconName | null; // null: not in the sidebar
  load: () => Promise<{ default: Component }>;
}

export const pages: Page[] = [
  { path: '/chat', name: 'Chat', icon: 'chat', load: () => import('../pages/chat/ChatPage.svelte') },
  { path: '/models', name: 'Models', icon: 'models', load: () => import('../pages/models/ModelsPage.svelte') },
  {
    path: '/performance',
    name: 'Performance',
    icon: 'performance',
    load: () => import('../pages/performance/PerformancePage.svelte'),
  },
  { path: '/history', name: 'History', icon: 'history', load: () => import('../pages/history/HistoryPage.svelte') },
  {
    path: '/settings',
    name: 'Settings',
    icon: 'settings',
    load: () => import('../pages/settings/SettingsPage.svelte'),
  },
];

if (import.meta.env.DEV)
  pages.push({ path: '/kit', name: 'Kit', icon: null, load: () => import('../kit/KitPage.svelte') });

export const unknownPage: Page = {
  path: '',
  name: 'Not found',
  icon: null,
  load: () => import('../pages/NotFoundPage.svelte'),
};

/* "/history/7" is the page "/history" with the rest ["7"]. */
export function pageOf(path: string): { page: Page; rest: string[] } {
  const [first = '', ...rest] = path.split('/').filter(Boolean);
  const page = pages.find((one) => one.path === `/${first}`) ?? unknownPage;
  return { page, rest: rest.map(decoded) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray per cent sign
  }
}
