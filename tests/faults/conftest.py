"""The server of tests/api, for tests that hurt it."""

import importlib.util
import pathlib
import sys

_path = pathlib.Path(__file__).resolve().parents[1] / "api" / "conftest.py"
_spec = importlib.util.spec_from_file_location("llmind_api_conftest", _path)
api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(api)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

server, start_server, problem = api.server, api.start_server, api.problem
