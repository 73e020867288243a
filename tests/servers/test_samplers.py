"""Each sampler against llama-server's, on the same weights after the same tokens."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace

import pytest

from gptcli.backends import open_backend
from gptcli.types.compute import Compute
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.samplers import SAMPLERS
from gptcli.types.sampling import SamplingWish
from gptcli.types.tokens import TokensRequest
from tests.tasks import ended

pytestmark = [pytest.mark.servers, pytest.mark.model]

#: Nothing but the order.
PLAIN = SamplingWish(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repeat_penalty=1.0)
PLAIN = replace(PLAIN, samplers=SAMPLERS)
#: How many tokens are told of.
ROWS = 40
WISHES = {
    "dry": {"dry_multiplier": 0.8, "dry_base": 2.0},
    "dry, far": {"dry_multiplier": 3.0, "dry_allowed_length": 1, "dry_penalty_last_n": 400},
    "dry, unbroken": {"dry_multiplier": 3.0, "dry_sequence_breakers": (" and",)},
    "top-n-sigma": {"top_n_sigma": 1.0},
    "typical-p": {"typical_p": 0.7},
    "xtc": {"xtc_probability": 1.0, "xtc_threshold": 0.05},
    "dynamic": {"temperature": 1.1, "dynatemp_range": 0.7, "dynatemp_exponent": 1.4},
    "all": {
        "dry_multiplier": 1.0,
        "top_n_sigma": 2.0,
        "top_k": 30,
        "typical_p": 0.95,
        "top_p": 0.95,
        "min_p": 0.01,
        "xtc_probability": 1.0,
        "xtc_threshold": 0.1,
        "temperature": 0.8,
        "dynatemp_range": 0.3,
    },
    "another order": {
        "temperature": 2.0,
        "top_k": 20,
        "xtc_probability": 1.0,
        "xtc_threshold": 0.02,
        "samplers": ("temperature", "xtc", "top_k"),
    },
}
PROMPTS = (
    "Once upon a time there was a king. Once upon a time there was a",
    "The cat and the dog: the cat and the",
    "My favourite colours are",
)


@pytest.fixture(scope="module")
def here(plain_default_model):
    """This machine's engine, in float32."""
    return ended(open_backend(Compute(model=str(plain_default_model), dtype="float32")))


def theirs(url, ids, wish):
    """What llama-server would draw, by id."""
    body = {name: value for name, value in vars(wish).items() if value not in (None, ())}
    body |= {"prompt": ids, "n_predict": 1, "n_probs": ROWS, "post_sampling_probs": True, "seed": 1}
    request = urllib.request.Request(
        url.removesuffix("/v1") + "/completion",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        (first,) = json.load(answer)["completion_probabilities"]
    return {each["id"]: each["prob"] for each in first["top_probs"] if each["prob"] > 0}


@pytest.mark.parametrize("name", WISHES)
def test_the_same_is_drawn(here, llama_server, name):
    """Catches a sampler that means something else than it does to those whose word it is, and one
    that stands elsewhere among the others.
    """
    wish = replace(PLAIN, **WISHES[name])
    for prompt in PROMPTS:
        ids = list(here.answer(TokensRequest(prompt)).ids)
        found = here.answer(NextTokensRequest(prompt, wish, rows=ROWS, by_drawn=True))
        ours = {each.token.id: each.drawn for each in found.candidates if each.drawn}
        told = theirs(llama_server, ids, wish)
        # Of the last few, which are next to nothing, either side may tell others.
        much = {each for each, share in (ours | told).items() if share > 1e-3}
        assert much <= ours.keys() & told.keys()
        for token in much:
            assert told[token] == pytest.approx(ours[token], rel=5e-3, abs=1e-4)
