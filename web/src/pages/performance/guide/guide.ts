/* The optimization guide (docs/guide.json and what the server adds of this machine), made safe to show, searched. Pure. */
export interface Entry {
  id: string;
  title: string;
  code: boolean; // the title is something to type, to be copied
  paragraphs: { label: string; text: string }[]; // label "": the text itself
  mark: string; // "this machine"
}

export interface Group {
  title: string;
  entries: Entry[];
}

export interface Chapter {
  id: string;
  title: string;
  about: string;
  groups: Group[];
}

type Json = Record<string, unknown>;
const object = (x: unknown): Json => (typeof x === 'object' && x !== null && !Array.isArray(x) ? (x as Json) : {});
const list = (x: unknown): unknown[] => (Array.isArray(x) ? x : []);
const text = (x: unknown): string => (typeof x === 'string' ? x : typeof x === 'number' ? String(x) : '');

export function readGuide(answer: unknown): Chapter[] {
  const root = object(answer);
  const chapters: Chapter[] = [
    { id: 'machine', title: 'This machine', about: '', groups: [{ title: '', entries: machineFacts(root) }] },
    {
      id: 'models',
      title: 'Models for this machine',
      about:
        text(root['model_recommendations_reason']) ||
        'Computed from this machine’s measured memory bandwidth and its memory: what fits, and how fast it would write.',
      groups: [{ title: '', entries: list(root['model_recommendations']).map((x, i) => recommended(object(x), i)) }],
    },
    {
      id: 'techniques',
      title: 'Techniques',
      about: text(root['about']),
      groups: groups(root['optimization_techniques'], technique),
    },
    {
      id: 'llmind',
      title: 'Flags of LLMind',
      about: 'Options of this program, with what they are when you say nothing.',
      groups: groups(root['llmind_flags'], flag),
    },
    {
      id: 'mlx',
      title: 'Flags of MLX and mlx-lm',
      about: 'For Apple silicon with Apple’s own library, with their defaults.',
      groups: groups(root['mlx_flags'], flag),
    },
    {
      id: 'hardware',
      title: 'Hardware classes',
      about: 'Rated bandwidths are the makers’ figures; what was measured always wins.',
      groups: byClass(list(root['hardware_config']).map(object)),
    },
  ];
  return chapters.filter((chapter) => chapter.groups.some((group) => group.entries.length));
}

function named(title: string, paragraphs: [string, string][], more: Partial<Entry> = {}): Entry {
  const some = paragraphs.filter(([, words]) => words).map(([label, words]) => ({ label, text: words }));
  return { id: title, title, code: false, mark: '', ...more, paragraphs: some };
}

const factNames: Record<string, string> = {
  hardware_profile: 'What it is',
  cpu: 'Processor',
  cores_online: 'Cores',
  usable_threads: 'Threads that LLMind may use',
  memory_gb: 'Memory',
  read_gbps: 'Measured read bandwidth',
  os: 'System',
  version: 'LLMind',
  gpu: 'GPU',
};
const factUnits: Record<string, string> = { memory_gb: ' GB', read_gbps: ' GB/s' };

function machineFacts(root: Json): Entry[] {
  const info = object(root['system_info']);
  return Object.entries(factNames).flatMap(([key, name]) => {
    const value = info[key];
    const reason = text(info[`${key}_reason`]);
    if (value == null && !reason) return [];
    const shown = typeof value === 'number' ? String(Math.round(value * 10) / 10) : text(value);
    return [named(name, [['', value == null ? `not known: ${reason}` : `${shown}${factUnits[key] ?? ''}`]])];
  });
}

function recommended(said: Json, i: number): Entry {
  const speed =
    text(said['performance']).replace(/(\d)-(\d)/, '$1–$2') || `not known: ${text(said['performance_reason'])}`;
  const entry = named(
    text(said['model']),
    [
      ['', text(said['use_case'])],
      ['Writes', speed],
      ['Memory', `${text(said['size'])} with ${text(said['context'])} tokens of context`],
    ],
    { code: true },
  );
  return { ...entry, id: `${i}-${entry.id}` };
}

