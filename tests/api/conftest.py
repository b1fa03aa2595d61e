"""Tests of the running server through its port. What starts it is tests/support/serving.py."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import serving  # noqa: E402
from serving import *  # noqa: E402, F403 - for the tests, and fixtures


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: of what runs profiles, the tests that the sanitizers' builds run in any case")
    config.addinivalue_line("markers", "not_under(sanitizers): what takes minutes in the builds of these (asan, tsan), where others stand for it")


def left_out(item):
    """What a sanitizer's build does not run. A profile measures, and a lab with the thread sanitizer is some twenty times
    as slow: of the modules that run profiles a few tests stand for all."""
    build = serving.BUILD.name.removeprefix("build-")
    if item.get_closest_marker("sanitize"):
        return False
    if build == "tsan" and item.path.stem.startswith(("test_profiling", "test_remote")):
        return True
    return any(build in mark.args for mark in item.iter_markers("not_under"))


def pytest_collection_modifyitems(config, items):
    out = [item for item in items if left_out(item)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
