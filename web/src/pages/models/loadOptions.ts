/* What may be chosen when a model is loaded. Empty means: as at the start of the server. Pure. */
import type { Schemas } from '../../api/client';
import { ApiError } from '../../api/error';

type Numbers = 'threads' | 'context' | 'max_sequences' | 'prefill_chunk' | 'prompt_lookup';
export type LoadText = Record<Numbers | 'kv_bits' | 'isa' | 'backend' | 'adapter', string> & {
  precise: boolean;
  noAdapter: boolean; // not even the one that the server was started with
};
export type LoadBody = NonNullable<Schemas['ModelLoad']['options']>;

export const noOptions: LoadText = {
  threads: '',
  context: '',
  max_sequences: '',
  prefill_chunk: '',
  prompt_lookup: '',
  kv_bits: '',
  isa: '',
  backend: '',
  adapter: '',
  precise: false,
  noAdapter: false,
};

interface NumberField {
  key: Numbers;
  min?: number; // 1
  label: string;
  max: number;
  rare: boolean;
  fallback: string;
  definition: string;
}

export const numberFields: readonly NumberField[] = [
  {
    key: 'context',
    label: 'Context, tokens',
    max: 1 << 24,
    rare: false,
    fallback: 'The model’s own, at most 8192',
    definition: 'How many tokens one conversation may have, questions and answers together. More need more memory.',
  },
  {
    key: 'threads',
    label: 'Threads',
    max: 1024,
    rare: false,
    fallback: 'All cores that may be used',
    definition: 'Processor cores that work on an answer. More than there are real cores seldom help.',
  },
  {
    key: 'max_sequences',
    label: 'Answers at the same time',
    max: 1024,
    rare: false,
    fallback: '32',
    definition: 'So many answers are written at once; further questions wait.',
  },
  {
    key: 'prefill_chunk',
    label: 'Tokens of the prompt read at once',
    max: 65_536,
    rare: true,
    fallback: '512',
    definition: 'A long prompt is read in pieces of so many tokens, so that other answers go on between them.',
  },
  {
    key: 'prompt_lookup',
    label: 'Tokens guessed at once',
    min: 0,
    max: 15,
    rare: true,
    fallback: '0, none',
    definition:
      'The next words are guessed from what was written before, and several are checked in one step. The answer stays the same; it comes sooner where much is repeated, as in code that is changed.',
  },
];

/* "": fine. `contextMax`: what the model was made for. */
export function optionProblem(key: NumberField['key'], text: string, contextMax: number | null = null): string {
  if (!text.trim()) return '';
  const field = numberFields.find((one) => one.key === key);
  const max = key === 'context' && contextMax ? contextMax : (field?.max ?? 0);
  const value = Number(text);
  const min = field?.min ?? 1;
  if (Number.isInteger(value) && value >= min && value <= max) return '';
  return `It must be a whole number from ${min} to ${max.toLocaleString('en-GB').replaceAll(',', '\u202f')}.`;
}

export function loadBody(text: LoadText): LoadBody {
  const body: LoadBody = {};
  for (const { key } of numberFields) if (text[key].trim()) body[key] = Number(text[key]);
  if (text.kv_bits === '8' || text.kv_bits === '16' || text.kv_bits === '32')
    body.kv_bits = Number(text.kv_bits) as 8 | 16 | 32;
  if (text.isa && text.backend !== 'mlx') body.isa = text.isa; // those of MLX are its own
  if (text.backend) body.backend = text.backend;
  if (text.noAdapter) body.adapter = '';
  else if (text.adapter.trim()) body.adapter = text.adapter.trim();
  if (text.precise) body.precise = true;
  return body;
}

/* What the server said against the adapter that was asked for; "" once another one stands in the field. null: what went
 * wrong was not the adapter. */
export function adapterRefusal(error: unknown, asked: LoadBody, text: string): string | null {
  if (!(error instanceof ApiError) || error.param !== 'adapter') return null;
  return asked.adapter === text.trim() ? error.message : '';
}
