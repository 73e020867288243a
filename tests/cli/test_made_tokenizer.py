"""Models without tokenizer.json, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.helpers import run


@pytest.fixture
def bare_model(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model with vocab.json and merges.txt in place of its tokenizer.json."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(tmp_path / "data"))
    directory = tmp_path / "bare"
    shutil.copytree(tiny_model, directory)
    model = json.loads((directory / "tokenizer.json").read_text())["model"]
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (directory / "merges.txt").write_text("\n".join(lines))
    names = {"unk_token": "<|end|>", "additional_special_tokens": ["<|role|>"]}
    (directory / "tokenizer_config.json").write_text(json.dumps(names | {"eos_token": "<|end|>"}))
    return directory


COMMANDS = [["tokens", "--ids"], ["complete", "-n", "5", "--temperature", "0"]]


@pytest.mark.parametrize("command", COMMANDS, ids=["tokens", "complete"])
def test_the_same_with_one_word_on_stderr(bare_model: Path, tiny_model: Path, command) -> None:
    """Catches another tokenizer than the model's own, no word about it, or one on every run."""
    text = "the cat sat"
    wanted = run(*command, "-m", str(tiny_model), text)
    first = run(*command, "-m", str(bare_model), text)
    again = run(*command, "-m", str(bare_model), text)
    assert first.out == again.out == wanted.out
    told = f"gptcli: hint: {bare_model}: has no tokenizer.json: made one from vocab.json and "
    assert [line for line in first.err.splitlines() if "tokenizer.json" in line] == [
        f"{told}merges.txt, kept for the next time"
    ]
    assert "tokenizer.json" not in again.err


def test_quiet(bare_model: Path) -> None:
    """Catches a word where none is wanted."""
    assert run("tokens", "-q", "-m", str(bare_model), "--count", "the cat").err == ""


def test_what_cannot_be_made_is_one_line(bare_model: Path) -> None:
    """Catches a traceback over a broken file."""
    (bare_model / "merges.txt").write_text("a b c")
    found = run("tokens", "-m", str(bare_model), "--count", "the cat")
    assert found.code == 3 and found.out == b""
    assert found.err.startswith(f"gptcli: error: {bare_model / 'vocab.json'}: cannot be made into")
    assert len(found.err.splitlines()) == 1
