"""Streams that stand still: the page's own request is answered inside the page, and goes on only when the test says so.

A view that is only there while something happens (an answer being written, a run being measured) can so be looked at
for as long as it takes, and looks the same each time.
"""

import json

_SCRIPT = """
(() => {
  const streams = (window.heldStreams = new Map()); // part of the address -> { said, method, controllers }
  const real = window.fetch;
  const text = new TextEncoder();
  window.tell = (part, said, last) => {
    for (const controller of streams.get(part).controllers) {
      if (said) controller.enqueue(text.encode(said));
      if (last) controller.close();
    }
    if (last) streams.delete(part);
  };
  window.fetch = (url, options) => {
    const found = [...streams].find(([part]) => String(url).includes(part));
    if (!found || String(options?.method ?? 'GET') !== found[1].method) return real(url, options);
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(text.encode(found[1].said));
        found[1].controllers.push(controller);
        options?.signal?.addEventListener('abort', () => {
          try { controller.error(new DOMException('aborted', 'AbortError')); } catch {} // it may have ended
        });
      },
    });
    return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
  };
})();
"""


def sse(*told):
    """(name, data) pairs as a stream of events, numbered from 1."""
    return "".join(f"event: {name}\nid: {i + 1}\ndata: {json.dumps(data)}\n\n" for i, (name, data) in enumerate(told))


def prepare(page):
    """Before page.goto()."""
    page.add_init_script(_SCRIPT)


def hold(page, part, said, method="GET"):
    """From now on requests whose address has this part are answered with these events, and stay open."""
    page.evaluate("([part, said, method]) => void heldStreams.set(part, { said, method, controllers: [] })",
                  [part, said, method])  # fmt: skip


def tell(page, part, said="", last=False):
    """More events on the open streams; last ends them, and later requests reach the server again."""
    page.evaluate("([part, said, last]) => tell(part, said, last)", [part, said, last])
