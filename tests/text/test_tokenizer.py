"""Text → ids → the same bytes, for tiny tokenizers of both schemes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Rust
from tokenizers import decoders, models, pre_tokenizers

from gptcli.errors import InputError, ModelError
from gptcli.text.tokenizer import Tokenizer
from tests.text.tokenizers_for_tests import (
    BOS,
    EOS,
    added,
    byte_level,
    saved,
    sentence_piece,
    unigram,
    with_template,
)

# ▁ is a space in SentencePiece, so a text that holds one cannot come back.
_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=25),
    st.text("the catsFrnc\n\t <|end|></s><0x0A>é", max_size=25),
)


@pytest.fixture(scope="module")
def bytes_tokenizer(tmp_path_factory) -> Tokenizer:
    rust = byte_level()
    rust.add_tokens([added("<think>")])
    return saved(rust, tmp_path_factory.mktemp("bytes"))


@pytest.fixture(scope="module")
def pieces_tokenizer(tmp_path_factory) -> Tokenizer:
    return saved(sentence_piece(), tmp_path_factory.mktemp("pieces"))


def text_of(tokenizer: Tokenizer, ids: list[int]) -> bytes:
    return b"".join(map(tokenizer.bytes_of, ids))


@given(text=_text)
def test_byte_level_gives_back_every_text(bytes_tokenizer, text):
    """Catches bytes lost between ids and text: spaces, line ends, halves of characters."""
    ids = bytes_tokenizer.encode(text)
    assert text_of(bytes_tokenizer, ids) == text.encode()
    assert not any(map(bytes_tokenizer.is_special, ids))


@given(text=_text)
def test_sentence_piece_gives_back_every_text(pieces_tokenizer, text):
    """Catches ▁ left in the text, and byte tokens shown by their names."""
    ids = pieces_tokenizer.encode(text)
    assert text_of(pieces_tokenizer, ids) == text.encode()
    assert not any(map(pieces_tokenizer.is_special, ids))


def test_tokens_are_longer_than_bytes(bytes_tokenizer, pieces_tokenizer):
    """Catches tests whose tokenizers have learnt nothing, with which much of this is empty."""
    for tokenizer in (bytes_tokenizer, pieces_tokenizer):
        assert b" the" in map(tokenizer.bytes_of, tokenizer.encode("on the cat"))


def test_half_characters_are_tokens(pieces_tokenizer, bytes_tokenizer):
    """Catches text made token by token: no token of these is a character."""
    for tokenizer in (pieces_tokenizer, bytes_tokenizer):
        pieces = [tokenizer.bytes_of(token) for token in tokenizer.encode("\U0001f600")]
        assert pieces == [b"\xf0", b"\x9f", b"\x98", b"\x80"]


def test_names_of_control_tokens_are_text_unless_asked_for(bytes_tokenizer):
    """Catches a prompt that gives orders, and a template that cannot."""
    end = bytes_tokenizer.id_of("<|end|>")
    assert bytes_tokenizer.is_special(end)
    text = "a<|end|>b"
    plain, obeyed = bytes_tokenizer.encode(text), bytes_tokenizer.encode(text, special=True)
    assert end not in plain and text_of(bytes_tokenizer, plain) == text.encode()
    assert obeyed.count(end) == 1 and text_of(bytes_tokenizer, obeyed) == text.encode()
    # The choice is one call's, not the tokenizer's.
    assert bytes_tokenizer.encode(text) == plain


@pytest.mark.parametrize("scheme", [byte_level, sentence_piece])
def test_names_of_control_tokens_are_text_like_any_other(tmp_path, scheme):
    """Catches a name that is cut out of the text first, so that words around it fall apart."""
    rust = scheme()
    expected = saved(rust, tmp_path / "before").encode("the cat in France")
    rust.add_special_tokens(["t in Fr"])
    tokenizer = saved(rust, tmp_path / "after")
    assert tokenizer.encode("the cat in France") == expected
    assert tokenizer.encode("the cat in France", special=True) != expected


def test_added_tokens_that_are_no_control_tokens_are_text(bytes_tokenizer):
    """Catches `<think>` treated as a control token: hidden, or cut into letters."""
    think = bytes_tokenizer.id_of("<think>")
    assert not bytes_tokenizer.is_special(think)
    for special in (False, True):
        ids = bytes_tokenizer.encode("a <think> b", special=special)
        assert think in ids
        assert text_of(bytes_tokenizer, ids) == b"a <think> b"


def test_added_tokens_are_spelt_by_their_text(tmp_path):
    """Catches the byte table applied to an added token, in which a space is a space."""
    rust = byte_level()
    rust.add_tokens([added("\u0120\u00e9"), added("   ")])
    tokenizer = saved(rust, tmp_path)
    ids = tokenizer.encode("x\u0120\u00e9   y")
    assert len(ids) == 4
    assert text_of(tokenizer, ids) == "x\u0120\u00e9   y".encode()


def ignoring_merges() -> Rust:
    letters = dict.fromkeys("abcdefghijklmnopqrstuvwxyz</>")
    vocab = {name: i for i, name in enumerate(["<unk>", BOS, EOS, *letters])}
    rust = Rust(models.BPE(vocab, [], unk_token="<unk>", ignore_merges=True))
    rust.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    rust.decoder = decoders.Metaspace(prepend_scheme="never")
    rust.add_special_tokens(["<unk>", BOS, EOS])
    return rust


@pytest.mark.parametrize("text", ["</s>", "a</s>b", "</s></s><s>", "see </s>"])
@pytest.mark.parametrize("kind", ["unigram", "ignoring merges"])
def test_a_model_that_knows_control_tokens_itself_makes_none_of_text(tmp_path, kind, text):
    """Catches `</s>` in a prompt becoming the end token, as the vocabulary holds its name."""
    rust = unigram(["<unk>", BOS, EOS]) if kind == "unigram" else ignoring_merges()
    tokenizer = saved(rust, tmp_path)
    ids = tokenizer.encode(text)
    if kind == "unigram" or " " not in text:
        assert text_of(tokenizer, ids) == text.encode()
    assert not {tokenizer.id_of(BOS), tokenizer.id_of(EOS)} & set(ids)
    assert tokenizer.id_of(EOS) in tokenizer.encode(text, special=True)


def test_unknown_characters_stay_unknown(tmp_path):
    """Catches the unknown token, which is special as well, spelt out where no text names it."""
    tokenizer = saved(unigram(["<unk>", BOS, EOS]), tmp_path)
    unknown = tokenizer.id_of("<unk>")
    assert tokenizer.encode("aÉb")[1:-1] == [unknown]


def test_added_runs_of_spaces_are_spaces(tmp_path):
    """Catches Gemma's indentation shown as ▁▁▁▁: its runs of spaces are added tokens."""
    rust = sentence_piece()
    rust.add_tokens([added("▁▁▁")])
    tokenizer = saved(rust, tmp_path)
    assert tokenizer.bytes_of(tokenizer.size - 1) == b"   "


