import { expect, it } from 'vitest';
import { fitting, modelOptions, usualModel } from '../../src/pages/performance/setup/models';
import type { Model } from '../../src/pages/performance/setup/form';

const model = (name: string, more: Partial<Model> = {}): Model => ({
  name,
  source: 'data',
  architecture: 'llama',
  quantization: '4-bit',
  parameters: 1,
  size_bytes: 1e9,
  context: 2048,
  supported: true,
  loaded: false,
  problem: null,
  fit: null,
  predicted_decode_tokens_per_second: null,
  calibrated: false,
  ...more,
});
const models = [model('a'), model('broken', { supported: false, problem: 'no weights' }), model('b', { loaded: true })];

it('marks the broken ones, behind the others', () => {
  expect(modelOptions(models).map((one) => [one.value, one.disabled])).toEqual([
    ['a', false],
    ['b', false],
    ['broken', true],
  ]);
});

it('takes the wanted model, else the loaded one, else the first', () => {
  expect(usualModel(models, 'a')).toBe('a');
  expect(usualModel(models, 'broken')).toBe('b');
  expect(usualModel([model('a')], 'gone')).toBe('a');
  expect(usualModel([], '')).toBe('');
});

it('compares what works and fits', () => {
  expect(fitting(models, 2e9)).toEqual(['a', 'b']);
  expect(fitting([model('a'), model('large', { size_bytes: 1.9e9 })], 2e9)).toEqual(['a']);
  expect(fitting(models, null)).toEqual(['a', 'b']);
});
