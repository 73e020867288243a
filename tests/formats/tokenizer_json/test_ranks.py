"""Directories that have tiktoken's ranks only, against tiktoken itself."""

from __future__ import annotations

import base64
import json
import random
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Rust
from tokenizers import models, pre_tokenizers, trainers

from gptcli.errors import ModelError
from gptcli.formats.tokenizer_json import ranks, reading
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.text.token_bytes import byte_level
from gptcli.text.tokenizer import Tokenizer

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = CL100K.replace("{1,3}", "")
# As tokenization_kimi.py has it.
KIMI = "|".join(
    (
        r"[\p{Han}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
O200K = (
    KIMI.replace("&&[^\\p{Han}]", "").replace(r"[\p{Han}]+|", "").replace(r"+[\r\n]*", r"+[\r\n/]*")
)
#: File, tokenizer_class, model_type, and the pattern that goes with them.
KINDS: dict[str, tuple[str, str | None, str | None, str]] = {
    "Kimi": ("tiktoken.model", "TikTokenTokenizer", "kimi_k2", KIMI),
    "Qwen": ("qwen.tiktoken", "QWenTokenizer", "qwen", QWEN),
    "Llama 3": ("tokenizer.model", "PreTrainedTokenizerFast", "llama", CL100K),
    "by name": ("o200k_base.tiktoken", None, None, O200K),
}
TEXT = (
    "The quick brown fox's 12345 friends won't jump over the lazy dogs; naïve cafés, "
    "漢字とかな混じり文 中文 한국어 हिन्दी กำ العربية русский HeLLo wORLD x += 1;\n\n\treturn  y\r\n"
)
_CHANCE = random.Random(5)


@cache
def made() -> dict[bytes, int]:
    """Bytes in an order of their own, what a training joins, and a word that no pair makes."""
    rust = Rust(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False)
    rust.train_from_iterator([TEXT, TEXT.lower(), TEXT.upper()], trainer)
    learnt = [each for each in rust.get_vocab(False).items() if len(byte_level(each[0])) > 1]
    joined = [byte_level(text) for text, _ in sorted(learnt, key=lambda each: each[1])]
    single = [bytes([byte]) for byte in _CHANCE.sample(range(256), 256)]
    return {token: at for at, token in enumerate([*single, *joined, b"zqzq"])}


def lines(tokens: dict[bytes, int]) -> bytes:
    return b"".join(b"%s %d\n" % (base64.b64encode(each), at) for each, at in tokens.items())


def write(directory: Path, file: str, kind: str | None, model: str | None, **said: Any) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / file).write_bytes(lines(made()))
    config = said | ({} if kind is None else {"tokenizer_class": kind})
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "config.json").write_text(json.dumps({"model_type": model} if model else {}))
    return directory


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(tmp_path / "data"))


texts = st.lists(
    st.one_of(
        st.integers(0, len(TEXT) - 1).flatmap(
            lambda at: st.integers(1, 9).map(lambda size: TEXT[at : at + size])
        ),
        st.sampled_from(["zqzq", " zqzq", "e\u0301", "🙂", "I'LL", "/\n", "漢A", "   ", "\u3000"]),
    ),
    max_size=12,
).map("".join)


#: Those that a test has opened, each once.
_open: dict[Path, Tokenizer] = {}


@pytest.mark.parametrize("name", KINDS)
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_ids_are_tiktoken_s(name: str, tmp_path: Path, data: st.DataObject) -> None:
    """Catches a way that is another's, merges out of order, and words put together from merges."""
    file, kind, model, pattern = KINDS[name]
    directory = tmp_path / "model"
    if directory not in _open:
        _open[directory] = Tokenizer(write(directory, file, kind, model))
    ours, theirs = _open[directory], _theirs(pattern)
    text = data.draw(texts)
    whole = unicodedata.normalize("NFC", text) if name == "Qwen" else text
    ids = ours.encode(text)
    assert ids == theirs.encode_ordinary(whole)
    assert ours.decode(ids) == whole.encode()


@cache
def _theirs(pattern: str) -> tiktoken.Encoding:
    return tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=made(), special_tokens={})


