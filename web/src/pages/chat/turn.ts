/* One question and the answer that is being written, as the events of POST /api/chats/{id}/messages tell it. Pure. */
import type { Schemas } from '../../api/client';
import { sentence } from '../../api/error';
import type { SseEvent } from '../../api/sse';

export type Message = Schemas['ChatMessage'];

export interface Reading {
  done: number; // prompt tokens
  total: number;
  etaS: number | null; // null: not yet known
  firstDone: number;
  firstMs: number;
}

export interface Turn {
  phase: 'sending' | 'waiting' | 'reading' | 'writing' | 'failed';
  question: string | null; // null: the last question is answered again
  before: number; // messages there were when it began
  replaces: string | null; // when the answer that it replaces was written
  asked: boolean; // the question is saved, and is among the messages
  content: string;
  reasoning: string;
  waitedS: number; // for a profiling run
  reading: Reading | null;
  stopping: boolean;
  error: string | null;
}

export interface End {
  message: Message | null; // null: no answer was kept
  error: string | null;
}

type Json = Record<string, unknown>;

export function beginTurn(question: string | null, messages: readonly Message[]): Turn {
  const last = messages.at(-1);
  const replaces = question === null && last?.role === 'assistant' ? (last.created_at ?? '') : null;
  return {
    phase: 'sending',
    question,
    before: messages.length,
    replaces,
    asked: question === null,
    content: '',
    reasoning: '',
    waitedS: 0,
    reading: null,
    stopping: false,
    error: null,
  };
}

/* What an event that is not the last makes of it. What is not understood changes nothing. */
export function reduce(turn: Turn, event: SseEvent, nowMs: number): Turn {
  const said = objectOf(event.data);
  if (event.event === 'message') return { ...turn, phase: 'reading', asked: true };
  if (event.event === 'delta')
    return {
      ...turn,
      phase: 'writing',
      content: turn.content + textOf(said, 'content'),
      reasoning: turn.reasoning + textOf(said, 'reasoning'),
    };
  if (event.event !== 'progress') return turn;
  if (said['state'] === 'waiting_for_profile')
    return { ...turn, phase: 'waiting', waitedS: numberOf(said, 'waited_s') ?? turn.waitedS };
  if (said['state'] !== 'reading_prompt') return turn;
  return { ...turn, phase: 'reading', reading: readOn(turn.reading, said, nowMs) };
}

function readOn(before: Reading | null, said: Json, nowMs: number): Reading | null {
  const done = numberOf(said, 'prompt_done');
  const total = numberOf(said, 'prompt_tokens');
  if (done === null || total === null || total <= 0) return before;
  const firstDone = before?.firstDone ?? done;
  const firstMs = before?.firstMs ?? nowMs;
  const read = done - firstDone;
  return {
    done,
    total,
    firstDone,
    firstMs,
    etaS: read > 0 ? ((nowMs - firstMs) * (total - done)) / read / 1000 : null,
  };
}

/* The question as it was saved, out of its event. */
export function askedOf(event: SseEvent): Message | null {
  return event.event === 'message' ? messageOf(objectOf(event.data)['message']) : null;
}

/* null: the event is not the last. */
export function endOf(event: SseEvent): End | null {
  if (event.event !== 'done' && event.event !== 'error') return null;
  const said = objectOf(event.data);
  const problem = said['error'];
  const error = problem && typeof problem === 'object' ? textOf(problem as Json, 'message') : '';
  return {
    message: messageOf(said['message']),
    error: event.event === 'error' ? sentence(error || 'The answer ended with an error that has no name') : null,
  };
}

/* What is left of a failed turn, once the server has told what it kept: nothing if it has an answer. */
export function afterReading(turn: Turn, messages: readonly Message[]): Turn | null {
  const last = messages.at(-1);
  if (turn.question === null) {
    const other = last?.role === 'assistant' && (last.created_at ?? '') !== turn.replaces;
    return other ? null : turn;
  }
  if (messages.length <= turn.before) return { ...turn, asked: false };
  const question = last?.role === 'user' ? last : messages.at(-2);
  if (question?.content !== turn.question) return null; // somebody else went on with this chat
  return last?.role === 'user' ? { ...turn, asked: true } : null;
}

/* The messages to show beside it: an answer that is being replaced gives way. */
export function messagesBeside(turn: Turn | null, messages: readonly Message[]): readonly Message[] {
  if (!turn || turn.replaces === null || messages.at(-1)?.role !== 'assistant') return messages;
  const nothingCame = turn.phase === 'failed' && !turn.content && !turn.reasoning;
  return nothingCame ? messages : messages.slice(0, -1);
}

function objectOf(data: string): Json {
  try {
    const value: unknown = JSON.parse(data);
    return value && typeof value === 'object' ? (value as Json) : {};
  } catch {
    return {};
  }
}

function textOf(from: Json, name: string): string {
  const value = from[name];
  return typeof value === 'string' ? value : '';
}

function numberOf(from: Json, name: string): number | null {
  const value = from[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function messageOf(value: unknown): Message | null {
  if (!value || typeof value !== 'object') return null;
  const message = value as Partial<Message>;
  return typeof message.content === 'string' && typeof message.role === 'string' ? (message as Message) : null;
}
