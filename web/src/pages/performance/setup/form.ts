/* What the user has set up, and the request that it makes. Pure. */
import type { Schemas } from '../../../api/client';
import { baseline, configurationIds } from './configurations';

export type RunRequest = Schemas['ProfilingRequest'];
export type Model = Schemas['ModelList']['models'][number];

export interface Form {
  model: string; // "": the loaded one
  quick: boolean;
  prompts: string[]; // the user's own; none: simple, medium and complex
  depths: string; // deepest context measured, of depthChoices(); "": as far as the model goes
  chosen: string[]; // configurations
  maxTokens: string; // "": the usual 128
  target: string; // "": a model of this machine
}

export const LIMITS = { prompts: 16, promptBytes: 100_000, tokens: 4096 };

export function newForm(): Form {
  return { model: '', quick: true, prompts: [], depths: '', chosen: [...configurationIds], maxTokens: '', target: '' };
}

/* What a page that was reloaded finds again; anything odd in it is left out. */
export function readForm(text: string | null): Form {
  const form = newForm();
  let stored: unknown;
  try {
    stored = JSON.parse(text ?? 'null');
  } catch {
    return form;
  }
  if (typeof stored !== 'object' || stored === null) return form;
  const said = stored as Record<string, unknown>;
  const strings = (x: unknown) => (Array.isArray(x) ? x.filter((one): one is string => typeof one === 'string') : null);
  if (typeof said['model'] === 'string') form.model = said['model'];
  if (typeof said['quick'] === 'boolean') form.quick = said['quick'];
  if (typeof said['depths'] === 'string') form.depths = said['depths'];
  if (typeof said['maxTokens'] === 'string') form.maxTokens = said['maxTokens'];
  if (typeof said['target'] === 'string') form.target = said['target'];
  form.prompts = strings(said['prompts'])?.slice(0, LIMITS.prompts) ?? form.prompts;
  form.chosen = strings(said['chosen'])?.filter((id) => configurationIds.includes(id)) ?? form.chosen;
  return form;
}

/* Contexts that make the run stop at a depth: each leaves room for the tests at that depth and for no deeper one. */
const depthContexts = [
  { depth: 0, context: 1024 },
  { depth: 1024, context: 2048 },
  { depth: 4096, context: 8192 },
];
const USUAL_CONTEXT = 8192; // at most, unless a setting says otherwise

export interface DepthChoice {
  value: string;
  label: string;
}

/* How deep decoding is measured: depths that the model's context has room for. */
export function depthChoices(context: number | null | undefined): DepthChoice[] {
  const room = Math.min(context ?? USUAL_CONTEXT, USUAL_CONTEXT);
  const there = depthContexts.filter(({ depth, context }) => depth === 0 || context <= room);
  const words = (n: number) => {
    const depths = there.slice(0, n).map(({ depth }) => depth.toLocaleString('en-GB').replace(',', '\u202f'));
    return depths.length > 1
      ? `${depths.slice(0, -1).join(', ')} and ${depths.at(-1)} tokens`
      : 'none: at the beginning only';
  };
  const all = { value: '', label: `All that fit: ${words(there.length)}` };
  return [all, ...there.slice(0, -1).map(({ context }, i) => ({ value: String(context), label: words(i + 1) }))];
}

export interface FormProblems {
  prompts: (string | undefined)[];
  maxTokens?: string;
  target?: string;
}

export function problemsOf(form: Form): FormProblems {
  const problems: FormProblems = {
    prompts: form.prompts.map((text) => {
      if (!text.trim()) return 'Write the prompt, or remove it.';
      if (new TextEncoder().encode(text).length > LIMITS.promptBytes) return 'A prompt can have 100 000 bytes at most.';
      return undefined;
    }),
  };
  const tokens = Number(form.maxTokens);
  if (form.maxTokens.trim() && !(Number.isInteger(tokens) && tokens >= 1 && tokens <= LIMITS.tokens))
    problems.maxTokens = `A whole number from 1 to ${LIMITS.tokens}.`;
  if (form.target.trim() && !/^https?:\/\/[^\s/]+/i.test(form.target.trim()))
    problems.target = 'An address such as http://server:8080/v1.';
  return problems;
}

export function isFine(problems: FormProblems): boolean {
  return !problems.maxTokens && !problems.target && problems.prompts.every((one) => !one);
}

/* Only what differs from what the server does by itself, so that the copied command stays short. */
export function requestOf(form: Form): RunRequest {
  const request: RunRequest = { quick_mode: form.quick };
  const target = form.target.trim();
  if (target) request.target = target;
  else if (form.model) request.model_name = form.model;
  if (form.prompts.length) request.test_prompts = [...form.prompts];
  if (form.maxTokens.trim()) request.max_tokens = Number(form.maxTokens);
  if (form.depths && !target) request.knobs = { context: Number(form.depths) };
  if (form.chosen.length < configurationIds.length) request.configurations = chosenOf(form);
  return request;
}

/* The others are compared with the baseline, which therefore comes along. */
function chosenOf(form: Form): string[] {
  return configurationIds.filter((id) => form.chosen.includes(id) || (id === baseline && form.chosen.length > 0));
}
