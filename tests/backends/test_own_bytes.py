"""Bytes of a text are those that were written, not those of its tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.choose import ChooseRequest
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from gptcli.types.score import ScoreRequest
from gptcli.types.tokens import DecodeRequest, TokensRequest
from tests.text.tokenizers_for_tests import BOS, sentence_piece, with_template


def opened(directory: Path) -> LocalBackend:
    model = ModelDir("tiny", directory, "a test")
    return LocalBackend(OpenModel(model, Compute(device="cpu", dtype="float32")))


@pytest.fixture(params=["first", "always"])
def model(request: pytest.FixtureRequest, tiny_model: Path, tmp_path: Path) -> Path:
    """Weights beside a tokenizer that puts a space before a text, and a BOS token."""
    directory = tmp_path / "spaced"
    shutil.copytree(tiny_model, directory)
    rust = with_template(sentence_piece(prepend=request.param), BOS)
    rust.save(str(directory / "tokenizer.json"))
    config = json.loads((directory / "config.json").read_text())
    tensors = load_file(directory / "model.safetensors")
    rows = torch.cat([tensors["model.embed_tokens.weight"]] * 2)
    assert rust.get_vocab_size() <= len(rows)
    save_file(tensors | {"model.embed_tokens.weight": rows}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(config | {"vocab_size": len(rows)}))
    return directory


TEXTS = ["the cat", "cat", "on the mat in France", "漢"]


@pytest.mark.parametrize("text", TEXTS)
def test_totals_are_those_of_the_text(model: Path, text: str) -> None:
    """ "Hi" divided by three bytes, since SentencePiece puts a space before it."""
    found = opened(model).answer(ScoreRequest(text)).totals
    assert (found.bytes, found.characters) == (len(text.encode()), len(text))
    assert found.unscored == 0


def test_a_context_leaves_the_text_its_bytes(model: Path) -> None:
    """A space that was written, after a context, taken for one that was not."""
    found = opened(model).answer(ScoreRequest(" on the mat", context="the cat")).totals
    assert found.bytes == len(" on the mat")
    named = opened(model).answer(ScoreRequest(" cat</s>the", special=True)).totals
    assert named.bytes in (len("cat</s>the"), len(" cat</s>the"))


def test_choices_that_begin_a_text(model: Path) -> None:
    """A comparison by bytes in which each choice has a byte that nobody wrote."""
    found = opened(model).answer(ChooseRequest("", ("the", "cat on"), by="byte"))
    assert {each.text: each.size for each in found.ranked} == {"the": 3, "cat on": 6}
    after = opened(model).answer(ChooseRequest("the", (" cat", " mat on"), by="byte"))
    assert {each.text: each.size for each in after.ranked} == {" cat": 4, " mat on": 7}


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_and_back(model: Path, text: str) -> None:
    """A text that comes back with a space before it."""
    backend = opened(model)
    cut = backend.answer(TokensRequest(text))
    back = backend.answer(DecodeRequest(cut.ids))
    assert back.data == cut.data == text.encode()
    assert (back.bytes, back.characters) == (cut.bytes, cut.characters)
