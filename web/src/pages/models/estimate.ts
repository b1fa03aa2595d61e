/* The memory that a model will need, as GET /api/models/{id}/estimate predicts it. Pure; whatever is not understood is
 * left out, and an answer without parts is no answer. */
export interface Part {
  name: string;
  bytes: number;
}

export interface Estimate {
  parts: Part[];
  totalBytes: number;
  availableBytes: number | null;
}

const names: Record<string, string> = {
  weights: 'Weights',
  kv: 'KV cache',
  scratch: 'Working memory',
  program: 'Program',
  other: 'Other',
};
/* What a part is, by the name that is shown of it. */
export const partMeanings: Record<string, string> = {
  Weights: 'The numbers that the model learned.',
  'KV cache':
    'What the model works out about the conversations, kept so that it is not computed again. It grows with the context and with the answers at once.',
  'Working memory': 'The intermediate results of one step.',
  Program: 'LLMind itself, its libraries, and the tables of the model’s vocabulary.',
};
const NOT_PARTS = new Set(['total', 'first_prompt', 'available', 'limit', 'free']);

export function estimateOf(answer: unknown): Estimate | null {
  const memory = member(answer, 'memory') ?? answer;
  if (!memory || typeof memory !== 'object') return null;
  const sizes = Object.entries(memory as Record<string, unknown>).flatMap(([key, value]) =>
    key.endsWith('_bytes') && typeof value === 'number' && value >= 0 ? [[key.slice(0, -6), value] as const] : [],
  );
  const parts = sizes.filter(([name]) => !NOT_PARTS.has(name)).map(([name, bytes]) => ({ name: nameOf(name), bytes }));
  if (!parts.length) return null;
  const known = new Map(sizes);
  const sum = parts.reduce((all, part) => all + part.bytes, 0);
  return { parts, totalBytes: known.get('total') ?? sum, availableBytes: known.get('available') ?? null };
}

function nameOf(key: string): string {
  const words = key.replaceAll('_', ' ');
  return names[key] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

function member(of: unknown, name: string): unknown {
  return of && typeof of === 'object' ? (of as Record<string, unknown>)[name] : undefined;
}
