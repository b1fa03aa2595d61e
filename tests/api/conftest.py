"""Tests of the running server through its port. What starts it is tests/support/serving.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from serving import (  # noqa: E402, F401 - for the tests, and fixtures
    BUILD,
    BUILTIN,
    PATIENCE_S,
    PROGRAM,
    ROOT,
    Server,
    clean_environment,
    events,
    finish,
    problem,
    schemas,
    server,
    start_server,
    wait_for,
)


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: of a module that runs profiles, what the thread sanitizer's build runs, too")


def pytest_collection_modifyitems(items):
    """A profile measures, and a lab with the thread sanitizer is some twenty times as slow: a few tests stand for all."""
    if BUILD.name != "build-tsan":
        return
    skip = pytest.mark.skip(reason="runs profiles, which takes minutes in the thread sanitizer's build; others stand for it")
    for item in items:
        if item.path.stem.startswith(("test_profiling", "test_remote")) and not item.get_closest_marker("sanitize"):
            item.add_marker(skip)
