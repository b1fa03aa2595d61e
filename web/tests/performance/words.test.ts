import { describe, expect, it } from 'vitest';
import { messageWords, outcomeWords, sampleWords, stepWords } from '../../src/pages/performance/run/words';

describe('what a run does now', () => {
  it.each([
    ['loading', 'builtin', 'Loading builtin'],
    ['loading', 'calibration', 'Loading the model'],
    ['ceilings', 'what this machine can do at most', 'Finding out what this machine can do at most'],
    ['tests', 'simple, warm-up', 'The simple prompt: warming up, not counted'],
    ['tests', 'prompt_2, run 1 of 3', 'Your prompt 2: run 1 of 3'],
    ['tests', 'prefill 512, run 1 of 2', 'Reading a prompt of 512 tokens: run 1 of 2'],
    ['tests', 'decode 128 @ 0, run 2 of 2', 'Writing 128 tokens, at the beginning of a conversation: run 2 of 2'],
    [
      'tests',
      'decode 128 @ 1024, run 2 of 2',
      'Writing 128 tokens, 1\u202f024 already in the conversation: run 2 of 2',
    ],
    ['configurations', 'threads=1, block 1 of 2', 'Configuration “1 thread”: block 1 of 2'],
    ['configurations', 'short_response, warm-up', 'Configuration “short answers”: warming up, not counted'],
    ['proof', 'threads=1, block 1 of 5', 'Configuration “1 thread”: block 1 of 5'],
    ['tests', 'decode 1 @ 0, run 1 of 2', 'Writing 1 token, at the beginning of a conversation: run 1 of 2'],
    ['models', 'a, b, block 1 of 2', 'a, b: block 1 of 2'],
    ['analysis', null, 'Drawing conclusions'],
    ['something new', null, 'Preparing'],
    ['tests', 'something new', 'something new'],
  ])('%s, %s', (phase, step, words) => expect(stepWords(phase, step)).toBe(words));

  it('names samples', () => {
    expect(sampleWords('kv_bits=8')).toBe('KV cache of 8 bits');
    expect(sampleWords('long_response')).toBe('long answers');
    expect(sampleWords('decode_64_at_4096')).toBe('Writing 64 tokens, 4\u202f096 already in the conversation');
    expect(sampleWords('mlx-community/X')).toBe('mlx-community/X');
  });
});

describe('how a run ended', () => {
  const room =
    'the run needs 900 MiB of memory, and 100 MiB are available beside the loaded model ' +
    `'a'; without it there would be 1000 MiB`;
  it('offers to unload only where that helps', () => {
    const helps = `${room}: "unload_current": true unloads it and loads it again afterwards`;
    expect(outcomeWords('failed', helps, 'profile').unload).toBe(true);
    expect(outcomeWords('failed', room, 'profile').unload).toBe(false);
    expect(outcomeWords('failed', room, 'profile').title).toMatch(/does not fit/);
    expect(messageWords('failed', helps)).toBe(`${room.replace('the run', 'The run')}.`);
  });
  it('says each kind', () => {
    expect(outcomeWords('cancelled', null, 'compare').title).toBe('The comparison was cancelled');
    expect(outcomeWords('interrupted', null, 'profile').title).toMatch(/interrupted/);
    expect(outcomeWords('failed', 'weights are missing', 'profile').title).toBe('The run failed');
    expect(messageWords('cancelled', 'cancelled')).toBe('');
  });
});
