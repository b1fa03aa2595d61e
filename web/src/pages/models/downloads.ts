/* What a download from the hub is doing, in words and figures. Pure. */
import type { Schemas } from '../../api/client';
import { bytes, bytesPerSecond } from '../../api/format';
import type { BadgeKind } from '../../ui/Badge.svelte';

export type Download = Schemas['Download'];
type State = Download['state'];

const states: Record<State, { kind: BadgeKind; text: string }> = {
  queued: { kind: 'neutral', text: 'Waits its turn' },
  listing: { kind: 'accent', text: 'Asking the hub' },
  fetching: { kind: 'accent', text: 'Downloading' },
  verifying: { kind: 'accent', text: 'Checking what came' },
  paused: { kind: 'medium', text: 'Paused' },
  complete: { kind: 'good', text: 'Complete' },
  failed: { kind: 'high', text: 'Failed' },
  cancelled: { kind: 'neutral', text: 'Cancelled' },
};

export function stateOf(job: Download): { kind: BadgeKind; text: string } {
  return states[job.state] ?? { kind: 'neutral', text: String(job.state) };
}

export function isOver(job: Download): boolean {
  return job.state === 'complete' || job.state === 'failed' || job.state === 'cancelled';
}

/* One at a time is fetched; its events are followed. null: none is under way. `jobs`: oldest first. */
export function underWay(jobs: readonly Download[]): string | null {
  const waiting = jobs.filter((job) => !isOver(job) && job.state !== 'paused');
  return (waiting.find((job) => job.state !== 'queued') ?? waiting[0])?.id ?? null;
}

/* 0 to 1; null where it is not known yet. */
export function shareOf(job: Download): number | null {
  return job.total_bytes && job.done_bytes !== null ? job.done_bytes / job.total_bytes : null;
}

/* "412 MB of 1.2 GB, 31 MB/s, 3 of 7 files". */
export function detailOf(job: Download): string {
  const parts: string[] = [];
  if (job.total_bytes !== null && job.done_bytes !== null)
    parts.push(`${bytes(job.done_bytes).text} of ${bytes(job.total_bytes).text}`);
  if (job.bytes_per_second !== null && job.state === 'fetching') parts.push(bytesPerSecond(job.bytes_per_second).text);
  if (job.files !== null && job.files_done !== null) parts.push(`${job.files_done} of ${job.files} files`);
  return parts.join(', ');
}

/* Whether it was refused for what it is, so that somebody who knows better may have it all the same. */
export function mayBeForced(job: Download): boolean {
  return job.state === 'failed' && job.refused;
}

/* null: it may be asked for. The server checks it again. */
export function nameProblem(name: string): string | null {
  const text = name.trim();
  if (!text) return null;
  if (/^https?:\/\//.test(text)) return 'Only the name is wanted: what comes after huggingface.co/';
  return /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/.test(text) ? null : 'It must be like mlx-community/Qwen3-0.6B-4bit';
}

export function replaced(jobs: readonly Download[], job: Download): Download[] {
  return jobs.some((one) => one.id === job.id) ? jobs.map((one) => (one.id === job.id ? job : one)) : [...jobs, job];
}
