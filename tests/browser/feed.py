"""A live stream that is faster than life: the page's own GET /api/performance/stream, answered inside the page.

Two minutes of samples come in a few seconds, with everything that the page does with them: parsing, the ring of the
last minute, tiles and charts. What leaks a little with each sample leaks here, too.
"""

import time

_SCRIPT = """
(() => {
  const sample = %s;
  const everyMs = %d;
  const real = window.fetch;
  window.fed = 0;
  window.feeding = true;
  window.fetch = (url, options) => {
    if (!String(url).includes('/api/performance/stream')) return real(url, options);
    const text = new TextEncoder();
    let timer;
    const body = new ReadableStream({
      start(controller) {
        timer = setInterval(() => {
          if (!window.feeding) return;
          const n = ++window.fed;
          const one = structuredClone(sample);
          one.sequence = n;
          one.time = new Date(Date.UTC(2026, 0, 1) + n * 500).toISOString();
          one.interval_ms = 500;
          one.tokens_per_second = 100 + 50 * Math.sin(n / 7);
          one.cpu.busy = 0.5 + 0.4 * Math.sin(n / 5);
          one.cpu.cores.forEach((core, i) => (core.busy = 0.5 + 0.4 * Math.sin(n / 3 + i)));
          controller.enqueue(text.encode(`data: ${JSON.stringify(one)}\\n\\n`));
        }, everyMs);
        options?.signal?.addEventListener('abort', () => {
          clearInterval(timer);
          controller.error(new DOMException('aborted', 'AbortError'));
        });
      },
      cancel: () => clearInterval(timer),
    });
    return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
  };
})();
"""


def feed(page, server, every_ms=40):
    """Before page.goto(): from then on window.fed counts the samples; window.feeding = false stops them."""
    page.add_init_script(_SCRIPT % (server.get("/api/performance").text, every_ms))


def wait_fed(page, n):
    """Until n further samples came. (Not wait_for_function: the page's policy allows no eval.)"""
    target = page.evaluate("window.fed") + n
    end = time.monotonic() + 120 + n
    while page.evaluate("window.fed") < target:
        assert time.monotonic() < end, f"{page.evaluate('window.fed')} of {target} samples came"
        page.wait_for_timeout(100)


def footprint(page):
    """(bytes of JavaScript heap, DOM nodes, event listeners), after two garbage collections."""
    session = page.context.new_cdp_session(page)
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    counters = session.send("Memory.getDOMCounters")
    session.detach()
    return heap, counters["nodes"], counters["jsEventListeners"]