def test_ids_beyond_the_vocabulary_are_nothing(bytes_tokenizer):
    """Catches a crash on a model with more rows than its tokenizer has tokens."""
    assert bytes_tokenizer.bytes_of(bytes_tokenizer.size) == b""
    assert bytes_tokenizer.bytes_of(10**6) == b""


def test_size_counts_added_tokens(bytes_tokenizer):
    """Catches a last token that is taken for one beyond the end."""
    assert bytes_tokenizer.bytes_of(bytes_tokenizer.size - 1) == b"<think>"


def test_schemes_without_bytes_are_decoded_by_the_library(tmp_path):
    """Catches a token shown by its spelling where only its decoder knows the text."""
    rust = Rust(models.WordLevel({"ab": 0, "cd": 1, "<unk>": 2}, unk_token="<unk>"))
    rust.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = saved(rust, tmp_path)
    assert tokenizer.encode("cd ab") == [1, 0]
    assert text_of(tokenizer, [1, 0]) == b"cdab"


def test_special_in_finds_the_first(bytes_tokenizer, pieces_tokenizer):
    """Catches a warning about the wrong token, or about one that is none."""
    assert pieces_tokenizer.special_in("a </s> <s>") == "</s>"
    assert pieces_tokenizer.special_in("a <s> </s>") == "<s>"
    assert bytes_tokenizer.special_in("a <think> <s>") is None


