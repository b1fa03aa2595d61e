"""Embeddings through the server: what mlx-lm's model makes of the last token behind its last norm, made to length 1."""
import json
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import serving  # noqa: E402
from checkpoints import build, family_config, random_tokens, save  # noqa: E402


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "llama-untied"])
def test_embeddings(tmp_path, family):
    config = family_config(family)
    model = build(config, 0)
    model.set_dtype(mx.bfloat16)
    save(tmp_path / "model", model, config)
    model.set_dtype(mx.float32)
    tokens = [random_tokens(seed, n).tolist() for seed, n in ((1, 5), (2, 70), (3, 1))]
    (tmp_path / "house").mkdir()
    server = serving.Server(tmp_path / "house", "--model", str(tmp_path / "model"), "--precise")
    try:
        answer = server.post("/v1/embeddings", {"input": tokens})
        assert answer.status_code == 200, answer.text
    finally:
        serving.finish(server)
    for one, ids in zip(answer.json()["data"], tokens):
        truth = np.array(model.model(mx.array([ids]))[0, -1])
        truth /= np.linalg.norm(truth)
        assert np.linalg.norm(np.array(one["embedding"]) - truth) <= 1e-3
    assert json.loads(answer.text)["usage"]["prompt_tokens"] == 76
