import { describe, expect, it } from 'vitest';
import { SseParser } from '../src/api/sse';

const STREAM = ': hello\r\nevent: sample\r\nid: 7\r\ndata: {"a":1}\r\n\r\ndata: one\ndata: two\n\ndata:x\rid\r\r';
const EVENTS = [
  { event: 'sample', data: '{"a":1}', id: '7' },
  { event: 'message', data: 'one\ntwo', id: '7' },
  { event: 'message', data: 'x', id: '' },
];

describe('SseParser', () => {
  it('reads all line ends, comments, names and numbers', () => {
    expect(new SseParser().push(STREAM)).toEqual(EVENTS);
  });

  it('does not care where the stream is cut', () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      const parser = new SseParser();
      expect([...parser.push(STREAM.slice(0, cut)), ...parser.push(STREAM.slice(cut))]).toEqual(EVENTS);
    }
    const parser = new SseParser();
    expect([...STREAM].flatMap((letter) => parser.push(letter))).toEqual(EVENTS);
  });

  it('drops what is unfinished, and events without data', () => {
    expect(new SseParser().push('data: half\n')).toEqual([]);
    expect(new SseParser().push('event: empty\nid: 3\n\n')).toEqual([]);
  });

  it('takes one blank after the colon, and a byte order mark', () => {
    expect(new SseParser().push('\uFEFFdata:  two blanks\n\n')[0]?.data).toBe(' two blanks');
  });
});
