"""Issue D: the page. What it weighs, how soon it can be used, whether it leaks, and what watching costs.

Needs Chromium in PATH and Playwright for Python (both from scripts/bootstrap test).
"""
import contextlib
import http.client
import json
import os
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "browser"))
from feed import footprint  # noqa: E402
from issue_3 import PAIRS, Server, chat_body, confidence, stream_once  # noqa: E402

LEAK_SECONDS = int(os.environ.get("LLMIND_LEAK_SECONDS", "3600"))
FIRST_PAINT_BYTES = 300_000
INTERACTIVE_MS = 1000
PAGES = ("/", "/chat", "/models", "/performance", "/history", "/settings")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]

# When there is something to use: the page's own heading, and a way to go on. Read from the page's own clock.
NOTE_USABLE = """
addEventListener('DOMContentLoaded', () => {
  const usable = () => document.querySelector('main h1') && document.querySelector('nav a[href]');
  const look = () => (usable() ? (window.usableAt ??= performance.now()) : setTimeout(look, 4));
  look();
});
"""


@contextlib.contextmanager
def chromium():
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        raise RuntimeError("no Chromium in PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def tab(browser, server, path):
    """A tab of a new profile, with what came over the wire as {path: bytes, heads included}."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{server.port}", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.add_init_script(NOTE_USABLE)
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    names, sizes = {}, {}
    session.on("Network.responseReceived", lambda e: names.update({e["requestId"]: e["response"]["url"]}))
    session.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    page.goto(path)
    page.locator("main h1").wait_for(state="attached")
    page.wire = lambda: {"/" + names[i].split("/", 3)[3]: size for i, size in sizes.items() if i in names}
    yield page
    context.close()


def first_paint(run):
    """The first view of each page is <= 300 kB compressed, and can be used within 1 s of asking for it."""
    weighs, whole, soon = {}, {}, {}
    with Server(run) as server, chromium() as browser:
        for path in PAGES:
            times = []
            for _ in range(5):
                with tab(browser, server, path) as page:
                    page.wait_for_timeout(700)  # what comes a little later belongs to it, too
                    files = {n: size for n, size in page.wire().items() if not n.startswith(("/api/", "/v1/", "/health"))}
                    whole[path] = sum(files.values())
                    # charts come when they are first seen, after the first paint of a page that has some
                    weighs[path] = sum(size for name, size in files.items() if "/echarts" not in name)
                    times.append(page.evaluate("window.usableAt"))
            soon[path] = times
    medians = {path: round(statistics.median(times)) for path, times in soon.items()}
    return {"passed": max(weighs.values()) <= FIRST_PAINT_BYTES and max(medians.values()) < INTERACTIVE_MS,
            "bars": {"bytes": FIRST_PAINT_BYTES, "ms": INTERACTIVE_MS}, "bytes": weighs, "bytes_with_charts": whole,
            "median_ms": medians, "samples": soon}


class Chatter(threading.Thread):
    """Asks a little now and then, so that the figures move."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.over = server, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(3):
            with contextlib.suppress(Exception):
                stream_once(self.server, chat_body(max_tokens=20))


def leak(run):
    """The live charts leak nothing: heap after garbage collection flat within 5 %, no further nodes or listeners."""
    warm_up = max(75, min(600, LEAK_SECONDS * 0.15))  # the ring of the last minute fills, the code is compiled
    every = max(5, LEAK_SECONDS / 60)
    readings = []
    with Server(run) as server, chromium() as browser, tab(browser, server, "/performance") as page:
        page.locator("canvas").first.wait_for()
        chatter = Chatter(server)
        page.wait_for_timeout(warm_up * 1000)
        start = time.monotonic()
        while time.monotonic() - start < LEAK_SECONDS:
            page.wait_for_timeout(every * 1000)
            heap, nodes, listeners = footprint(page)
            readings.append({"s": round(time.monotonic() - start), "heap": heap, "nodes": nodes, "listeners": listeners})
        chatter.over.set()
        chatter.join(30)
    few = max(3, len(readings) // 8)  # a median of several: whatever happens to be open at one of them is no leak

    def growth(key):
        first, last = (statistics.median(r[key] for r in part) for part in (readings[:few], readings[-few:]))
        return round(last / first - 1, 4)

    grown = {key: growth(key) for key in ("heap", "nodes", "listeners")}
    return {"passed": grown["heap"] <= 0.05 and max(grown["nodes"], grown["listeners"]) <= 0.02, "bar": 0.05,
            "watched_s": LEAK_SECONDS, "growth": grown, "heap_bytes": [readings[0]["heap"], readings[-1]["heap"]],
            "samples": readings}


class Watcher(threading.Thread):
    """A client of the live stream that only reads."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.connection.request("GET", "/api/performance/stream")
        self.socket, self.events = self.connection.sock, 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            answer = self.connection.getresponse()
            while line := answer.readline():
                self.events += line.startswith(b"data:")

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(2)
        self.join(10)
        self.connection.close()


def ratios_of(server, body, watch):
    """Decoding with watch() open against without, as the engine times it, in the order A B B A."""
    def rate():
        return stream_once(server, body)[2]["decode_tokens_per_second"]

    def watched():
        with watch():
            time.sleep(1.2)  # it has begun
            return rate()

    rate()
    ratios = []
    for _ in range(max(2, PAIRS // 2)):
        a1, b1, b2, a2 = rate(), watched(), watched(), rate()
        ratios += [b1 / a1, b2 / a2]
    mean, lower = confidence(ratios)
    return {"mean_ratio": round(mean, 4), "median_ratio": round(statistics.median(ratios), 4), "ci95_lower": round(lower, 4),
            "samples": ratios}


def stream_cost(run):
    """Serving the live stream costs the decode < 2 %, without a browser; what a browser costs on the same cores is told."""
    models = {"llama-3.2-1b": (run.model("llama-3.2-1b", "--bits", "4"), 64), "builtin": ("builtin", 1000)}
    bare, shown = {}, {}
    for name, (model, n_tokens) in models.items():
        with Server(run, model=model) as server:
            own = "builtin" if name == "builtin" else None
            body = chat_body(max_tokens=n_tokens, temperature=0, ignore_eos=True, cache_prompt=False, model=own)

            @contextlib.contextmanager
            def client():
                watcher = Watcher(server)
                yield
                watcher.close()
                assert watcher.events, "the live stream said nothing"

            bare[name] = ratios_of(server, body, client)
            with chromium() as browser:
                shown[name] = ratios_of(server, body, lambda: tab(browser, server, "/performance"))
    return {"passed": all(max(m["mean_ratio"], m["median_ratio"]) >= 0.98 and m["ci95_lower"] >= 0.95 for m in bare.values()),
            "bar": "0.98, lower bound 0.95", "stream": {n: {k: v for k, v in m.items() if k != "samples"} for n, m in bare.items()},
            "browser_reported_only": {n: {k: v for k, v in m.items() if k != "samples"} for n, m in shown.items()},
            "samples": {"stream": {n: m["samples"] for n, m in bare.items()},
                        "browser": {n: m["samples"] for n, m in shown.items()}}}


CHECKS = {"first_paint": first_paint, "leak": leak, "stream_cost": stream_cost}
