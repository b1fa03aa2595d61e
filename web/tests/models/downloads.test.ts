import { describe, expect, it } from 'vitest';
import {
  detailOf,
  isOver,
  mayBeForced,
  nameProblem,
  replaced,
  shareOf,
  stateOf,
  underWay,
  type Download,
} from '../../src/pages/models/downloads';

const job = (id: string, state: Download['state'], more: Partial<Download> = {}): Download => ({
  id,
  model: 'org/name',
  state,
  forced: false,
  refused: false,
  done_bytes: 250e6,
  total_bytes: 1e9,
  files_done: 3,
  files: 7,
  bytes_per_second: 31e6,
  eta_s: 24,
  file: 'model.safetensors',
  judgement: null,
  note: null,
  error: null,
  created: '2026-01-01T00:00:00Z',
  ...more,
});

describe('which download is followed', () => {
  it('is the one that is fetched, else the first in line', () => {
    const line = [job('a', 'complete'), job('b', 'queued'), job('c', 'paused'), job('d', 'fetching')];
    expect(underWay(line)).toBe('d');
    expect(underWay(line.slice(0, 3))).toBe('b');
    expect(underWay([job('c', 'paused'), job('e', 'failed')])).toBeNull();
    expect(underWay([])).toBeNull();
  });
});

describe('what a download says', () => {
  it('tells what is known', () => {
    expect(detailOf(job('a', 'fetching'))).toBe('250\u00a0MB of 1.00\u00a0GB, 31.0\u00a0MB/s, 3 of 7 files');
    expect(shareOf(job('a', 'fetching'))).toBe(0.25);
  });
  it('tells no speed of what stands still, and nothing of what is not known', () => {
    expect(detailOf(job('a', 'paused'))).not.toContain('/s');
    const early = job('a', 'listing', { done_bytes: null, total_bytes: null, files: null, bytes_per_second: null });
    expect(detailOf(early)).toBe('');
    expect(shareOf(early)).toBeNull();
    expect(shareOf(job('a', 'fetching', { done_bytes: 0, total_bytes: 0 }))).toBeNull();
  });
  it('has a word for every state, also for one that is new', () => {
    expect(stateOf(job('a', 'verifying')).text).toBe('Checking what came');
    expect(stateOf(job('a', 'dreaming' as Download['state'])).text).toBe('dreaming');
    expect(['complete', 'failed', 'cancelled'].every((state) => isOver(job('a', state as Download['state'])))).toBe(
      true,
    );
    expect(isOver(job('a', 'paused'))).toBe(false);
  });
});

describe('what was refused for what it is', () => {
  it('may be had all the same, while it is refused', () => {
    expect(mayBeForced(job('a', 'failed', { refused: true }))).toBe(true);
    expect(mayBeForced(job('a', 'failed'))).toBe(false); // the disk is full
    expect(mayBeForced(job('a', 'fetching', { refused: true }))).toBe(false);
  });
});

describe('a name', () => {
  it('is like ORG/NAME, with a revision or without', () => {
    for (const name of ['', '  ', 'org/name', ' org/name-1.5_b ', 'org/name@main', 'org/name@refs/pr/1'])
      expect(nameProblem(name), name).toBeNull();
    for (const name of ['name', 'a/b/c', 'org/na me', '/name', 'org/'])
      expect(nameProblem(name), name).toMatch(/must be/);
    expect(nameProblem('https://huggingface.co/org/name')).toMatch(/Only the name/);
  });
});

describe('a list in which one has changed', () => {
  it('keeps its order', () => {
    const jobs = [job('a', 'fetching'), job('b', 'queued')];
    expect(replaced(jobs, job('a', 'complete')).map((one) => `${one.id} ${one.state}`)).toEqual([
      'a complete',
      'b queued',
    ]);
    expect(replaced(jobs, job('c', 'queued')).map((one) => one.id)).toEqual(['a', 'b', 'c']);
  });
});
