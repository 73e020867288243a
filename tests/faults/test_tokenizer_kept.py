"""A tokenizer that was made and kept, and a verdict, are checked before they are believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gptcli.text import tokenizer_trial
from gptcli.text.tokenizer import Tokenizer
from tests.formats.tokenizer_json.spm import train
from tests.text.tokenizers_for_tests import byte_level


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer.model").write_bytes(train())
    return tmp_path


@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: b"",
        lambda whole: b"\xff\xfe",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1] + b" ",
        lambda whole: whole.replace(b'"unk_token"', b'"UNK_token"'),
        lambda whole: b"1" * 5000 + whole,
        lambda whole: whole.replace(b" 2\n", b" 9\n", 1),
    ],
)
def test_what_is_broken_is_made_anew(model: Path, own_home: Path, broken) -> None:
    """An empty file blamed on the model's own, for ever; a traceback for bytes that are no text."""
    wanted = Tokenizer(model).encode("abc ade")
    (kept,) = (own_home / "data" / "tokenizers").glob("*.json")
    whole = kept.read_bytes()
    kept.write_bytes(broken(whole))
    assert kept.read_bytes() != whole, "the fault itself"
    again = Tokenizer(model)
    assert again.encode("abc ade") == wanted and len(again.notices) == 1
    assert kept.read_bytes() == whole


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "added_tokens.json"])
def test_what_it_is_made_of_is_what_it_is_known_by(model: Path, name: str) -> None:
    """A tokenizer that outlives a file that it was made of."""
    assert Tokenizer(model).notices
    (model / name).write_text('{"tokenizer_class": "GemmaTokenizer"}' if "c" in name[:1] else "{}")
    assert Tokenizer(model).notices


@pytest.mark.parametrize("said", [b"", b"x", b"7", b"-1\n", b"9" * 5000 + b"\n"])
def test_a_broken_verdict_is_none(
    tmp_path: Path, own_home: Path, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a power failure emptied, taken for a verdict."""
    byte_level().save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(tokenizer_trial, "_known", {})
    Tokenizer(tmp_path)
    (kept,) = (own_home / "data" / "tried").iterdir()
    right = kept.read_bytes()
    kept.write_bytes(said)
    monkeypatch.setattr(tokenizer_trial, "_known", {})
    Tokenizer(tmp_path)
    assert kept.read_bytes() == right


def test_what_is_known_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own at every start."""
    byte_level().save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(tokenizer_trial, "_known", {})
    Tokenizer(tmp_path)
    monkeypatch.setattr(tokenizer_trial, "_known", {})
    monkeypatch.setattr(tokenizer_trial, "trial", lambda *_: pytest.fail("tried again"))
    Tokenizer(tmp_path)


def test_a_hole_of_terabytes_is_not_read(tmp_path: Path) -> None:
    """A digest of 20 GB of zeros, before their number is looked at."""
    with (tmp_path / "tokenizer.model").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Exception, match="larger than any tokenizer"):
        Tokenizer(tmp_path)
