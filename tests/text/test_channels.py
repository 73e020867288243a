"""Answers in channels, with a tokenizer that has gpt-oss's control tokens."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as RustTokenizer

from gptcli.text.channels import ChannelReader, Channels
from gptcli.text.tokenizer import Tokenizer

NAMES = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"]


@pytest.fixture
def tokenizer(tmp_path):
    return made(tmp_path, NAMES)


def made(directory, names, *, special=True):
    """Bytes, and control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    rust = RustTokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_tokens([AddedToken(name, special=special) for name in names])
    rust.save(str(directory / "tokenizer.json"))
    return Tokenizer(directory)


def read(tokenizer: Tokenizer, text: str) -> tuple[str, bool]:
    """What is seen of an answer, and whether it ends in what is not for the user."""
    channels = Channels.of(tokenizer)
    assert channels is not None
    reader = ChannelReader(channels)
    seen = b""
    for token in tokenizer.encode(text, special=True):
        data = b"" if tokenizer.is_special(token) else tokenizer.bytes_of(token)
        seen += reader.feed(token, data)
    return seen.decode(), reader.withheld


THOUGHT = "<|channel|>analysis<|message|>Hm, final.<|end|>"
SAID = "<|channel|>final<|message|>Paris, final."


@pytest.mark.parametrize(
    ("text", "seen", "withheld"),
    [
        (f"{THOUGHT}<|start|>assistant{SAID}<|return|>", "Paris, final.", False),
        (SAID, "Paris, final.", False),
        (THOUGHT, "", True),
        (f"{THOUGHT}<|start|>assistant<|channel|>fin", "", True),
        (f"{SAID}<|end|><|start|>assistant{THOUGHT}", "Paris, final.", True),
        (f"{SAID}<|end|><|start|>assistant{SAID}", "Paris, final.Paris, final.", False),
        ("<|channel|>commentary to=functions.x <|message|>{}<|call|>", "", True),
        ("<|channel|>final <|message|>a é", "a é", False),
        ("<|channel|>finally<|message|>a", "", True),
        ("plain words", "plain words", False),
        ("the rest of a message<|end|>", "the rest of a message", False),
        ("", "", False),
    ],
)
def test_only_the_final_channel_is_seen(tokenizer, text, seen, withheld):
    """Catches thinking that is shown as the answer, and an answer lost with the thinking."""
    assert read(tokenizer, text) == (seen, withheld)


def test_a_message_ends_before_the_answer_does(tokenizer):
    """Catches an answer that stops where the model has only finished thinking."""
    channels = Channels.of(tokenizer)
    assert channels is not None
    assert channels.within == {tokenizer.id_of("<|end|>")}


@pytest.mark.parametrize("missing", NAMES[:4])
def test_other_models_answer_plainly(tmp_path, missing):
    """Catches words withheld from the user of a model that has some token of that name."""
    tokenizer = made(tmp_path, [name for name in NAMES if name != missing])
    assert Channels.of(tokenizer) is None


def test_words_that_look_like_control_tokens_are_none(tmp_path):
    """Catches a token of text taken for a border: any model may write it."""
    assert Channels.of(made(tmp_path, NAMES, special=False)) is None
