import { describe, expect, it } from 'vitest';
import { depthChoices, isFine, newForm, problemsOf, readForm, requestOf } from '../../src/pages/performance/setup/form';

describe('the form', () => {
  it('asks for nothing that the server does by itself', () => {
    expect(requestOf({ ...newForm(), model: 'builtin' })).toEqual({ quick_mode: true, model_name: 'builtin' });
  });
  it('asks for what was chosen, the baseline with it, in the order of measuring', () => {
    const form = { ...newForm(), model: 'm', quick: false, chosen: ['threads', 'kv_bits'], depths: '2048' };
    expect(requestOf({ ...form, prompts: ['Hi'], maxTokens: '32' })).toEqual({
      quick_mode: false,
      model_name: 'm',
      test_prompts: ['Hi'],
      max_tokens: 32,
      knobs: { context: 2048 },
      configurations: ['baseline', 'threads', 'kv_bits'],
    });
    expect(requestOf({ ...form, chosen: [] }).configurations).toEqual([]);
  });
  it('measures another server instead of a model', () => {
    const request = requestOf({ ...newForm(), model: 'm', target: ' http://a:1/v1 ', depths: '1024' });
    expect(request).toEqual({ quick_mode: true, target: 'http://a:1/v1' });
  });
  it('finds what is wrong', () => {
    const problems = problemsOf({ ...newForm(), prompts: ['ok', ' '], maxTokens: '0', target: 'ftp://a' });
    expect(problems.prompts[0]).toBeUndefined();
    expect(problems.prompts[1]).toBeTruthy();
    expect(problems.maxTokens).toBeTruthy();
    expect(problems.target).toBeTruthy();
    expect(isFine(problems)).toBe(false);
    expect(isFine(problemsOf(newForm()))).toBe(true);
    expect(problemsOf({ ...newForm(), prompts: ['ä'.repeat(50_001)] }).prompts[0]).toBeTruthy();
  });
  it('survives a reload, and what somebody else has stored there', () => {
    const form = { ...newForm(), model: 'm', quick: false, prompts: ['a'], chosen: ['threads'] };
    expect(readForm(JSON.stringify(form))).toEqual(form);
    for (const odd of [null, '', '{', '[]', '7', '{"prompts":[1],"chosen":["x"],"quick":"no","model":{}}'])
      expect(readForm(odd).quick).toBe(true);
    expect(readForm('{"chosen":["x","threads"]}').chosen).toEqual(['threads']);
  });
});

describe('context depths', () => {
  it('offers what the model has room for', () => {
    expect(depthChoices(512).map((one) => one.value)).toEqual(['']);
    expect(depthChoices(2048).map((one) => one.value)).toEqual(['', '1024']);
    expect(depthChoices(131_072).map((one) => one.value)).toEqual(['', '1024', '2048']);
    expect(depthChoices(null)[0]?.label).toBe('All that fit: 0, 1\u202f024 and 4\u202f096 tokens');
  });
});
