"""bench/acceptance, as far as it measures nothing."""

import os
import subprocess
import sys

from conftest import PROGRAM, ROOT


def test_golden_wants_a_build_folder_with_its_tests(tmp_path):
    (tmp_path / "llmind").symlink_to(PROGRAM)
    command = [sys.executable, ROOT / "bench" / "acceptance", "2", "--only", "golden", "--work", tmp_path / "work"]
    done = subprocess.run(command, env=os.environ | {"LLMIND_BUILD_DIR": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert f"golden needs tests/text_probe of the build folder, which {tmp_path} lacks" in done.stderr
    assert not (tmp_path / "work").exists()
