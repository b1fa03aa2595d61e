/* What can be done with a run, as text: its request, its curl line, the names of its files. Pure. */
import type { Schemas } from '../api/client';
import { clean, object, type Json } from './sound';

export type RunRow = Schemas['RunRow'];

/* The request without what was left open, so that it can be sent again; null for an imported run, which has none. */
export function requestOf(value: unknown): Json | null {
  const entries = Object.entries(object(value)).filter(([name, one]) => one !== null && !name.endsWith('_reason'));
  return entries.length ? Object.fromEntries(entries) : null;
}

/* A quote inside single quotes ends them, stands for itself, and begins them again. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function curlOf(request: Json, origin: string, withKey: boolean): string {
  return [
    `curl -X POST ${shellQuoted(`${origin}/api/profiling/runs`)}`,
    ...(withKey ? ['-H "Authorization: Bearer $LLMIND_API_KEY"'] : []),
    `-H 'Content-Type: application/json'`,
    `-d ${shellQuoted(JSON.stringify(request))}`,
  ].join(' \\\n  ');
}

export const formats = ['json', 'csv', 'pdf', 'html', 'md'] as const;
export type Format = (typeof formats)[number];
export const formatNames: Record<Format, string> = {
  json: 'JSON, everything',
  csv: 'CSV, every sample',
  pdf: 'PDF, to print',
  html: 'HTML, one file',
  md: 'Markdown',
};

/* As the server names it: "llmind-Qwen3-0.6B-4bit-1f3a90bc.pdf". */
export function fileName(model: string | null, id: string, extension: string): string {
  const last = (model ?? 'run').split('/').at(-1) ?? '';
  const name = last.replace(/[^\w.-]/g, '').slice(0, 63) || 'run';
  return `llmind-${name}-${id.slice(0, 8)}.${extension}`;
}

export const modelName = (row: { model: string | null; kind?: string | null }, most = 120) =>
  clean(row.model, most) || (row.kind === 'compare' ? 'several models' : 'no model');

const statuses: Record<string, { text: string; kind: 'good' | 'low' | 'medium' | 'high' | 'neutral' }> = {
  success: { text: 'finished', kind: 'good' },
  running: { text: 'running', kind: 'low' },
  waiting: { text: 'waiting', kind: 'neutral' },
  cancelled: { text: 'cancelled', kind: 'neutral' },
  failed: { text: 'failed', kind: 'high' },
  interrupted: { text: 'interrupted', kind: 'medium' },
};
export const statusWords = (status: string) => statuses[status] ?? { text: status, kind: 'neutral' as const };
