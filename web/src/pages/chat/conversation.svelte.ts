/* One conversation as this page knows it. It lives longer than the page that shows it: an answer goes on being received
 * while the user looks at something else. The server keeps what is said; this keeps what the server does not have. */
import { get, patch, post, type Body, type Schemas } from '../../api/client';
import { ApiError, isAbort, messageOf } from '../../api/error';
import { postEvents } from '../../api/events';
import { announce } from '../../state/announce.svelte';
import { notifyError } from '../../state/notices.svelte';
import { samplingBody } from './sampling';
import { sampling } from './sampling.svelte';
import {
  afterReading,
  askedOf,
  beginTurn,
  endOf,
  messagesBeside,
  reduce,
  type End,
  type Message,
  type Turn,
} from './turn';

export type Chat = Schemas['Chat'];
type Change = Schemas['ChatFields'];

const SPOKEN = 600; // characters of an answer that are read out; the rest is on the page

class Changes {
  count = $state(0); // grows when the list of chats may have changed
}
export const changes = new Changes();

export class Conversation {
  readonly id: string;
  chat = $state.raw<Chat | null>(null);
  messages = $state.raw<readonly Message[]>([]);
  turn = $state.raw<Turn | null>(null);
  draft = $state(''); // what is being typed
  stale = $state(0); // whoever shows it reads it again when this grows
  shown = $derived(messagesBeside(this.turn, this.messages));
  busy = $derived(this.turn !== null && this.turn.phase !== 'failed');

  #now: Turn | null = null; // ahead of `turn`, which follows once a frame
  #frame = 0;
  #abort: AbortController | null = null;

  constructor(id: string) {
    this.id = id;
  }

  /* What the server told, unless an answer is on its way, which knows better. */
  adopt(chat: Chat): void {
    this.chat = chat;
    if (this.busy) return;
    this.messages = chat.messages ?? [];
    if (this.turn) this.#show(afterReading(this.turn, this.messages));
  }

  send(question: string): Promise<void> {
    return this.#run(beginTurn(question, this.messages), { content: question });
  }

  regenerate(): Promise<void> {
    return this.#run(beginTurn(null, this.messages), { regenerate: true });
  }

  /* After a failure nobody knows how far the server came, so it is asked first. */
  async retry(): Promise<void> {
    const failed = this.turn;
    if (failed?.phase !== 'failed') return;
    this.#show({ ...failed, phase: 'sending', error: null });
    try {
      const chat = await get('/api/chats/{id}', { path: { id: this.id } });
      this.#show(failed);
      this.adopt(chat);
    } catch (error) {
      this.#show({ ...failed, error: messageOf(error) });
      return;
    }
    const left = this.turn;
    if (!left) return; // the server has the answer
    await (left.asked ? this.regenerate() : this.send(left.question ?? ''));
  }

  /* The question of a failed turn goes back to where it was typed. */
  takeBack(): void {
    if (this.turn?.phase !== 'failed') return;
    if (!this.turn.asked && this.turn.question)
      this.draft = [this.turn.question, this.draft].filter(Boolean).join('\n');
    this.#show(null);
  }

  async stop(): Promise<void> {
    const turn = this.#now;
    if (!turn || turn.stopping) return;
    this.#show({ ...turn, stopping: true });
    if (turn.phase === 'sending' || turn.phase === 'waiting') {
      this.#abort?.abort(); // it has not begun
      return;
    }
    try {
      await post('/api/chats/{id}/stop', undefined, { path: { id: this.id } });
    } catch (error) {
      if (this.#now) this.#show({ ...this.#now, stopping: false });
      notifyError(error, () => void this.stop(), 'The answer was not stopped');
    }
  }

  /* true: changed. */
  async change(fields: Change, what: string): Promise<boolean> {
    try {
      const chat = await patch('/api/chats/{id}', fields, { path: { id: this.id } });
      this.chat = { ...this.chat, ...chat };
      changes.count++;
      return true;
    } catch (error) {
      notifyError(error, () => void this.change(fields, what), what);
      return false;
    }
  }

  async #run(turn: Turn, body: Partial<Schemas['ChatSend']>): Promise<void> {
    if (this.busy) return;
    const abort = (this.#abort = new AbortController());
    this.#show(turn);
    let end: End | null = null;
    try {
      const url = `/api/chats/${this.id}/messages`;
      for await (const event of postEvents(url, { ...body, ...samplingBody(sampling.text) }, abort.signal)) {
        end ??= endOf(event);
        const asked = askedOf(event);
        if (asked) this.messages = [...this.messages, asked];
        if (this.#now) this.#later(reduce(this.#now, event, performance.now()));
        if (asked) changes.count++;
      }
      if (end) this.#finish(end);
      else this.#fail('The answer was cut off before its end.');
    } catch (error) {
      if (isAbort(error)) this.#withdraw();
      else if (end) this.#finish(end);
      else this.#fail(said(error));
    }
    this.stale++;
    changes.count++;
  }

  #finish(end: End): void {
    const turn = this.#now;
    if (end.message) {
      const others = messagesBeside(turn, this.messages);
      this.messages = [...others, end.message];
      this.#show(null);
    } else if (end.error) this.#fail(end.error);
    else this.#show(null);
    if (end.error) announce(`The answer ended by an error: ${end.error}`, 'assertive');
    else if (end.message) announce(spoken(end.message));
  }

  #fail(error: string): void {
    if (this.#now) this.#show({ ...this.#now, phase: 'failed', stopping: false, error });
    announce(`No answer: ${error}`, 'assertive');
  }

  #withdraw(): void {
    const question = this.#now?.question;
    if (question && !this.#now?.asked) this.draft = [question, this.draft].filter(Boolean).join('\n');
    this.#show(null);
    announce('Stopped. Nothing was answered.');
  }

  #show(turn: Turn | null): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#now = turn;
    this.turn = turn;
  }

  #later(turn: Turn): void {
    this.#now = turn;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.turn = this.#now;
    });
  }
}

// eslint-disable-next-line svelte/prefer-svelte-reactivity -- nobody watches which there are
const known = new Map<string, Conversation>();

export function conversationOf(id: string): Conversation {
  let conversation = known.get(id);
  if (!conversation) known.set(id, (conversation = new Conversation(id)));
  return conversation;
}

export function forget(id: string): void {
  known.delete(id);
}

export async function createChat(fields: Body<'/api/chats', 'post'>): Promise<Conversation> {
  const chat = await post('/api/chats', fields);
  const conversation = conversationOf(chat.id);
  conversation.chat = chat;
  changes.count++;
  return conversation;
}

function said(error: unknown): string {
  return error instanceof ApiError && error.code === 'chat_busy'
    ? `${error.message} It may be open in another window.`
    : messageOf(error);
}

function spoken(message: Message): string {
  const text = message.content
    .replace(/[#*`_>|]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  const how = message.stopped ? 'Stopped' : 'Answer';
  return `${how}: ${text.length > SPOKEN ? `${text.slice(0, SPOKEN)}… and more` : text || 'empty'}`;
}
