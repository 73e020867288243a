"""What the files beside tokenizer.json say, against transformers' AutoTokenizer."""

from __future__ import annotations

import inspect
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer as Rust

from gptcli.errors import ModelError
from gptcli.formats.tokenizer_json.settings import CLASS_NAMES, PARTS
from gptcli.text.tokenizer import Tokenizer
from tests.text.tokenizers_for_tests import BOS, EOS, byte_level, sentence_piece, with_template

CONFIG, NAMES, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
TEXTS = ("the cat", " the cat", f"the{EOS} cat<tool>on<|x|>", "<|end|>Paris <|eot|> ")


def listed(content: str, **options: bool) -> dict[str, Any]:
    plain = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized"), False)
    return {"content": content, **plain, "special": False, **options}


def directory_of(to: Path, rust: Rust, files: dict[str, Any]) -> Path:
    to.mkdir(parents=True, exist_ok=True)
    rust.save(str(to / "tokenizer.json"))
    for name, content in files.items():
        (to / name).write_text(json.dumps(content))
    return to


def both(to: Path, rust: Rust, files: dict[str, Any]) -> tuple[Tokenizer, Any]:
    """Ours, and that of transformers, of the same files."""
    directory = directory_of(to, rust, files)
    return Tokenizer(directory), transformers.AutoTokenizer.from_pretrained(directory)


SIZE = byte_level().get_vocab_size()
CONFIGS: dict[str, dict[str, Any]] = {
    "none": {},
    "names": {CONFIG: {"bos_token": "<|end|>", "eos_token": "<|end|>"}},
    "an older file": {CONFIG: {}, NAMES: {"eos_token": "<|end|>", "pad_token": listed("<|end|>")}},
    "both": {CONFIG: {"eos_token": "the"}, NAMES: {"eos_token": "<|end|>"}},
    "listed alone": {
        CONFIG: {
            "eos_token": "<|end|>",
            "added_tokens_decoder": {str(SIZE): listed("<tool>"), str(SIZE + 1): listed("<|x|>")},
        },
        NAMES: {"eos_token": "the", "bos_token": "the"},
    },
    "added": {
        CONFIG: {},
        ADDED: {"<tool>": SIZE, "<|x|>": SIZE + 1},
        NAMES: {"sep_token": "<|x|>"},
    },
    "a part makes a control token": {CONFIG: {"eos_token": "<|eot|>", "unk_token": "cat"}},
    "extra": {CONFIG: {"extra_special_tokens": ["<tool>", "<|x|>"]}},
    "extra by name": {CONFIG: {"extra_special_tokens": {"tool_token": "<tool>"}}},
    "additional": {CONFIG: {"additional_special_tokens": ["<tool>"], "image_token": "<|x|>"}},
    "options": {
        CONFIG: {"added_tokens_decoder": {"0": listed("<|end|>", special=True, rstrip=True)}}
    },
    "no longer a control token": {CONFIG: {"added_tokens_decoder": {"0": listed("<|end|>")}}},
    "a flag against the post-processor": {CONFIG: {"add_bos_token": True, "bos_token": "<|end|>"}},
    "an empty flag": {CONFIG: {"add_bos_token": None, "bos_token": None}},
}
CLASSES = ("PreTrainedTokenizerFast", "GPT2TokenizerFast")


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("case", CONFIGS)
def test_as_transformers_reads_them(tmp_path: Path, kind: str, case: str) -> None:
    """Catches names that one file has and another is asked for; tokens that are read as text."""
    files = {name: dict(content) for name, content in CONFIGS[case].items()}
    files.setdefault(CONFIG, {})["tokenizer_class"] = kind
    for number, template in enumerate((byte_level(), with_template(byte_level(), "<|end|>"))):
        ours, theirs = both(tmp_path / str(number), template, files)
        names = {part: text for part, text in ours.named_tokens.items() if part in PARTS}
        expected = {part: theirs.special_tokens_map.get(part) for part in PARTS}
        assert names == {part: text for part, text in expected.items() if text is not None}
        if (theirs.convert_tokens_to_ids("<|endoftext|>") or 0) >= SIZE:
            # A name that a class alone gives, of a token that the vocabulary lacks, is a token
            # there: its id, and those after it, have no embedding.
            continue
        for text in TEXTS:
            wanted = theirs.encode(text, add_special_tokens=False)
            assert ours.encode(text, special=True) == wanted, text
        assert [*ours.prefix, *ours.encode("cat", special=True)] == theirs.encode("cat")


