"""A chat with a model that thinks aloud: its tags are tokens where it wrote them, nowhere else."""

from __future__ import annotations

import json
import re
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
from gptcli.chat.sessions.markdown import as_markdown, from_markdown
from gptcli.chat.talk import Talk
from gptcli.errors import UsageError
from gptcli.types.chat import ChatForm, ChatRequest, Message, TranscriptForm
from gptcli.types.completion import Chunk, Usage
from gptcli.types.compute import Compute
from gptcli.types.constraints import Constraint
from gptcli.types.models import ModelDir
from gptcli.types.sampling import SamplingWish
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


def test_a_thought_is_kept_apart_from_the_answer(talk, model):
    """Catches a thought in the answer, and one that comes back where no template asks for it."""
    talk.says("hi", "Hm.</think> yes<|end|>")
    assert talk.messages[-1] == Message("assistant", "yes", thinking="Hm.")
    assert ids(talk) == expected(model, talk.messages, answer=False)
    more = Message("user", "so")
    assert ids(talk, more) == expected(model, [*talk.messages, more], answer=True)
    assert talk.last_usage.reasoning_tokens == 4
    assert talk.last_usage.completion_tokens == 8


@pytest.mark.parametrize("seed", range(3))
def test_a_form_is_about_the_answer_alone(talk, seed):
    """Catches thoughts that are held to the form, and an answer behind them that is not."""
    form = Constraint("regex", "[ab]{3}")
    talk.request = replace(
        talk.request, constraint=form, think_budget=5, max_new_tokens=60, seed=seed
    )
    list(talk.ask("hi"))
    answer = talk.messages[-1]
    assert re.fullmatch("[ab]{3}", answer.content)
    assert answer.thinking and not re.fullmatch("[ab]*", answer.thinking)
    assert talk.last_usage.constraint.unfinished == ()


def test_an_answer_keeps_its_tags_as_tokens(talk, model):
    """Catches a document in which `</think>` comes back as letters that no model knows there."""
    old = Message("assistant", "Hm.</think> yes", ((3, 11),))
    talk.replace_messages([Message("user", "hi"), old])
    assert ids(talk) == expected(model, talk.messages, answer=False)
    more = Message("user", "so")
    assert ids(talk, more) == expected(model, [*talk.messages, more], answer=True)
    assert b"Hm." not in b"".join(
        token.bytes for turn in talk.document_with("so").turns for token in turn.tokens
    )


def test_a_session_keeps_them(talk):
    """Catches a continued conversation that is another document than it was."""
    old = Message("assistant", "Hm.</think> yes", ((3, 11),))
    talk.replace_messages([Message("user", "hi"), old])
    talk.says("so", "Hm.</think> yes<|end|>")
    session = Session("a", "m", "then", "now", talk.messages)
    found = decode(encode(session), "a")
    assert found.messages == talk.messages
    assert from_markdown(as_markdown(session), "a").messages[-1] == talk.messages[-1]
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
    assert message.thinking == ""


def test_a_stop_string_ends_the_answer_and_no_thought(talk):
    """Catches a thought that ends the answer before it begins."""
    talk.request = replace(talk.request, stop=("y",))
    talk.says("hi", "my.</think>so y<|end|>")
    assert talk.messages[-1] == Message("assistant", "so ", thinking="my.")


def test_an_answer_in_which_a_mark_stands_keeps_it(talk):
    """Catches an answer that loses a word, and one that comes back as other tokens."""
    talk.says("hi", "Hm.</think>a</think>b<|end|>")
    assert talk.messages[-1] == Message("assistant", "a</think>b", ((1, 9),), "Hm.")


GIVEN_BACK = TEMPLATE.replace(
    "<|start|>{{ m.role }}:{{ content }}",
    "<|start|>{{ m.role }}:{% if m.reasoning_content is defined and loop.index0 > ns.last %}"
    "<think>{{ m.reasoning_content }}</think>{% endif %}{{ content }}",
)


def test_a_template_that_asks_for_a_thought_gets_it(talk, model):
    """Catches a thought that is lost to a template, or has tokens by its letters."""
    (model / "chat_template.jinja").write_text(GIVEN_BACK)
    thought = Message("assistant", "yes", thinking="a</think>b")
    talk.replace_messages([Message("user", "hi"), thought])
    text = talk.document().text
    assert text.endswith("<|start|>assistant:<think>a</think>b</think>yes<|end|>")
    assert [each for each in ids(talk) if each >= 58] == [58, 59]
    later = talk.document_with("so")
    assert "a</think>b" not in later.text
    assert [turn.role for turn in later.turns] == ["user", "assistant", "user", "assistant"]


