"""Layers that only mix or only think, as some hybrids have them: what is told of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.arrays import host, softmax
from gptcli.engine.describe import describe
from gptcli.engine.edits import Edit
from gptcli.engine.model.mixers import ShortConv
from gptcli.engine.model.spec import LayerSpec
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from gptcli.errors import ContextError, UsageError
from gptcli.types.attention import AttentionRequest
from gptcli.types.compute import Compute
from gptcli.types.explain import ExplainRequest
from gptcli.types.models import ModelDir
from gptcli.types.parts_off import PartsOffRequest
from gptcli.types.shapes import ShapesRequest
from gptcli.types.what_if import PartedRequest


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> LocalBackend:
    """A state alone, an MLP alone, attention alone, then a whole layer."""
    spec = describe(tiny_model).spec
    attends = spec.each_layer[0]
    layers = (
        LayerSpec(mixer=ShortConv(spec.width, 3), thinks=False),
        LayerSpec(mixes=False),
        replace(attends, thinks=False),
        attends,
    )
    decoder = Decoder(replace(spec, each_layer=layers)).requires_grad_(False)
    torch.manual_seed(4)
    for parameter in decoder.parameters():
        parameter.normal_(std=0.3)
    model = OpenModel(ModelDir("tiny", tiny_model, "test"), Compute(device="cpu"))
    model.__dict__["runner"] = TorchRunner(decoder)
    return LocalBackend(model)


def test_a_walk_has_the_blocks_that_are_there(backend):
    """Catches updates of blocks that are not there, and a sum that lacks those that are."""
    (found,) = backend.answer(ExplainRequest("the cat sat"))
    blocks = [(each.layer, each.name) for each in found.blocks]
    assert blocks == [(0, "state"), (1, "mlp"), (2, "attention"), (3, "attention"), (3, "mlp")]
    assert found.sum_error < 1e-4
    assert (found.facts.attending, found.facts.carrying) == (2, 1)


def test_each_part_off_is_an_edited_pass(backend):
    """Catches a part that is told of as another, is off at some tokens alone, or stays on."""
    runner, ids = backend.model.runner, backend.model.encode("the cat sat")
    asked = PartsOffRequest("the cat sat", follow=(5, 3), drawn=(7,), rows=4)
    found = list(backend.answer(asked))
    places = [(0, "state"), (1, "mlp"), (2, "attention"), (3, "attention"), (3, "mlp")]
    assert [(each.layer, each.name) for each in found] == places
    for each in found:
        point = "mlp" if each.name == "mlp" else "attention"
        edited = runner.edited([Edit(point, each.layer, factor=0.0)])
        chances = softmax(host(edited.prefill([[*ids, 7]], edited.new_state()))[0])
        np.testing.assert_allclose(each.followed, chances[[5, 3]], rtol=1e-4)
        best = np.argsort(-chances, stable=True)[:4]
        assert [token.id for token, _ in each.says] == best.tolist()
        np.testing.assert_allclose([share for _, share in each.says], chances[best], rtol=1e-4)
    (some,) = backend.answer(replace(asked, layers=(1,)))
    assert (some.layer, some.name) == (1, "mlp")
    assert some.followed == pytest.approx(found[1].followed, rel=1e-4)
    with pytest.raises(UsageError, match="must be from 0 to 3, not 4"):
        list(backend.answer(replace(asked, layers=(4,))))
    with pytest.raises(ContextError, match="at most 256"):
        list(backend.answer(replace(asked, drawn=(7,) * 256)))


def test_two_walks_through_the_blocks_that_are_there(backend):
    """Catches a stream that is looked for in a layer that lacks a part."""
    found = backend.answer(PartedRequest("the cat sat", "the dog sat"))
    assert found.behind and [len(each.cosines) for each in found.aligned] == [4] * len(
        found.aligned
    )
    assert found.aligned[-1].start == pytest.approx(1)


def test_a_layer_of_one_token_alone_has_neither_map_nor_state(backend):
    """Catches a layer that only thinks, of which a map or a state is told."""
    found = backend.answer(AttentionRequest("the cat sat"))
    assert sorted({each.layer for each in found.maps}) == [2, 3]
    assert [each.layer for each in found.states] == [0]
    with pytest.raises(UsageError, match="1 is of one token alone"):
        backend.answer(AttentionRequest("the cat sat", layer=1))


def test_tensors_of_the_layers_that_make_them(backend):
    """Catches tensors of each layer that only some make."""
    found = {each.name: each.layers for each in backend.answer(ShapesRequest("the cat")).flow}
    assert (found["weights"], found["mixer"], found["mlp"]) == ((2, 3), (0,), (1, 3))
