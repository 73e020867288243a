"""Steered by the same file llama-server and gptcli say the same, and what is recorded of it."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.test_default_model_steering import RECORDED, TOKENS

pytestmark = [pytest.mark.servers, pytest.mark.model]


@pytest.mark.parametrize("row", RECORDED, ids=[row["prompt"] for row in RECORDED])
def test_llama_server_says_what_is_recorded(steered_llama_server, row):
    """Catches a record that llama.cpp no longer says: a file, a scale or a range that it takes
    otherwise."""
    body = {"prompt": row["prompt"], "n_predict": TOKENS, "temperature": 0, "cache_prompt": False}
    request = urllib.request.Request(
        steered_llama_server.removesuffix("/v1") + "/completion",
        json.dumps(body | {"samplers": ["temperature"]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert json.load(answer)["content"] == row["text"]
