/* What the list of models says about each, as figures for the page. Pure. The prediction (fit, predicted) comes from the
 * server and may not be there; nothing is guessed in its place. */
import type { Schemas } from '../../api/client';
import { reasonOf, tokensPerSecond, unknown, type Figure } from '../../api/format';
import type { BadgeKind } from '../../ui/Badge.svelte';

export type Model = Schemas['ModelList']['models'][number];

export interface Fit {
  kind: BadgeKind;
  text: string;
  reason: string; // why it is not known, or why it does not fit; may be ""
}

const NOT_PREDICTED = 'this server predicts nothing for this model';

const fits: Record<string, { kind: BadgeKind; text: string }> = {
  fits: { kind: 'good', text: 'Fits' },
  tight: { kind: 'medium', text: 'Tight' },
  does_not_fit: { kind: 'high', text: 'Does not fit' },
};

export function fitOf(model: object): Fit {
  const said = (model as Record<string, unknown>)['fit'];
  const reason = reasonOf(model, 'fit') ?? '';
  const word = typeof said === 'string' ? fits[said.replace(/[ -]/g, '_')] : undefined;
  return word ? { ...word, reason } : { kind: 'neutral', text: '–', reason: reason || NOT_PREDICTED };
}

/* `predicted`: tokens_per_second (or decode_tokens_per_second), perhaps with low and high. */
export function predictedOf(model: object): { figure: Figure; range: string } {
  const said = (model as Record<string, unknown>)['predicted'];
  const reason = reasonOf(model, 'predicted') ?? NOT_PREDICTED;
  if (!said || typeof said !== 'object') return { figure: unknown(reason), range: '' };
  const of = said as Record<string, unknown>;
  const value = of['decode_tokens_per_second'] ?? of['tokens_per_second'];
  if (typeof value !== 'number')
    return { figure: unknown(reasonOf(said, 'decode_tokens_per_second') ?? reason), range: '' };
  const [low, high] = [of['low'], of['high']];
  const both = typeof low === 'number' && typeof high === 'number';
  return {
    figure: tokensPerSecond(value),
    range: both ? `${tokensPerSecond(low).value} to ${tokensPerSecond(high).text}` : '',
  };
}

/* 19 931 648 is "19.9 M". */
export function parameters(count: number | null, reason?: string | null): Figure {
  if (count === null) return unknown(reason);
  const [size, unit] =
    count >= 999.5e6 ? [count / 1e9, 'B'] : count >= 999.5e3 ? [count / 1e6, 'M'] : [count / 1e3, 'K'];
  const value = size >= 100 ? size.toFixed(0) : size.toPrecision(3);
  return { value, unit, text: `${value}\u00a0${unit}`, reason: '' };
}

const sources: Record<Model['source'], string> = {
  builtin: 'comes with LLMind',
  data: 'in the data folder',
  path: 'in a folder of models',
  hub: 'in the hub’s cache',
  'command line': 'named at the start',
};

export function sourceOf(model: Model): string {
  return sources[model.source] ?? String(model.source);
}

export type Which = 'all' | 'usable' | 'broken';

export function chosen(models: readonly Model[], search: string, which: Which): Model[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return models.filter((model) => {
    if (which === 'usable' && !model.supported) return false;
    if (which === 'broken' && model.supported) return false;
    const text = [model.name, model.architecture, model.quantization, model.source].join(' ').toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
