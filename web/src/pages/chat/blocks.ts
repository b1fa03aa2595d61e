/* Cuts a Markdown text into pieces that can be drawn each for itself, so that while a long answer is written only its
 * last piece is drawn again. The pieces together are the text. Pure.
 *
 * A cut is made after a blank line, outside of fenced code, before a line that begins at the margin and can neither
 * continue a list nor be one: everything there starts a new block whatever came before. */
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const LIST = /^ {0,3}(?:[-+*]|\d{1,9}[.)])(?:\s|$)/;
const SMALLEST = 1_500; // characters; shorter pieces would only cost elements

export function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let start = 0;
  let fence = '';
  let blank = false;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    const line = text.slice(at, newline < 0 ? next : newline);
    if (!fence && blank && at - start >= SMALLEST && /^[^\s]/.test(line) && !LIST.test(line)) {
      blocks.push(text.slice(start, at));
      start = at;
    }
    fence = fenceAfter(fence, line);
    blank = line.trim() === '';
    at = next;
  }
  if (start < text.length) blocks.push(text.slice(start));
  return blocks;
}

/* "": not in a fence; otherwise the marks that opened it. A fence closes by as many of its own marks, and nothing else. */
function fenceAfter(fence: string, line: string): string {
  const found = FENCE.exec(line);
  const marks = found?.[1] ?? '';
  if (!marks) return fence;
  const after = found?.[2] ?? '';
  if (!fence) return marks.startsWith('`') && after.includes('`') ? '' : marks;
  return marks[0] === fence[0] && marks.length >= fence.length && !after.trim() ? '' : fence;
}
