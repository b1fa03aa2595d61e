"""The server of tests/api, for tests that hurt it."""

import pathlib
import sys

_here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_here), str(_here.parent / "support")]

import serving as api  # noqa: E402

server, start_server, problem = api.server, api.start_server, api.problem
