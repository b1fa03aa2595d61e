import { describe, expect, it } from 'vitest';
import { noSampling, problemOf, samplingBody, samplingFields } from '../../src/pages/chat/sampling';
import { quietLine } from '../../src/pages/chat/timings';

describe('the quiet line', () => {
  it('says four figures with their units', () => {
    const line = quietLine({
      generated_tokens: 128,
      decode_tokens_per_second: 41.23,
      ttft_ms: 95.4,
      cached_tokens: 512,
    });
    expect(line.replaceAll('\u00a0', ' ')).toBe('128 tokens · 41.2 tok/s · TTFT 95.4 ms · cached 512');
  });
  it('leaves out what is not known', () => {
    expect(quietLine({ generated_tokens: 1, decode_tokens_per_second: null }).replaceAll('\u00a0', ' ')).toBe(
      '1 token',
    );
    expect(quietLine(null)).toBe('');
    expect(quietLine({ ttft_ms: 'x' })).toBe('');
  });
});

describe('sampling', () => {
  it('sends what is filled in and right', () => {
    expect(samplingBody(noSampling)).toEqual({});
    expect(samplingBody({ temperature: '0', top_p: ' 0.5 ', max_tokens: '1.5', seed: '-1' })).toEqual({
      temperature: 0,
      top_p: 0.5,
    });
  });
  it('says what is wrong', () => {
    const [temperature, , longest] = samplingFields;
    if (!temperature || !longest) throw new Error('fields');
    expect(problemOf(temperature, '')).toBe('');
    expect(problemOf(temperature, '2.1')).toMatch(/from 0 to 2/);
    expect(problemOf(longest, '2.5')).toMatch(/whole number/);
  });
});
