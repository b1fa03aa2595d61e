import { describe, expect, it } from 'vitest';
import { ApiError } from '../../src/api/error';
import { estimateOf } from '../../src/pages/models/estimate';
import { adapterRefusal, loadBody, noOptions, optionProblem } from '../../src/pages/models/loadOptions';
import { chosen, fitOf, parameters, predictedOf, type Model } from '../../src/pages/models/modelFigures';

const model = (name: string, more: Partial<Model> = {}): Model => ({
  name,
  source: 'builtin',
  architecture: 'llama',
  quantization: '4-bit affine',
  parameters: 1,
  size_bytes: 1,
  context: 2048,
  supported: true,
  loaded: false,
  problem: null,
  fit: null,
  predicted_decode_tokens_per_second: null,
  calibrated: false,
  ...more,
});

describe('what is predicted of a model', () => {
  it('is a dash with a reason where the server predicts nothing', () => {
    expect(fitOf(model('a'))).toMatchObject({ text: '–', kind: 'neutral' });
    expect(fitOf(model('a')).reason).not.toBe('');
    expect(fitOf({ fit: null, fit_reason: 'no files' }).reason).toBe('no files');
    expect(predictedOf(model('a')).reason).not.toBe('');
    const not = {
      predicted_decode_tokens_per_second: null,
      predicted_decode_tokens_per_second_reason: 'not calibrated',
    };
    expect(predictedOf(not).reason).toBe('not calibrated');
  });
  it('appears when it is there', () => {
    const fit = { verdict: 'fits', total_bytes: 60e6, available_bytes: 21e9, context: 2048 };
    expect(fitOf({ fit })).toMatchObject({ kind: 'good', text: 'Fits' });
    expect(fitOf({ fit }).reason).toBe('It needs 60.0\u00a0MB of 21.0\u00a0GB that are free.');
    expect(fitOf({ fit: { verdict: 'does_not_fit' } })).toMatchObject({
      kind: 'high',
      text: 'Does not fit',
      reason: '',
    });
    expect(fitOf({ fit: { verdict: 'perhaps' } }).text).toBe('–');
    expect(predictedOf({ predicted_decode_tokens_per_second: 41.2 }).text).toBe('41.2\u00a0tok/s');
  });
});

describe('the list', () => {
  const all = [model('builtin'), model('Qwen', { architecture: 'qwen3' }), model('bad', { supported: false })];
  it('is searched by every word, in name, architecture and quantization', () => {
    expect(chosen(all, '', 'all')).toHaveLength(3);
    expect(chosen(all, 'QWEN3 4-bit', 'all').map((one) => one.name)).toEqual(['Qwen']);
    expect(chosen(all, '', 'broken').map((one) => one.name)).toEqual(['bad']);
    expect(chosen(all, 'bad', 'usable')).toEqual([]);
  });
  it('counts parameters in M and B', () => {
    expect(parameters(19_931_648).text).toBe('19.9\u00a0M');
    expect(parameters(8_030_261_248).text).toBe('8.03\u00a0B');
    expect(parameters(999_900_000).text).toBe('1.00\u00a0B');
    expect(parameters(null, 'broken').reason).toBe('broken');
  });
});

describe('the options of loading', () => {
  it('sends only what was chosen', () => {
    expect(loadBody(noOptions)).toEqual({});
    expect(loadBody({ ...noOptions, adapter: 'tuned', noAdapter: true })).toEqual({ adapter: '' });
    expect(loadBody({ ...noOptions, threads: '2', kv_bits: '8', isa: 'avx2', precise: true })).toEqual({
      threads: 2,
      kv_bits: 8,
      isa: 'avx2',
      precise: true,
    });
    expect(loadBody({ ...noOptions, adapter: ' ' })).toEqual({});
    expect(loadBody({ ...noOptions, adapter: ' tuned ' })).toEqual({ adapter: 'tuned' });
  });
  it('shows what is said against an adapter as long as that one is asked for', () => {
    const refused = new ApiError('There is no adapter ‘tund’.', { status: 404, param: 'adapter' });
    expect(adapterRefusal(refused, { adapter: 'tund' }, ' tund')).toBe(refused.message);
    expect(adapterRefusal(refused, { adapter: 'tund' }, 'tuned')).toBe('');
    const other = new ApiError('It does not fit.', { status: 400, param: 'model' });
    expect(adapterRefusal(other, { adapter: 'tund' }, 'tund')).toBe(null);
    expect(adapterRefusal(new Error('lost'), {}, '')).toBe(null);
  });
  it('knows the bounds, and the model’s own context', () => {
    expect(optionProblem('context', '', 2048)).toBe('');
    expect(optionProblem('context', '2049', 2048)).toMatch(/2\u202f048/);
    expect(optionProblem('threads', '1.5')).toMatch(/whole number/);
  });
});

describe('the estimate', () => {
  it('is the parts, their sum and what is available', () => {
    const about = { total_bytes: 6e9, first_prompt_bytes: 5.5e9, available_bytes: 8e9, x: 1 };
    const answer = { memory: { weights_bytes: 5e9, kv_bytes: 1e9, ...about } };
    expect(estimateOf(answer)).toEqual({
      parts: [
        { name: 'Weights', bytes: 5e9 },
        { name: 'KV cache', bytes: 1e9 },
      ],
      totalBytes: 6e9,
      availableBytes: 8e9,
    });
  });
  it('is none where there are no parts', () => {
    for (const answer of [null, 3, {}, { memory: {} }, { memory: { total_bytes: 3 } }, { memory: 'much' }])
      expect(estimateOf(answer)).toBe(null);
  });
});
