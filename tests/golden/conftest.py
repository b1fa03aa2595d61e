import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def program():
    """The llmind under test: $LLMIND_BUILD_DIR/llmind, or build/llmind."""
    path = Path(os.environ.get("LLMIND_BUILD_DIR", ROOT / "build")) / "llmind"
    if not path.exists():
        pytest.fail(f"{path} is not there: build first (make build), or set LLMIND_BUILD_DIR")
    return path