@pytest.mark.parametrize(
    ("kind", "inside", "flag"),
    [*product(("GPT2Tokenizer", "PreTrainedTokenizerFast"), (False, True), (False, True, None))],
)
def test_the_first_space_as_transformers_puts_it(
    tmp_path: Path, kind: str, inside: bool, flag: bool | None
) -> None:
    """Catches add_prefix_space that is not obeyed where the class obeys it, or is where not."""
    rust = byte_level()
    rust.pre_tokenizer.add_prefix_space = inside
    settings = {"tokenizer_class": kind} | ({} if flag is None else {"add_prefix_space": flag})
    ours, theirs = both(tmp_path, rust, {CONFIG: settings})
    if kind == "GPT2Tokenizer" and flag is None and inside:
        # A class's own habit is none of the model's files, which here say one thing.
        assert not ours.notices and ours.decode(ours.encode("the cat")) == b"the cat"
        return
    for text in ("the cat", " the cat", "cat"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
    told = [each.text for each in ours.notices if "add_prefix_space" in each.text]
    assert len(told) == (flag is not None and flag != inside)


def test_class_names_are_those_of_transformers() -> None:
    """Catches a name that is not the class's own."""
    for kind, names in CLASS_NAMES.items():
        given = inspect.signature(getattr(transformers, kind).__init__).parameters
        theirs = {part: given[part].default for part in PARTS if part in given}
        assert dict(names) == {part: text for part, text in theirs.items() if text is not None}


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "names": (CONFIGS["both"], "special_tokens_map.json is taken"),
    "names, listed": (CONFIGS["listed alone"], "tokenizer_config.json is taken"),
    "a flag": (CONFIGS["a flag against the post-processor"], "tokenizer.json is taken"),
    "a token's settings": (CONFIGS["no longer a control token"], "tokenizer_config.json is taken"),
    "an id": (
        {CONFIG: {"added_tokens_decoder": {"5": listed("<|end|>", special=True)}}},
        "'<|end|>' is 0 in tokenizer.json, 5 elsewhere",
    ),
    "an id that cannot be": (
        {CONFIG: {"added_tokens_decoder": {str(SIZE + 7): listed("<tool>")}}},
        f"the id {SIZE + 7}, which cannot be: it is read as text",
    ),
    "two ids": (
        {CONFIG: {"added_tokens_decoder": {str(SIZE): listed("<tool>")}}, ADDED: {"<tool>": 3}},
        "added_tokens.json gives '<tool>' the id 3",
    ),
    "the first space": ({CONFIG: {"add_prefix_space": True}}, "tokenizer.json is taken"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_files_that_contradict(tmp_path: Path, case: str) -> None:
    """Catches one of two answers taken without a word."""
    files, said = CONTRADICTIONS[case]
    ours = Tokenizer(directory_of(tmp_path, byte_level(), files))
    assert any(said in each.text for each in ours.notices), ours.notices
    assert len(ours.notices) <= 2 and all("\n" not in each.text for each in ours.notices)


def test_files_that_agree_are_not_spoken_of(tmp_path: Path) -> None:
    """Catches a word at every start of a model that has nothing wrong."""
    rust = with_template(sentence_piece(prepend="first"), BOS)
    files = {
        CONFIG: {
            "tokenizer_class": "LlamaTokenizerFast",
            "add_bos_token": True,
            "add_prefix_space": True,
            "bos_token": BOS,
            "added_tokens_decoder": {
                str(rust.token_to_id(name)): listed(name, special=True)
                for name in ("<unk>", BOS, EOS)
            },
        },
        NAMES: {"bos_token": {"content": BOS}, "eos_token": EOS},
    }
    assert Tokenizer(directory_of(tmp_path, rust, files)).notices == ()


@pytest.mark.parametrize("key", ["x", "-1", "9" * 5000, "٣"])
def test_a_token_without_sense_is_refused(tmp_path: Path, key: str) -> None:
    """Catches a number of thousands of digits, which Python does not read."""
    files = {CONFIG: {"added_tokens_decoder": {key: listed("<tool>")}}}
    with pytest.raises(ModelError, match=r"tokenizer_config\.json"):
        Tokenizer(directory_of(tmp_path, byte_level(), files))


@pytest.mark.parametrize("prepend", ["never", "first", "always"])
@pytest.mark.parametrize("text", ["the cat", "  the  cat ", "漢🙂", "", " ", "cat<", "the\n"])
def test_ids_of_a_text_give_the_text(tmp_path: Path, prepend: str, text: str) -> None:
    """Catches the space that nobody wrote."""
    ours = Tokenizer(directory_of(tmp_path, sentence_piece(prepend=prepend), {}))
    if prepend != "never" and text == " ":
        text = ""  # it is taken for the one that would be put there
    assert ours.decode(ours.encode(text)) == text.encode()


def test_spaces_after_control_tokens(tmp_path: Path) -> None:
    """Catches a space taken away that was written: only "always" puts one after each of them."""
    for prepend, spaced in (("first", False), ("always", True)):
        to = tmp_path / prepend
        ours = Tokenizer(directory_of(to, sentence_piece(prepend=prepend), {}))
        ids = ours.encode(f"{BOS}the{EOS}cat", special=True)
        assert ours.decode(ids) == f"{BOS}the{EOS}cat".encode()
        assert (b" " in b"".join(map(ours.bytes_of, ids))) is spaced