SWITCHED = TEMPLATE.replace(
    ":<think>{%",
    ":{% if enable_thinking | default(true) %}<think>{% else %}<think></think>{% endif %}"
    "{{ note }}{%",
)


def test_a_template_is_told_what_it_reads(talk, model):
    """Catches a switch that is passed over, and a text of the user's that becomes a token."""
    (model / "chat_template.jinja").write_text(SWITCHED)
    talk.request = replace(talk.request, form=ChatForm(think=False))
    assert talk.document_with("a").text.endswith("assistant:<think></think>")
    talk.says("hi", "yes<|end|>")
    assert talk.messages[-1] == Message("assistant", "yes")
    note = ChatForm(think=True, variables=(("note", "<|end|>"),))
    talk.request = replace(talk.request, form=note)
    document = talk.document_with("a")
    assert document.text.endswith("assistant:<think><|end|>")
    last = document.turns[-1].tokens
    assert b"".join(token.bytes for token in last[-7:]) == b"<|end|>"
    for form, flag in (
        (ChatForm(effort="low"), "--effort"),
        (ChatForm(variables=(("nothing", "1"),)), "--template-set"),
        (ChatForm(variables=(("messages", "[]"),)), "--template-set"),
        (ChatForm(variables=(("eos_token", "x"),)), "--template-set"),
        (ChatForm(think=True, transcript=TranscriptForm()), "--think"),
    ):
        talk.request = replace(talk.request, form=form)
        with pytest.raises(UsageError) as caught:
            talk.document_with("a")
        assert caught.value.subject == flag


@pytest.mark.parametrize("most", [0, 3])
def test_a_budget_ends_a_thought(talk, most):
    """Catches a thought that takes the answer's tokens, and one that is not ended exactly."""
    talk.request = replace(talk.request, think_budget=most)
    # The tokens from there on are not what is drawn.
    talk.says("hi", "abcdefgh"[:most] + "xyes<|end|>")
    assert talk.messages[-1] == Message("assistant", "yes", thinking="abcdefgh"[:most])


def test_thoughts_that_are_not_told_apart_stay_text(talk):
    """Catches a client that asked for the whole text and gets half of it."""
    talk.request = replace(talk.request, apart=False)
    talk.says("hi", "Hm.</think>yes<|end|>")
    assert talk.messages[-1].content == "Hm.</think>yes"


def test_what_was_only_thought_is_told_once(talk):
    """Catches an empty answer without a word, and two hints about one thing."""
    talk.says("hi", "Hm. well")
    assert talk.messages[-1] == Message("assistant", "", thinking="Hm. well")
    assert not talk.was_cut


def test_a_ban_takes_back_within_a_budget_of_thoughts(model):
    """Catches a budget that counts what was taken back, and one whose end a ban takes for a thought
    or leaves half: a phrase never comes, and no thought is longer than its budget.
    """
    backend = LocalBackend(OpenModel(ModelDir("m", model, "test"), Compute(device="cpu")))
    wish = SamplingWish(temperature=2.0, min_p=0, top_k=12)
    came_to_an_end = 0
    for seed in range(12):
        asked = ChatRequest(
            (Message("user", "hi"),), sampling=wish, max_new_tokens=24, seed=seed, think_budget=6
        )
        thought, said, usage = told(backend, asked)
        pieces = sorted({each for each in (thought + said)[1:] if each.isalpha()})
        for piece in pieces[:2]:
            banned = replace(asked, sampling=replace(wish, ban=(piece,)))
            thought, said, usage = told(backend, banned)
            assert piece not in thought and piece not in said
            assert usage.reasoning_tokens <= 6 + 1 and usage.completion_tokens <= 24
            came_to_an_end += bool(said)
    assert came_to_an_end
    backend.close()


def told(backend: LocalBackend, asked: ChatRequest) -> tuple[str, str, Usage]:
    """What was thought, what was said, and how much."""
    events = list(backend.answer(asked))
    chunks = [each for each in events if isinstance(each, Chunk)]
    usage = events[-1]
    assert isinstance(usage, Usage)
    return "".join(c.thinking for c in chunks), "".join(c.text for c in chunks), usage
