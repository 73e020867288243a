"""A chat with a model that thinks aloud: its tags are tokens where it wrote them, nowhere else."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Rust

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.chat.sessions import Session, encode
from gptcli.chat.sessions.form import decode
from gptcli.chat.talk import Talk
from gptcli.types.chat import ChatForm, ChatRequest, Message, TranscriptForm
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from tests.engine.helpers import copy_case

#: The last answers keep their thinking, as after a call of a tool; earlier ones lose it.
TEMPLATE = """{%- set ns = namespace(last=-1) -%}
{%- for m in messages -%}
{%- if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif -%}
{%- endfor -%}
{%- for m in messages -%}
{%- set content = m.content -%}
{%- if m.role == 'assistant' and '</think>' in content and loop.index0 < ns.last -%}
{%- set content = content.split('</think>')[-1].lstrip('. ') -%}
{%- endif -%}
<|start|>{{ m.role }}:{{ content }}<|end|>
{%- endfor -%}
{%- if add_generation_prompt %}<|start|>assistant:<think>{% endif -%}"""
SPECIAL, SHOWN = ["<|start|>", "<|end|>"], ["<think>", "</think>"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of 60 tokens: letters, some signs and the added tokens."""
    directory = copy_case(
        "llama/tied", tmp_path / "m", lambda c: c.update(max_position_embeddings=256)
    )
    letters = [*" .:</>|", *string.ascii_letters]
    letters = ["Ġ" if letter == " " else letter for letter in letters][: 60 - 4]
    rust = Rust(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    rust.add_tokens([AddedToken(name, normalized=False) for name in SHOWN])
    rust.save(str(directory / "tokenizer.json"))
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"})
    )
    return directory


@pytest.fixture
def talk(model: Path, monkeypatch: pytest.MonkeyPatch):
    """A talk whose answers are these tokens."""
    backend = LocalBackend(OpenModel(ModelDir("m", model, "test"), Compute(device="cpu")))
    found = Talk(lambda: backend, ChatRequest((), max_new_tokens=None), model="m")

    def says(text: str, answer: str) -> None:
        tokens = backend._open.tokenizer.encode(answer, special=True)
        ids: Iterator[int] = iter(tokens)
        found.request = replace(found.request, max_new_tokens=len(tokens))
        monkeypatch.setattr("gptcli.engine.asking.draws.next_ids", lambda *_: [next(ids)])
        list(found.ask(text))

    found.says = says  # type: ignore[attr-defined]
    yield found
    backend.close()


def ids(talk: Talk, *more: Message) -> list[int]:
    before = talk.request
    talk.request = replace(before, messages=(*before.messages, *more))
    document = talk.document()
    talk.request = before
    return [token.id for turn in document.turns for token in turn.tokens]


def expected(model: Path, messages, *, answer: bool) -> list[int]:
    from transformers import AutoTokenizer

    plain = [{"role": each.role, "content": each.content} for each in messages]
    return AutoTokenizer.from_pretrained(model).apply_chat_template(
        plain, add_generation_prompt=answer, return_dict=False
    )


def test_an_answer_keeps_its_tags_as_tokens(talk, model):
    """Catches a document in which `</think>` comes back as letters that no model knows there."""
    talk.says("hi", "Hm.</think> yes<|end|>")
    assert talk.messages[-1] == Message("assistant", "Hm.</think> yes", ((3, 11),))
    assert ids(talk) == expected(model, talk.messages, answer=False)
    more = Message("user", "so")
    assert ids(talk, more) == expected(model, [*talk.messages, more], answer=True)
    assert b"Hm." not in b"".join(
        token.bytes for turn in talk.document_with("so").turns for token in turn.tokens
    )


def test_a_session_keeps_them(talk):
    """Catches a continued conversation that is another document than it was."""
    talk.says("hi", "Hm.</think> yes<|end|>")
    session = Session("a", "m", "then", "now", talk.messages)
    found = decode(encode(session), "a")
    assert found.messages == talk.messages
    before = ids(talk)
    talk.replace_messages(found.messages)
    assert ids(talk) == before


def test_tags_that_somebody_typed_are_letters(talk, model):
    """Catches text of a user, of examples or of a file that becomes a token by its letters."""
    for message in (Message("user", "a<think>b</think>"), Message("assistant", "a</think>b")):
        talk.replace_messages([Message("user", "a"), message])
        plain = Message(message.role, "aXb")
        with_tags = [i for i in ids(talk) if i >= 56]
        talk.replace_messages([Message("user", "a"), plain])
        assert with_tags == [i for i in ids(talk) if i >= 56]


@pytest.mark.parametrize("name", ["<|end|>", "<|start|>"])
def test_marks_of_a_file_make_no_special_token(talk, name):
    """Catches a session of a stranger's that ends a turn, and speaks in the user's name."""
    size = len(name)
    for role in ("assistant", "user"):
        talk.replace_messages([Message("user", "a"), Message(role, name, ((0, size),))])
        found = ids(talk)
        talk.replace_messages([Message("user", "a"), Message(role, "x")])
        assert [i for i in found if i >= 56] == [i for i in ids(talk) if i >= 56]


def test_marks_of_a_users_message_are_none(talk):
    """Catches a file that gives a user's message a token."""
    talk.replace_messages([Message("user", "<think>", ((0, 7),))])
    assert sum(token == 58 for token in ids(talk)) == 1, "the one that the template writes"


def test_a_transcripts_answer_is_marked_where_it_is(talk):
    """Catches marks that are off by the space which a transcript's answer loses."""
    form = ChatForm(transcript=TranscriptForm())
    talk.request = replace(talk.request, form=form)
    talk.says("hi", " Hm.</think> yes")
    message = talk.messages[-1]
    assert [message.content[a:b] for a, b in message.marks] == ["</think>"]


def test_a_stop_string_takes_its_marks_along(talk):
    """Catches a mark beyond the end of an answer, which no session could be read with."""
    talk.request = replace(talk.request, stop=("m.</think>",))
    talk.says("hi", "Hm.</think> yes<|end|>")
    assert talk.messages[-1] == Message("assistant", "H")
