"""--suffix: the document that is continued, and what is told where there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.helpers import run

NAMES = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")


@pytest.fixture
def filling(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model, some tokens of which are called marks."""
    found = tmp_path / "filling"
    shutil.copytree(tiny_model, found)
    file = found / "tokenizer.json"
    said = json.loads(file.read_text())
    bpe = said["model"]
    # Some that nothing else is made of.
    parts = {part for pair in bpe["merges"] for part in pair}
    free = [name for name in bpe["vocab"] if name not in parts and len(name) > 1][-3:]
    bpe["merges"] = [pair for pair in bpe["merges"] if "".join(pair) not in free]
    how = dict.fromkeys(("normalized", "lstrip", "rstrip", "single_word"), False)
    for old, name in zip(free, NAMES, strict=True):
        token = bpe["vocab"].pop(old)
        bpe["vocab"][name] = token
        said["added_tokens"].append({"id": token, "content": name, "special": True, **how})
    said["added_tokens"].sort(key=lambda each: each["id"])
    file.write_text(json.dumps(said))
    return found


def answer(model: Path, *argv: str):
    flags = ("-m", str(model), "--temp", "0", "-n", "8", "--json")
    done = run("complete", *flags, *argv)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    return found["choices"][0]["text"], found["usage"]["prompt_tokens"]


def test_it_is_the_document_with_marks(filling):
    """Catches a suffix that is not read, or stands elsewhere, and marks that are read as text."""
    written = f"{NAMES[0]}the cat{NAMES[1]} and the dog{NAMES[2]}"
    expected, tokens = answer(filling, "--special", written)
    found, ours = answer(filling, "--special", "--suffix", " and the dog", "the cat")
    assert ours == tokens and found == expected
    other, _ = answer(filling, "--special", "--suffix", " and a cow", "the cat")
    assert other != found


def test_what_cannot_be_filled_in(filling, tiny_model):
    """Catches a suffix that is left out without a word."""
    done = run("complete", "-m", str(tiny_model), "--suffix", "b", "a")
    assert done.code == 2 and "--suffix: the vocabulary of" in done.err
    echo = run("complete", "-m", "echo", "--suffix", "b", "a")
    assert echo.code == 2 and "--suffix: echo" in echo.err
    both = run("complete", "-m", str(filling), "--suffix", "b", "--heal", "a")
    assert both.code == 2 and "--heal: cannot be combined with --suffix" in both.err
