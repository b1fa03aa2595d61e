/* What can be done with a whole conversation, from the list and from its head alike. */
import { del, getFile } from '../../api/client';
import { notify, notifyError } from '../../state/notices.svelte';
import { navigate, route } from '../../state/router.svelte';
import { saveFile } from '../../ui/file';
import type { MenuItem } from '../../ui/Menu.svelte';
import { changes, conversationOf, forget, type Chat } from './conversation.svelte';

class Asked {
  rename = $state.raw<Chat | null>(null);
  remove = $state.raw<Chat | null>(null);
}
export const asked = new Asked();

export function menuOf(chat: Chat): MenuItem[] {
  return [
    { label: 'Rename', icon: 'edit', run: () => (asked.rename = chat) },
    { label: 'Export as Markdown', icon: 'download', run: () => void exportChat(chat) },
    { label: 'Delete', icon: 'trash', danger: true, run: () => (asked.remove = chat) },
  ];
}

export async function exportChat(chat: Chat): Promise<void> {
  try {
    saveFile(await getFile('/api/chats/{id}/export.md', { path: { id: chat.id } }), `${chat.title.slice(0, 60)}.md`);
  } catch (error) {
    notifyError(error, () => void exportChat(chat), 'The conversation was not exported');
  }
}

export async function removeChat(chat: Chat): Promise<void> {
  try {
    const conversation = conversationOf(chat.id);
    if (conversation.busy) await conversation.stop();
    await del('/api/chats/{id}', { path: { id: chat.id } });
    forget(chat.id);
    if (route.rest[0] === chat.id) navigate('/chat', 'replace');
    changes.count++;
    notify(`“${chat.title}” is deleted.`, 'good');
  } catch (error) {
    notifyError(error, () => void removeChat(chat), 'The conversation was not deleted');
  }
}
