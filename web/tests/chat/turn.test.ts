import { describe, expect, it } from 'vitest';
import {
  afterReading,
  askedOf,
  beginTurn,
  endOf,
  messagesBeside,
  reduce,
  type Message,
} from '../../src/pages/chat/turn';

const event = (name: string, data: unknown) => ({ event: name, data: JSON.stringify(data), id: '' });
const message = (role: Message['role'], content: string, at = '2026-01-01T00:00:00Z'): Message => ({
  role,
  content,
  index: 0,
  created_at: at,
  saved: true,
  saved_reason: null,
});
const asked = message('user', 'Why?');
const answer = message('assistant', 'Because.');

describe('a turn', () => {
  it('goes from sending over reading to writing', () => {
    let turn = beginTurn('Why?', []);
    expect(turn.phase).toBe('sending');
    turn = reduce(turn, event('message', { message: asked }), 0);
    expect([turn.phase, turn.asked]).toEqual(['reading', true]);
    turn = reduce(turn, event('progress', { state: 'reading_prompt', prompt_done: 100, prompt_tokens: 500 }), 1000);
    expect(turn.reading).toMatchObject({ done: 100, total: 500, etaS: null });
    turn = reduce(turn, event('progress', { state: 'reading_prompt', prompt_done: 200, prompt_tokens: 500 }), 2000);
    expect(turn.reading?.etaS).toBeCloseTo(3);
    turn = reduce(turn, event('delta', { reasoning: 'Hm' }), 0);
    turn = reduce(turn, event('delta', { content: 'Be' }), 0);
    turn = reduce(turn, event('delta', { content: 'cause' }), 0);
    expect([turn.phase, turn.reasoning, turn.content]).toEqual(['writing', 'Hm', 'Because']);
  });

  it('tells how long it has waited for a profiling run', () => {
    const turn = reduce(beginTurn('x', []), event('progress', { state: 'waiting_for_profile', waited_s: 4.5 }), 0);
    expect([turn.phase, turn.waitedS]).toEqual(['waiting', 4.5]);
  });

  it('is not changed by what it does not understand', () => {
    const turn = beginTurn('x', []);
    expect(reduce(turn, event('progress', { state: 'dreaming' }), 0)).toBe(turn);
    expect(reduce(turn, event('news', {}), 0)).toBe(turn);
    expect(reduce(turn, { event: 'delta', data: '{broken', id: '' }, 0).content).toBe('');
    expect(
      reduce(turn, event('progress', { state: 'reading_prompt', prompt_done: 0, prompt_tokens: 0 }), 0).reading,
    ).toBe(null);
  });

  it('ends by done, or by an error with what was kept', () => {
    expect(endOf(event('delta', { content: 'x' }))).toBe(null);
    expect(endOf(event('done', { message: answer }))).toEqual({ message: answer, error: null });
    expect(endOf(event('error', { message: answer, error: { message: 'It died.' } }))).toEqual({
      message: answer,
      error: 'It died.',
    });
    expect(endOf(event('error', { message: null }))?.error).toMatch(/error/);
    expect(askedOf(event('message', { message: asked }))).toEqual(asked);
    expect(askedOf(event('message', { message: 3 }))).toBe(null);
  });
});

describe('what is left of a failed turn', () => {
  const failed = { ...beginTurn('Why?', []), phase: 'failed' as const, content: 'Bec' };
  it('all of it, when the question never came', () => {
    expect(afterReading({ ...failed, asked: true }, [])?.asked).toBe(false);
  });
  it('its beginning, when the question is saved and the answer is not', () => {
    expect(afterReading(failed, [asked])).toMatchObject({ asked: true, content: 'Bec' });
  });
  it('nothing, when the server has an answer or somebody went on', () => {
    expect(afterReading(failed, [asked, answer])).toBe(null);
    expect(afterReading(failed, [message('user', 'Other')])).toBe(null);
  });
  it('of an answer that was to be replaced: it, until another one stands there', () => {
    const again = { ...beginTurn(null, [asked, answer]), phase: 'failed' as const };
    expect(afterReading(again, [asked, answer])).toBe(again);
    expect(afterReading(again, [asked, message('assistant', 'New', '2026-01-02T00:00:00Z')])).toBe(null);
  });
});

describe('an answer that is being replaced', () => {
  it('gives way while the new one is written', () => {
    const again = beginTurn(null, [asked, answer]);
    expect(messagesBeside(again, [asked, answer])).toEqual([asked]);
    expect(messagesBeside({ ...again, phase: 'failed' }, [asked, answer])).toEqual([asked, answer]);
    expect(messagesBeside({ ...again, phase: 'failed', content: 'x' }, [asked, answer])).toEqual([asked]);
    expect(messagesBeside(null, [asked, answer])).toEqual([asked, answer]);
    expect(messagesBeside(beginTurn('More', [asked, answer]), [asked, answer])).toHaveLength(2);
  });
});