@pytest.mark.parametrize("option", ["padding", "truncation"])
def test_settings_for_training_are_left_out(tmp_path, option):
    """Catches a prompt that is cut, or filled up, as the file asks for it."""
    rust = byte_level()
    if option == "padding":
        rust.enable_padding(length=64)
    else:
        rust.enable_truncation(2)
    tokenizer = saved(rust, tmp_path)
    assert text_of(tokenizer, tokenizer.encode("the cat sat on it")) == b"the cat sat on it"


# What stands before every text


def prefix_of(tmp_path: Path, rust: Rust, **settings: object) -> list[str]:
    tokenizer = saved(rust, tmp_path, **settings)
    return [tokenizer.bytes_of(token).decode() for token in tokenizer.prefix]


@pytest.mark.parametrize("scheme", [byte_level, sentence_piece])
def test_no_prefix_without_anything_that_says_so(tmp_path, scheme):
    """Catches a BOS for every model that has one."""
    assert prefix_of(tmp_path, scheme(), bos_token=BOS) == []


@pytest.mark.parametrize(
    ("before", "after", "settings", "expected"),
    [
        ([BOS], (), {}, [BOS]),
        ([BOS], (EOS,), {}, [BOS]),
        ([], (EOS,), {}, []),
        ([BOS, BOS], (), {}, [BOS, BOS]),
        # What a flag says besides is told, and not obeyed: see test_files_that_contradict.
        ([BOS], (), {"add_bos_token": False, "bos_token": BOS}, [BOS]),
        ([BOS], (), {"add_bos_token": True, "bos_token": BOS}, [BOS]),
        ([], (), {"add_bos_token": True, "bos_token": BOS}, []),
        ([], (EOS,), {"add_bos_token": True, "bos_token": {"content": BOS}}, []),
        ([], (), {"add_bos_token": True, "bos_token": None}, []),
        ([], (), {"add_bos_token": True, "bos_token": "<nowhere>"}, []),
        ([BOS], (), {"add_bos_token": None, "bos_token": BOS}, [BOS]),
        ([BOS], (), {"bos_token": EOS}, [BOS]),
    ],
)
@pytest.mark.parametrize("prepend", ["never", "always"])
def test_prefix(tmp_path, prepend, before, after, settings, expected):
    """Catches a BOS that is missing, doubled or unwanted, and an EOS before the text."""
    rust = sentence_piece(prepend=prepend)
    rust = with_template(rust, *before, after=after) if before or after else rust
    assert prefix_of(tmp_path, rust, **settings) == expected


def test_prefix_beside_another_post_processor(tmp_path):
    """Catches Llama 3's form: byte-level, then a template."""
    rust = byte_level()
    assert prefix_of(tmp_path, with_template(rust, "<|end|>")) == ["<|end|>"]


def test_encode_never_adds_the_prefix(tmp_path):
    """Catches two BOS: one of the template, one of ours."""
    tokenizer = saved(with_template(sentence_piece(), BOS, after=(EOS,)), tmp_path)
    for special in (False, True):
        assert text_of(tokenizer, tokenizer.encode("the cat", special=special)) == b"the cat"


def test_end_text(tmp_path):
    """Catches an end token that is an object in tokenizer_config.json."""
    assert saved(byte_level(), tmp_path / "a").end_text is None
    assert saved(byte_level(), tmp_path / "b", eos_token=EOS).end_text == EOS
    assert saved(byte_level(), tmp_path / "c", eos_token={"content": EOS}).end_text == EOS
    assert saved(byte_level(), tmp_path / "d", eos_token=7).end_text is None


