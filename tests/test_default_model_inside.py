"""A look inside the default model in float32, against transformers on the same weights."""

from __future__ import annotations

import pytest
import torch

from gptcli.types.attention import AttentionRequest
from gptcli.types.completion import Chunk, Request
from gptcli.types.explain import ExplainRequest
from gptcli.types.lens import LensRequest
from gptcli.types.neighbors import NeighborsRequest, Term
from gptcli.types.sampling import SamplingWish
from gptcli.types.shapes import ShapesRequest
from gptcli.types.what_if import PartedRequest

PROMPT = "The capital of France is Paris and the capital of Spain is"


@pytest.fixture(scope="module")
def oracle(default_oracle, default_backend):
    """transformers' attentions and hidden states of the prompt, and its model."""
    ids = torch.tensor([default_backend._open.tokenizer.encode(PROMPT)])
    with torch.no_grad():
        return default_oracle, default_oracle(
            ids, output_attentions=True, output_hidden_states=True
        )


def test_attention_of_every_head_equals_transformers(default_backend, oracle):
    """Catches a head that is another one than its number says."""
    found = default_backend.answer(AttentionRequest(PROMPT))
    theirs = torch.stack([each[0] for each in oracle[1].attentions]).flatten(0, 1)
    ours = torch.tensor([each.weights for each in found.maps])
    assert (ours - theirs).abs().max() < 1e-4


def test_the_lens_equals_transformers_at_every_layer(default_backend, oracle):
    """Catches a read-out that is off by a layer, or without the final norm."""
    found = default_backend.answer(LensRequest(PROMPT))
    model, out = oracle
    for layer, row in enumerate(found.grid):
        states = out.hidden_states[layer][0]
        if layer < found.layers:
            # The last of theirs has been through the final norm.
            states = model.model.norm(states)
        chances = model.lm_head(states).softmax(-1)
        for at, reading in enumerate(row):
            ids = [token.id for token, _ in reading.top]
            ours = torch.tensor([probability for _, probability in reading.top])
            assert (chances[at, ids] - ours).abs().max() < 1e-3
            assert (chances[at].topk(5).values - ours).abs().max() < 1e-3


def test_explain_adds_up_and_draws_what_complete_draws(default_backend, oracle):
    """Catches parts that are not those of the stream, and another walk than that of complete."""
    wish = SamplingWish(temperature=0.9)
    rounds = list(default_backend.answer(ExplainRequest(PROMPT, wish, steps=3, seed=5)))
    final = oracle[1].hidden_states[-2][0, -1]
    second_last = rounds[0].blocks[-3]
    assert second_last.name == "mlp" and second_last.layer == 28
    assert second_last.stream_norm == pytest.approx(final.norm().item(), rel=1e-4)
    for each in rounds:
        assert each.sum_error < 1e-4
    request = Request(PROMPT, wish, max_new_tokens=3, seed=5)
    text = "".join(each.text for each in default_backend.answer(request) if isinstance(each, Chunk))
    drawn = b"".join(each.drawn.token.bytes for each in rounds)
    assert drawn.decode() == text


def test_attention_makes_a_model_another_one(default_backend, default_oracle):
    """Catches streams that are held to each other at another token, layer or prompt."""
    texts = ["She is a machine learning model", "She is a fashion model"]
    found = default_backend.answer(PartedRequest(*texts))
    last = found.aligned[-1]
    assert last.token.text == " model" and last.start == pytest.approx(1, abs=1e-6)
    ends = []
    for text in texts:
        ids = torch.tensor([default_backend._open.tokenizer.encode(text)])
        with torch.no_grad():
            out = default_oracle(ids, output_hidden_states=True)
        ends.append(torch.stack([each[0, -1] for each in out.hidden_states[1:-1]]))
    theirs = torch.cosine_similarity(*ends, dim=-1)
    assert (torch.tensor(last.cosines[:-1]) - theirs).abs().max() < 1e-4
    assert min(last.cosines) < 0.8 < last.cosines[1]
    chances = {each.token.text: (each.probability, each.other) for each in found.expected}
    assert chances[" who"][1] > 10 * chances[" who"][0]
    assert chances[" trained"][0] > 10 * chances[" trained"][1]


def test_the_head_that_looks_at_france_speaks_for_paris(default_backend):
    """Catches a head that is told of by the number of another, and parts of another token."""
    wish = SamplingWish(temperature=0.0)
    (found,) = default_backend.answer(ExplainRequest("The capital of France is", wish))
    assert found.drawn.token.text == " Paris"
    head = next(each for each in found.contributions if each.part.head is not None)
    assert head.part.adds > 1 and head.looks[0][1].text == " France"
    total = sum(each.part.adds for each in found.contributions)
    assert total == pytest.approx(found.drawn.logit, abs=1e-4)


def test_neighbours_mean_something(default_backend):
    """Catches neighbours in another space, or of another row."""
    (jump,) = default_backend.answer(NeighborsRequest(words=("jump",))).found
    texts = {near.token.text.strip() for near in jump.found}
    assert {"leap", "hop"} <= texts and jump.tokens[0].text == " jump"
    terms = (Term(1, "king"), Term(-1, "man"), Term(1, "woman"))
    (royal,) = default_backend.answer(NeighborsRequest(terms=terms)).found
    assert royal.found[0].token.text == " queen"


def test_a_word_grows_apart_in_two_contexts(default_backend):
    """Catches vectors that do not hold their context."""
    contexts = ("a machine learning model", "a fashion model")
    found = default_backend.answer(NeighborsRequest(words=("model",), contexts=contexts))
    (drift,) = found.drifts
    assert drift.distances[0] == pytest.approx(0, abs=1e-6)
    assert max(drift.distances) > 0.1


def test_shapes_sum_to_the_model(default_backend):
    """Catches a part that is left out."""
    found = default_backend.answer(ShapesRequest(PROMPT, special=False))
    assert sum(part.parameters for part in found.parts) == found.parameters == 134_515_008
