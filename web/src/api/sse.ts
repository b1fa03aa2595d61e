/* Server-sent events out of a byte stream (the HTML standard, "interpreting an event stream"). Pure. */
export interface SseEvent {
  event: string; // "message" unless the server names it
  data: string;
  id: string; // the last that was seen; "" before the first
}

export class SseParser {
  #rest = '';
  #data: string[] = [];
  #event = '';
  #id = '';
  #skipLf = false; // a CR ended the piece before; an LF now belongs to it
  #begun = false;

  /* Takes what arrived, cut anywhere; answers the events that became complete. What is unfinished at the end of
   * the stream is no event and must be dropped, as the standard says. */
  push(piece: string): SseEvent[] {
    const events: SseEvent[] = [];
    let text = piece;
    if (!this.#begun && text) {
      this.#begun = true;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    if (this.#skipLf && text) {
      if (text.startsWith('\n')) text = text.slice(1);
      this.#skipLf = false;
    }
    this.#rest += text;
    for (let end; (end = this.#rest.search(/[\r\n]/)) >= 0;) {
      const line = this.#rest.slice(0, end);
      const crlf = this.#rest.startsWith('\r\n', end);
      this.#skipLf = this.#rest[end] === '\r' && end + 1 === this.#rest.length;
      this.#rest = this.#rest.slice(end + (crlf ? 2 : 1));
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): SseEvent | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null; // a comment, which keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    return null;
  }

  #dispatch(): SseEvent | null {
    const event = { event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id };
    const complete = this.#data.length > 0;
    this.#data = [];
    this.#event = '';
    return complete ? event : null;
  }
}
