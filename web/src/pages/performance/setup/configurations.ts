/* The configurations a run can try: their names in the API, in plain words, and what each tells. */
export interface ConfigurationText {
  id: string;
  name: string;
  what: string;
}

export const configurations: readonly ConfigurationText[] = [
  { id: 'baseline', name: 'Baseline', what: 'As the server runs now; what all others are compared with.' },
  { id: 'high_temperature', name: 'High temperature', what: 'Freer choice of words (0.9). Seldom costs any speed.' },
  { id: 'low_temperature', name: 'Low temperature', what: 'Stricter choice of words (0.3). Seldom costs any speed.' },
  { id: 'short_response', name: 'Short answers', what: '50 tokens: how much the start of an answer weighs.' },
  { id: 'long_response', name: 'Long answers', what: '200 tokens: whether the speed lasts.' },
  {
    id: 'threads',
    name: 'Fewer threads',
    what: 'Other numbers of processor cores. Fewer are often as fast, or faster.',
  },
  { id: 'concurrency', name: 'Several answers at once', what: '2, 4 and 8 at the same time: what all together gain.' },
  { id: 'kv_bits', name: 'Smaller KV cache', what: '8 bits for each number kept of the conversation, not 16.' },
  { id: 'prefix_cache', name: 'Known beginning', what: 'A prompt whose beginning was read before: what that saves.' },
  { id: 'prefill_chunk', name: 'Other prompt steps', what: 'The prompt in larger or smaller pieces at a time.' },
  {
    id: 'isa',
    name: 'Other instructions',
    what: 'Older instruction sets of the processor, to see what the best one gains.',
  },
];

export const baseline = 'baseline';
export const configurationIds: readonly string[] = configurations.map((one) => one.id);

/* "threads=1" or "kv_bits" in words. */
export function configurationName(id: string): string {
  const [name = '', value] = id.split('=');
  if (value) {
    if (name === 'threads') return value === '1' ? '1 thread' : `${value} threads`;
    if (name === 'concurrency') return `${value} answers at once`;
    if (name === 'kv_bits') return `KV cache of ${value} bits`;
    if (name === 'prefill_chunk') return `prompt in steps of ${value} tokens`;
    if (name === 'prompt_lookup') return `up to ${value} tokens guessed at once`;
    if (name === 'isa') return `${value} instructions`;
  }
  return configurations.find((one) => one.id === name)?.name.toLowerCase() ?? id;
}
