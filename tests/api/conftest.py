"""Tests of the running server through its port. What starts it is tests/support/serving.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import serving  # noqa: E402
from serving import *  # noqa: E402, F403 - for the tests, and fixtures


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: of a module that runs profiles, what the thread sanitizer's build runs, too")


def pytest_collection_modifyitems(items):
    """A profile measures, and a lab with the thread sanitizer is some twenty times as slow: a few tests stand for all."""
    if serving.BUILD.name != "build-tsan":
        return
    skip = pytest.mark.skip(reason="runs profiles, which takes minutes in the thread sanitizer's build; others stand for it")
    for item in items:
        if item.path.stem.startswith(("test_profiling", "test_remote")) and not item.get_closest_marker("sanitize"):
            item.add_marker(skip)
