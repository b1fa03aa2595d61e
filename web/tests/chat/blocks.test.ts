import { describe, expect, it } from 'vitest';
import { blocksOf } from '../../src/pages/chat/blocks';

const paragraph = `${'word '.repeat(400)}\n`;

describe('blocksOf', () => {
  it('loses nothing, whatever it is given', () => {
    for (const text of [
      '',
      '\n',
      'a',
      paragraph.repeat(9),
      `${paragraph}\n${paragraph}\n\n${paragraph}`,
      '```\n\n'.repeat(900),
    ])
      expect(blocksOf(text).join('')).toBe(text);
  });
  it('cuts between long paragraphs, and leaves short ones together', () => {
    expect(blocksOf(`${paragraph}\n${paragraph}\n${paragraph}`)).toHaveLength(3);
    expect(blocksOf('one\n\ntwo\n\nthree')).toHaveLength(1);
  });
  it('never cuts inside fenced code', () => {
    const code = `\`\`\`\`\n${paragraph}\n\`\`\`\n\n${paragraph}\n\nx\n`;
    expect(blocksOf(code)).toHaveLength(1);
    expect(blocksOf(`${code}\`\`\`\`\n\nAfter`)).toHaveLength(2);
    expect(blocksOf(`~~~\n${paragraph}\n\n\`\`\`\n\n${paragraph}\n~~~\n\nAfter`)).toHaveLength(2);
  });
  it('never cuts a list', () => {
    expect(blocksOf(`- ${paragraph}\n- ${paragraph}\n  more\n\n    code`)).toHaveLength(1);
    expect(blocksOf(`1. ${paragraph}\n2. ${paragraph}`)).toHaveLength(1);
  });
  it('only the last piece changes while the text grows', () => {
    const text = `${paragraph}\n`.repeat(6);
    const before = blocksOf(text.slice(0, 7000));
    expect(blocksOf(text).slice(0, before.length - 1)).toEqual(before.slice(0, -1));
  });
});