def test_added_tokens_and_what_nobody_names(tmp_path: Path) -> None:
    """Catches control tokens lost, ids that shift over a gap, and a BOS that was not asked for."""
    first = len(made())
    named = {first: "[BOS]", first + 1: "[EOS]", first + 4: "<|im_end|>"}
    listed = {str(at): {"content": text, "special": True} for at, text in named.items()}
    said = {"added_tokens_decoder": listed, "bos_token": "[BOS]", "eos_token": "[EOS]"}
    file, kind, model, _ = KINDS["Kimi"]
    ours = Tokenizer(write(tmp_path / "model", file, kind, model, **said))
    assert ours.size == first + 5 and ours.prefix == []
    assert ours.encode("zqzq<|im_end|>", special=True) == [first - 1, first + 4]
    assert first + 4 not in ours.encode("zqzq<|im_end|>")
    assert ours.id_of(f"<|reserved_token_{first + 2}|>") == first + 2
    assert ours.notices and "tiktoken.model" in ours.notices[0].text


def test_llama_3_begins_with_its_bos(tmp_path: Path) -> None:
    """Catches texts that Llama 3 never saw, and a flag that is not obeyed."""
    at = len(made())
    listed = {str(at): {"content": "<|begin_of_text|>", "special": True}}
    said = {"added_tokens_decoder": listed, "bos_token": "<|begin_of_text|>"}
    file, kind, model, _ = KINDS["Llama 3"]
    assert Tokenizer(write(tmp_path / "a", file, kind, model, **said)).prefix == [at]
    none = write(tmp_path / "b", file, kind, model, **said, add_bos_token=False)
    assert Tokenizer(none).prefix == []


def test_a_hole_among_the_ranks(tmp_path: Path) -> None:
    """Catches GPT-2's later files, where the end of a text stands among the ranks."""
    tokens = {token: at + (at >= 300) for token, at in made().items()}
    file, kind, model, _ = KINDS["Kimi"]
    listed = {"300": {"content": "<|endoftext|>", "special": True}}
    directory = write(tmp_path / "model", file, kind, model, added_tokens_decoder=listed)
    (directory / file).write_bytes(lines(tokens))
    ours = Tokenizer(directory)
    assert ours.encode("<|endoftext|>zqzq", special=True) == [300, len(made())]
    assert 300 not in ours.encode("<|endoftext|>")


def test_a_way_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    """Catches a guess: the pattern is in code, which is not run."""
    directory = write(tmp_path / "model", "own.tiktoken", "OwnTokenizer", "own")
    with pytest.raises(ModelError, match=r"code that is not run.*OwnTokenizer") as caught:
        Tokenizer(directory)
    assert caught.value.subject.endswith("own.tiktoken")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data + b"a b c\n", "no token in base64"),
        (lambda data: data + b"YQ 9999\n", "not base64"),
        (lambda data: data + data[:9], "twice|no token"),
        (lambda data: data[data.index(b"\n") + 1 :], "no token for the byte"),
        (lambda data: data + b"YWJjZGVmZ2g= 900000\n", "gaps"),
        (lambda data: data + base64.b64encode(b"a" * 20000) + b" 600\n", "too long"),
    ],
)
def test_damaged_files(tmp_path: Path, change: Any, reason: str) -> None:
    """Catches an exception of a library, and work without end for a file of a stranger's."""
    file, kind, model, _ = KINDS["Kimi"]
    directory = write(tmp_path / "model", file, kind, model)
    (directory / file).write_bytes(change(lines(made())))
    with pytest.raises(ModelError, match=reason):
        Tokenizer(directory)


def test_an_added_token_in_the_place_of_another(tmp_path: Path) -> None:
    """Catches one of two tokens of an id dropped in silence."""
    listed = {"3": {"content": "<|x|>", "special": True}}
    file, kind, model, _ = KINDS["Kimi"]
    directory = write(tmp_path / "model", file, kind, model, added_tokens_decoder=listed)
    with pytest.raises(ModelError, match="id of another"):
        Tokenizer(directory)


def test_which_file() -> None:
    """Catches ranks preferred to what says more, and one of several taken by chance."""
    assert ranks.sources(["a.tiktoken", "b.tiktoken"]) == ()
    assert reading.sources(["qwen.tiktoken"]) == ("qwen.tiktoken",)
    assert reading.sources(["tiktoken.model", "vocab.json", "merges.txt"])[0] == "vocab.json"
    assert ranks.way_of("tiktoken.model", None, "kimi_k25") == "kimi-k2"
    with pytest.raises(UnfitError, match="model_type"):
        ranks.way_of("tokenizer.model", None, "gpt2")
