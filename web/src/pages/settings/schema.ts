/* The settings as GET /api/settings describes them, checked and made into fields. Pure. A setting that this page has never
 * heard of is shown all the same, under its key. */
export type Value = string | number | boolean | null;

export interface Setting {
  key: string;
  type: 'string' | 'number' | 'integer' | 'choice' | 'boolean';
  nullable: boolean;
  minimum: number | null;
  maximum: number | null;
  maxBytes: number | null;
  choices: (string | number)[];
  standard: Value;
  takesEffect: string;
  description: string;
  standardMeans: string; // what the description says of null
}

const TYPES = new Set(['string', 'number', 'integer', 'choice', 'boolean']);

export function settingsOf(schema: readonly unknown[]): Setting[] {
  return schema.flatMap((row) => {
    if (!row || typeof row !== 'object') return [];
    const of = row as Record<string, unknown>;
    const type = of['type'];
    if (typeof of['key'] !== 'string' || typeof type !== 'string' || !TYPES.has(type)) return [];
    const number = (name: string) => (typeof of[name] === 'number' ? of[name] : null);
    const said = typeof of['description'] === 'string' ? of['description'] : '';
    const [description = '', means = ''] = said.split(/\s*\bnull: /, 2);
    return [
      {
        key: of['key'],
        type: type as Setting['type'],
        nullable: of['nullable'] === true,
        minimum: number('minimum'),
        maximum: number('maximum'),
        maxBytes: number('max_bytes'),
        choices: Array.isArray(of['choices']) ? of['choices'].filter(isChoice) : [],
        standard: valueOf(of['default']),
        takesEffect: typeof of['takes_effect'] === 'string' ? of['takes_effect'] : '',
        description: description.trim(),
        standardMeans: means.trim().replace(/\.$/, ''),
      },
    ];
  });
}

function isChoice(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

export function valueOf(value: unknown): Value {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

/* What was typed as a value; `problem` says in words why it is none. */
export function parsed(setting: Setting, text: string): { value: Value; problem: string } {
  if (setting.type === 'boolean') return { value: text === 'true', problem: '' };
  if (!text.trim() && setting.nullable) return { value: null, problem: '' };
  if (setting.type === 'choice')
    return { value: setting.choices.find((choice) => String(choice) === text) ?? null, problem: '' };
  if (setting.type === 'string') {
    const tooLong = setting.maxBytes !== null && new TextEncoder().encode(text).length > setting.maxBytes;
    return { value: text, problem: tooLong ? `It is too long: at most ${grouped(setting.maxBytes ?? 0)} bytes.` : '' };
  }
  const value = Number(text);
  const [low, high] = [setting.minimum ?? -Infinity, setting.maximum ?? Infinity];
  const right = text.trim() !== '' && value >= low && value <= high;
  if (right && (setting.type !== 'integer' || Number.isInteger(value))) return { value, problem: '' };
  const kind = setting.type === 'integer' ? 'a whole number' : 'a number';
  const bounds = Number.isFinite(low) && Number.isFinite(high) ? ` from ${grouped(low)} to ${grouped(high)}` : '';
  return { value: null, problem: `It must be ${kind}${bounds}.` };
}

function grouped(x: number): string {
  return x.toLocaleString('en-GB').replaceAll(',', '\u202f');
}

export function textOf(value: Value): string {
  return value === null ? '' : String(value);
}

export function whenOf(takesEffect: string): string {
  if (takesEffect === 'next_start') return 'Takes effect at the next start of LLMind.';
  if (takesEffect === 'next_load') return 'Takes effect when a model is loaded next.';
  return '';
}

const labels: Record<string, string> = {
  default_model: 'Model at the start',
  system_prompt: 'System prompt',
  temperature: 'Temperature',
  top_p: 'Top-p',
  max_tokens: 'Longest answer, tokens',
  seed: 'Seed',
  threads: 'Threads',
  context: 'Context, tokens',
  kv_bits: 'Bits of a number in the KV cache',
  max_sequences: 'Answers at the same time',
  queue_limit: 'Requests that may wait',
  theme: 'Colours',
};

export function labelOf(key: string): string {
  return labels[key] ?? key.charAt(0).toUpperCase() + key.slice(1).replaceAll('_', ' ');
}

const choiceLabels: Record<string, string> = { system: 'As the system', light: 'Light', dark: 'Dark' };

export function choiceLabel(choice: string | number): string {
  return choiceLabels[choice] ?? String(choice);
}

export interface Section {
  title: string;
  description: string;
  settings: Setting[];
}

const CHAT = ['system_prompt', 'temperature', 'top_p', 'max_tokens', 'seed'];
const LOOK = ['theme'];

export function sectionsOf(settings: readonly Setting[]): Section[] {
  const of = (keys: readonly string[]) => settings.filter((one) => keys.includes(one.key));
  const others = settings.filter((one) => !CHAT.includes(one.key) && !LOOK.includes(one.key));
  return [
    { title: 'Look', description: '', settings: of(LOOK) },
    { title: 'Chat', description: 'What every conversation begins with. Each may differ.', settings: of(CHAT) },
    { title: 'Engine', description: 'How models are loaded and computed.', settings: others },
  ].filter((section) => section.settings.length);
}
