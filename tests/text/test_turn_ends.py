"""A raw text of an instruct model ends where its turns do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.text.tokenizer import Tokenizer
from gptcli.text.turn_ends import turn_ends
from tests.text.test_chat_template import directory_of


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return directory_of("chatml", tmp_path / "model")


def names(directory: Path) -> set[str]:
    tokenizer = Tokenizer(directory)
    return {tokenizer.bytes_of(token).decode() for token in turn_ends(tokenizer)}


def test_the_end_of_a_turn_ends_a_text(directory):
    """Catches a text that runs on into another turn: config.json names the document's end only."""
    assert names(directory) == {"<|im_end|>"}


def test_a_base_model_has_none(directory):
    """Catches an end for a model that was never taught to talk in turns."""
    config = json.loads((directory / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "chat_template.jinja").unlink(missing_ok=True)
    assert names(directory) == set()


def test_a_text_that_is_no_token_ends_nothing(directory):
    """Catches a template's words that are taken for tokens, and broken templates that stop all."""
    (directory / "chat_template.jinja").write_text("{{ '<end_of_turn>' }}")
    assert names(directory) == set()
    (directory / "chat_template.jinja").write_bytes(b"\xff<|im_end|>")
    assert names(directory) == set()