# Files that are broken

LEAST = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "{}",
        "[]",
        '{"model": {"type": "Nothing"}}',
        json.dumps({"model": LEAST["model"] | {"merges": [["a", "b"]]}}),
        json.dumps(LEAST | {"decoder": {"type": "Nothing"}}),
        # The library panics over this one, which is no Exception in Python.
        json.dumps(LEAST | {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}),
    ],
)
def test_broken_tokenizers_are_model_errors(tmp_path, content):
    """Catches the library's own errors, which are plain Exceptions or worse."""
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ModelError, match="cannot be read") as caught:
        Tokenizer(tmp_path)
    assert caught.value.subject == str(path)
    assert "\n" not in str(caught.value)


def test_a_broken_template_is_a_model_error(tmp_path):
    """Catches a post-processor that puts a text nowhere, or twice."""
    template = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
    template["single"] = [{"SpecialToken": {"id": BOS, "type_id": 0}}]
    (tmp_path / "tokenizer.json").write_text(json.dumps(LEAST | {"post_processor": template}))
    with pytest.raises(ModelError, match="has the text 0 times, not once"):
        Tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("normalizer", {"type": "Nothing"}, r"its normalizer \(Nothing\) is none that the"),
        ("decoder", {"type": "Fuse", "x": 1} | {"type": 3}, "its decoder is none that"),
        ("model", LEAST["model"] | {"vocab": {"a": -1}}, r"its model \(BPE\) is broken: invalid"),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated"},
         r"its pre tokenizer \(Split\) is"),
        ("version", "2.0", "Unknown tokenizer version '2.0'"),
    ],
)  # fmt: skip
def test_what_is_broken_is_named(tmp_path, part, value, said):
    """Catches "data did not match any variant of untagged enum ModelUntagged at line 1"."""
    (tmp_path / "tokenizer.json").write_text(json.dumps(LEAST | {part: value}))
    with pytest.raises(ModelError, match=said) as caught:
        Tokenizer(tmp_path)
    assert "untagged" not in str(caught.value) and "line 1" not in str(caught.value)


def test_a_text_that_would_grow_too_long_is_refused(tmp_path):
    """Catches all memory for a text of 300 kB, where no letter alone is too much."""
    twice = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    steps = {"type": "Sequence", "normalizers": [twice] * 10}
    (tmp_path / "tokenizer.json").write_text(json.dumps(LEAST | {"normalizer": steps}))
    tokenizer = Tokenizer(tmp_path)
    assert len(tokenizer.encode("a")) == 1024
    with pytest.raises(InputError, match="more than the 262144 that"):
        tokenizer.encode("a" * 300_000)


def test_a_text_that_cannot_be_encoded_is_a_model_error(tmp_path):
    """Catches a plain Exception from a vocabulary without the unknown token that it names."""
    tokenizer = saved(Rust(models.WordLevel({"ab": 0}, unk_token="<unk>")), tmp_path)
    with pytest.raises(ModelError, match="cannot encode this text"):
        tokenizer.encode("cd")


def test_directories_without_a_tokenizer(tmp_path):
    """Catches an OSError for a directory that lacks the file."""
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(ModelError, match=r"tokenizer\.json: is not a file"):
        Tokenizer(tmp_path)


def test_a_tokenizer_too_large_is_not_read(tmp_path, monkeypatch):
    """Catches reading whatever size a directory holds."""
    rust = byte_level()
    monkeypatch.setattr("gptcli.formats.json.TOKENIZER_LIMIT", 100)
    with pytest.raises(ModelError, match="larger than any tokenizer should be"):
        saved(rust, tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1, "a": 2}'])
def test_broken_settings_are_model_errors(tmp_path, content):
    """Catches tokenizer_config.json that is ignored where it cannot be read."""
    byte_level().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(ModelError) as caught:
        Tokenizer(tmp_path)
    assert caught.value.subject == str(tmp_path / "tokenizer_config.json")
