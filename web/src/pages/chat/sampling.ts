/* How the model chooses its words, for this page's questions. Empty means: as the settings say, and else the model. Pure. */
export type SamplingKey = 'temperature' | 'top_p' | 'max_tokens' | 'seed';
export type SamplingText = Record<SamplingKey, string>;

export interface SamplingField {
  key: SamplingKey;
  label: string;
  unit: string;
  min: number;
  max: number;
  whole: boolean;
  fallback: string; // what holds when neither this nor the settings say anything
  definition: string;
}

export const samplingFields: readonly SamplingField[] = [
  {
    key: 'temperature',
    label: 'Temperature',
    unit: '',
    min: 0,
    max: 2,
    whole: false,
    fallback: 'As the model recommends',
    definition: 'How freely words are chosen, from 0 to 2. 0 always takes the likeliest word; higher is more varied.',
  },
  {
    key: 'top_p',
    label: 'Top-p',
    unit: '',
    min: 0,
    max: 1,
    whole: false,
    fallback: 'As the model recommends',
    definition: 'Only the likeliest words that together have this probability are chosen from. 1 leaves out none.',
  },
  {
    key: 'max_tokens',
    label: 'Longest answer, tokens',
    unit: 'tokens',
    min: 1,
    max: 1_048_576,
    whole: true,
    fallback: 'What the context has room for',
    definition:
      'The answer is ended after so many tokens. A token is a piece of a word, about four letters of English.',
  },
  {
    key: 'seed',
    label: 'Seed',
    unit: '',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    whole: true,
    fallback: 'Another one each time',
    definition: 'The start of the random choices. The same seed gives the same answer to the same question.',
  },
];

export const noSampling: SamplingText = { temperature: '', top_p: '', max_tokens: '', seed: '' };

/* "": fine. */
export function problemOf(field: SamplingField, text: string): string {
  if (!text.trim()) return '';
  const value = Number(text);
  const inside = Number.isFinite(value) && value >= field.min && value <= field.max;
  if (inside && (!field.whole || Number.isInteger(value))) return '';
  const kind = field.whole ? 'a whole number' : 'a number';
  const most = field.max.toLocaleString('en-GB').replaceAll(',', '\u202f');
  return `It must be ${kind} from ${field.min} to ${most}. Until then it is not used.`;
}

/* For the request's body; what is empty or wrong is left out. */
export function samplingBody(text: SamplingText): Partial<Record<SamplingKey, number>> {
  const body: Partial<Record<SamplingKey, number>> = {};
  for (const field of samplingFields) {
    const typed = text[field.key].trim();
    if (typed && !problemOf(field, typed)) body[field.key] = Number(typed);
  }
  return body;
}
