/* What the list of models says about each, as figures for the page. Pure. The prediction comes from the server and may
 * not be there (its reason stands beside it); nothing is guessed in its place. */
import type { Schemas } from '../../api/client';
import { bytes, reasonOf, tokensPerSecond, unknown, type Figure } from '../../api/format';
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

/* `fit`: {verdict, total_bytes, available_bytes, context}. */
export function fitOf(model: object): Fit {
  const said = (model as Record<string, unknown>)['fit'];
  const of = said && typeof said === 'object' ? (said as Record<string, unknown>) : {};
  const word = typeof of['verdict'] === 'string' ? fits[of['verdict']] : undefined;
  if (!word) return { kind: 'neutral', text: '–', reason: reasonOf(model, 'fit') || NOT_PREDICTED };
  const [total, available] = [of['total_bytes'], of['available_bytes']];
  const known = typeof total === 'number' && typeof available === 'number';
  return { ...word, reason: known ? `It needs ${bytes(total).text} of ${bytes(available).text} that are free.` : '' };
}

export function predictedOf(model: object): Figure {
  const value = (model as Record<string, unknown>)['predicted_decode_tokens_per_second'];
  return typeof value === 'number'
    ? tokensPerSecond(value)
    : unknown(reasonOf(model, 'predicted_decode_tokens_per_second') || NOT_PREDICTED);
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
