"""A short version of kill_server.py, which says what is checked."""

import random

import kill_server


def test_a_killed_server_leaves_a_whole_database(tmp_path):
    seed = random.randrange(1 << 32)
    result = kill_server.run(tmp_path, 10, seed)
    assert result["acknowledged_messages"] > 0, result
