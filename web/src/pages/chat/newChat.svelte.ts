/* The conversation that has not begun: it becomes one with its first question. */
import { notifyError } from '../../state/notices.svelte';
import { navigate } from '../../state/router.svelte';
import { createChat } from './conversation.svelte';

class NewChat {
  draft = $state('');
  model = $state<string | null>(null); // null: whatever is loaded
  system = $state<string | null | undefined>(); // undefined: as the settings say
  beginning = $state(false);

  async begin(question: string): Promise<void> {
    if (this.beginning) return;
    this.beginning = true;
    try {
      const fields = this.system === undefined ? {} : { system: this.system };
      const conversation = await createChat({ ...fields, ...(this.model ? { model: this.model } : {}) });
      [this.draft, this.system] = ['', undefined];
      void conversation.send(question);
      navigate(`/chat/${conversation.id}`);
    } catch (error) {
      this.draft ||= question;
      notifyError(error, () => void this.begin(question), 'The conversation could not begin');
    } finally {
      this.beginning = false;
    }
  }
}

export const newChat = new NewChat();
