import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countOf, found, pieces, readGuide, wordsOf } from '../../src/pages/performance/guide/guide';

const written = JSON.parse(readFileSync(new URL('../../../docs/guide.json', import.meta.url), 'utf8')) as object;
const guide = readGuide({
  ...written,
  system_info: { cpu: 'A <b>CPU</b>', memory_gb: 25.27, read_gbps: null, read_gbps_reason: 'not measured yet' },
  model_recommendations: [
    { model: 'org/m', size: '~2 GB', context: 8192, performance: '41 tok/s (36-44)', use_case: 'talk' },
  ],
});

describe('the guide', () => {
  it('has every chapter', () => {
    expect(guide.map((one) => one.id)).toEqual(['machine', 'models', 'techniques', 'llmind', 'mlx', 'hardware']);
    expect(countOf(guide)).toBeGreaterThan(90);
    const ids = guide.flatMap((one) => one.groups.flatMap((group) => group.entries.map((entry) => one.id + entry.id)));
    expect(new Set(ids).size).toBe(ids.length);
  });
  it('says what is not known', () => {
    const machine = guide[0]?.groups[0]?.entries.map((entry) => entry.paragraphs[0]?.text);
    expect(machine).toEqual(['A <b>CPU</b>', '25.3 GB', 'not known: not measured yet']);
  });
  it('stands an answer that is not as expected', () => {
    for (const odd of [null, 7, [], { mlx_flags: 7, hardware_config: [null, 'x'] }])
      expect(readGuide(odd)).toBeDefined();
  });
});

describe('searching', () => {
  it('finds entries that have every word', () => {
    const some = found(guide, '  KV-bits   8 ');
    expect(countOf(some)).toBeGreaterThan(0);
    expect(countOf(some)).toBeLessThan(countOf(guide));
    expect(countOf(found(guide, 'kv-bits'))).toBeGreaterThanOrEqual(countOf(some));
    expect(found(guide, 'xyzzy')).toEqual([]);
    expect(countOf(found(guide, ' '))).toBe(countOf(guide));
  });
  it('marks what was found, whatever it is made of', () => {
    expect(pieces('Use (4-bit) now', wordsOf('(4-bit) NOW'))).toEqual([
      { text: 'Use ', hit: false },
      { text: '(4-bit)', hit: true },
      { text: ' ', hit: false },
      { text: 'now', hit: true },
    ]);
    expect(pieces('a', [])).toEqual([{ text: 'a', hit: false }]);
  });
});