function technique(said: Json): Entry {
  return named(text(said['title']), [
    ['', text(said['text'])],
    ['How', text(said['how'])],
    ['Effect', text(said['effect'])],
    ['Costs', text(said['costs'])],
  ]);
}

function flag(said: Json): Entry {
  return named(
    text(said['name']),
    [
      ['', text(said['text'])],
      ['Default', text(said['default'])],
      ['Where', text(said['where'])],
    ],
    { code: true },
  );
}

function hardware(said: Json): Entry {
  const rated = list(said['rated_gbps']).map(text).join(' or ');
  return named(
    text(said['name']),
    [
      ['Models', text(said['models'])],
      ['Advice', list(said['advice']).map(text).join('; ')],
      ['Recognised by', text(said['recognised_by'])],
      ['Rated bandwidth', rated ? `${rated} GB/s` : text(said['rated_gbps_text'])],
      ['Memory', text(said['max_memory_gb']) && `up to ${text(said['max_memory_gb'])} GB`],
    ],
    { mark: said['this_machine'] === true ? 'this machine' : '' },
  );
}

function groups(said: unknown, read: (one: Json) => Entry): Group[] {
  return Object.entries(object(said)).map(([name, entries]) => ({
    title: titled(name),
    entries: list(entries).map((x, i) => {
      const entry = read(object(x));
      return { ...entry, id: `${name}-${i}-${entry.id}` };
    }),
  }));
}

const classNames: Record<string, string> = { apple: 'Apple silicon', x86: 'x86', arm: 'ARM', nvidia: 'NVIDIA' };

function byClass(all: Json[]): Group[] {
  const names = [...new Set(all.map((one) => text(one['class'])))];
  return names.map((name) => ({
    title: classNames[name] ?? titled(name),
    entries: all.filter((one) => text(one['class']) === name).map(hardware),
  }));
}

/* "kv_cache" → "KV cache". */
function titled(name: string): string {
  const words = name.replaceAll('_', ' ').replace(/\bkv\b/, 'KV');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/* ---- searching ---- */

export function wordsOf(query: string): string[] {
  return query.toLowerCase().split(/\s+/).filter(Boolean);
}

/* Entries that have every word somewhere; the names of their chapter and group count as theirs. */
export function found(chapters: readonly Chapter[], query: string): Chapter[] {
  const words = wordsOf(query);
  if (!words.length) return [...chapters];
  return chapters
    .map((chapter) => ({
      ...chapter,
      groups: chapter.groups
        .map((group) => {
          const around = `${chapter.title} ${group.title}`;
          return { ...group, entries: group.entries.filter((entry) => has(entry, around, words)) };
        })
        .filter((group) => group.entries.length),
    }))
    .filter((chapter) => chapter.groups.length);
}

function has(entry: Entry, around: string, words: readonly string[]): boolean {
  const all = [around, entry.title, entry.mark, ...entry.paragraphs.map(({ label, text }) => `${label} ${text}`)];
  const everything = all.join(' ').toLowerCase();
  return words.every((word) => everything.includes(word));
}

export function countOf(chapters: readonly Chapter[]): number {
  return chapters.reduce((sum, one) => sum + one.groups.reduce((n, group) => n + group.entries.length, 0), 0);
}

export interface Piece {
  text: string;
  hit: boolean;
}

/* The text in pieces, those that match a word marked. */
export function pieces(whole: string, words: readonly string[]): Piece[] {
  if (!words.length) return [{ text: whole, hit: false }];
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).sort((a, b) => b.length - a.length);
  return whole
    .split(new RegExp(`(${escaped.join('|')})`, 'gi'))
    .map((text, i) => ({ text, hit: i % 2 === 1 }))
    .filter(({ text }) => text);
}
