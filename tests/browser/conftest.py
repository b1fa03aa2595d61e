"""The page in a real browser, served by the real program. Chromium is the system's; Playwright drives it.

`page` is a tab of `context`, a browser with a profile of its own whose addresses are relative to the server:
page.goto("/history"). `open_context(server=..., color_scheme="light")` makes further ones, also for another server, with
any option of a Playwright context. A test fails when any of their pages logs an error, breaks its
Content-Security-Policy, throws, or asks any other server for anything. Answers of the API with a status of 400 to 499 are
none: the page is made for them. Whatever else belongs to the test is announced: page.expected_errors.append("CSP:").
"""

import pathlib
import re
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from serving import *  # noqa: E402, F403 - for the tests, and fixtures

PATIENCE_MS = 30_000
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A violation is an error on the console, too, but one that names neither the directive nor the place.
WATCH_POLICY = """
    document.addEventListener('securitypolicyviolation', (event) =>
        console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""


def chromium():
    return next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason=".venv has no playwright (scripts/bootstrap test)")
    if not chromium():
        pytest.skip("no Chromium in PATH (Debian: apt-get install chromium)")
    playwright.expect.set_options(timeout=PATIENCE_MS)  # 5 s is little for a busy machine
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield started
        started.close()


class Problems:
    """What went wrong in one context, but for what its test expects (parts of messages, page.expected_errors)."""

    def __init__(self, context, origin):
        self.origin, self.found, self.pages = origin, [], []
        context.on("console", lambda message: message.type == "error" and self._logged(message))
        context.on("weberror", lambda problem: self.note("uncaught", problem.error.stack or problem.error.message))
        context.on("request", lambda request: self._asked(request.url))
        context.on("page", self._opened)

    def note(self, kind, text):
        self.found.append(f"{kind}: {text}")

    def _opened(self, page):
        page.expected_errors = []
        self.pages.append(page)

    def _logged(self, message):
        url = message.location.get("url", "")
        answer = re.match(r"Failed to load resource: .* status of 4\d\d ", message.text)
        if not (answer and url.startswith((f"{self.origin}/api/", f"{self.origin}/v1/"))):
            self.note("console", f"{message.text} ({url})")

    def _asked(self, url):
        if not url.startswith((f"{self.origin}/", "data:", "blob:", "about:")):
            self.note("request to another server", url)

    @property
    def unexpected(self):
        expected = [part for page in self.pages for part in page.expected_errors]
        return [text for text in self.found if not any(part in text for part in expected)]


@pytest.fixture
def open_context(browser, server):  # noqa: F811
    opened, default = [], server

    def open_(server=default, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "base_url": server.url} | options)
        context.problems = Problems(context, server.url)
        opened.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(WATCH_POLICY)
        return context

    yield open_
    unexpected = [text for context in opened for text in context.problems.unexpected]
    for context in opened:
        for tab in context.pages:  # an answer that a route is still writing has lost its asker: no error of the next test
            tab.unroute_all(behavior="ignoreErrors")
        context.close()
    assert not unexpected, "\n".join(unexpected)


@pytest.fixture
def context(open_context):
    return open_context()


@pytest.fixture
def page(context):
    return context.new_page()
