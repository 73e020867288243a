"""What is kept of a tokenizer is checked before it is believed: one that was made, a verdict, and
the form that opens fast.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Rust
from tokenizers import models

from gptcli.errors import ModelError
from gptcli.text import library_tokenizer, made_tokenizer, opened_tokenizer, tokenizer_trial
from gptcli.text.kept.tokenizer import KeptTokenizer
from gptcli.text.tokenizer import Tokenizer
from tests.formats.tokenizer_json.spm import train
from tests.text.kept.tokenizers import trained
from tests.text.tokenizers_for_tests import byte_level, saved


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


# The form that opens fast


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever there is counts as large: by its tokens, and by the bytes of its file."""
    monkeypatch.setattr(opened_tokenizer, "_LARGE", 0)
    monkeypatch.setattr(made_tokenizer, "_HELD", -1)


def _form(home: Path) -> Path:
    (found,) = (home / "data" / "packed").glob("*.tokenizer")
    return found


def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_tokenizer, "read", lambda *_: pytest.fail("opened whole"))


@pytest.mark.parametrize("made", [False, True])
def test_a_kept_form_is_opened_alone(
    made: bool, tmp_path: Path, model: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a vocabulary read again at each start, by the tool or by the library."""
    directory = model if made else tmp_path / "other"
    tokenizer = Tokenizer(model) if made else saved(trained("llama2").steps, directory)
    wanted = tokenizer.cut("the cat abc </s>"), tokenizer.prefix, tokenizer.size
    _no_library(monkeypatch)
    again = Tokenizer(directory)
    assert (again.cut("the cat abc </s>"), again.prefix, again.size) == wanted
    assert not again.notices


def test_small_tokenizers_are_not_kept(tmp_path: Path, own_home: Path) -> None:
    """A second file for each of a thousand small models."""
    saved(trained("gpt2").steps, tmp_path)
    assert not (own_home / "data" / "packed").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:70] + b"\xff" + whole[71:],
        lambda whole: whole[:-9] + b"\1" + whole[-8:],
        lambda whole: whole + b"\0",
        lambda whole: b"0" * 64 + whole[64:],
    ],
)
def test_a_broken_form_is_made_anew(tmp_path: Path, own_home: Path, large: None, broken) -> None:
    """Other ids, a traceback, or a crash, for a file that a power failure has cut."""
    wanted = saved(trained("llama3").steps, tmp_path).cut("the cat in France")
    kept = _form(own_home)
    whole = kept.read_bytes()
    kept.write_bytes(broken(whole))
    assert kept.read_bytes() != whole, "the fault itself"
    assert Tokenizer(tmp_path).cut("the cat in France") == wanted
    assert kept.read_bytes() == whole


def test_another_models_form_is_none(tmp_path: Path, own_home: Path, large: None) -> None:
    """A whole form in the place of another, as a model of the same name and place leaves it."""
    wanted = saved(trained("llama3").steps, tmp_path / "a").encode("the cat")
    right = _form(own_home)
    saved(trained("llama2").steps, tmp_path / "b")
    (other,) = set(right.parent.glob("*.tokenizer")) - {right}
    right.write_bytes(other.read_bytes())
    assert Tokenizer(tmp_path / "a").encode("the cat") == wanted


def test_a_changed_tokenizer_has_another_form(tmp_path: Path, large: None) -> None:
    """The old tokenizer's ids after `cp -p` of another; other control tokens than files name."""
    old = saved(trained("llama2").steps, tmp_path)
    path = tmp_path / "tokenizer.json"
    text, times = path.read_bytes(), path.stat()
    assert b'"<tool>"' in text
    path.write_bytes(text.replace(b'"<tool>"', b'"<toil>"'))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    new = Tokenizer(tmp_path)
    assert (old.id_of("<toil>"), new.id_of("<tool>")) == (None, None)
    assert new.id_of("<toil>") in new.encode("a <toil>")
    assert new.id_of("<end>") is None
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<end>"}')
    newest = Tokenizer(tmp_path)
    assert newest.is_special(newest.id_of("<end>"))


def test_what_is_told_of_files_is_told_again(tmp_path: Path, large: None) -> None:
    """A contradiction between files that is told once, and never after that."""
    rust = trained("llama2").steps
    settings = {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False}
    first = saved(rust, tmp_path, **settings)
    assert first.notices and Tokenizer(tmp_path).notices == first.notices
    assert first.decode(first.encode("the cat")) == b"the cat"
    assert first.encode("the cat") == Tokenizer(tmp_path).encode("the cat")


def test_a_tokenizer_that_changes_while_it_is_open(tmp_path: Path, large: None) -> None:
    """Half of a long conversation in the ids of another tokenizer."""
    tokenizer = saved(trained("llama2").steps, tmp_path)
    tokenizer.encode("the cat")
    path = tmp_path / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(b"<tool>", b"<toil>"))
    with pytest.raises(ModelError, match="was changed while it was being used"):
        tokenizer.encode("the cat " * 10_000)


@pytest.mark.parametrize("full", [False, True])
def test_a_form_that_cannot_be_kept(
    tmp_path: Path, own_home: Path, large: None, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second of work at each start for what no disk takes, or an error for want of a cache."""
    if full:
        monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    else:
        (own_home / "data").mkdir()
        (own_home / "data" / "packed").write_text("a file")
        monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("gptcli.text.kept.making.made", lambda _: pytest.fail("made"))
    tokenizer = saved(trained("gemma").steps, tmp_path)
    assert tokenizer.decode(tokenizer.encode("the cat")) == b"the cat"


def test_a_form_that_cuts_otherwise_is_not_kept(
    tmp_path: Path, own_home: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in what is kept that every later start believes."""
    right = KeptTokenizer._cut
    monkeypatch.setattr(KeptTokenizer, "_cut", lambda *a: (right(*a) or [])[:-1])
    wanted = trained("gemma").cut("the cat", special=False, inside=False)
    assert saved(trained("gemma").steps, tmp_path).cut("the cat") == wanted
    assert _form(own_home).stat().st_size < 1000
    assert Tokenizer(tmp_path).cut("the cat") == wanted


def test_what_is_left_to_the_library_is_tried_once(
    tmp_path: Path, own_home: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second of work at each start for a form that there cannot be."""
    rust = Rust(models.WordPiece({"a": 0, "[UNK]": 1}))
    assert saved(rust, tmp_path).encode("a") == [0]
    monkeypatch.setattr("gptcli.text.kept.making.made", lambda _: pytest.fail("tried again"))
    assert Tokenizer(tmp_path).encode("a") == [0]
