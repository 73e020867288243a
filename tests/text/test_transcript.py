"""Transcripts: exact text, names, where turns end, and what stops the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from gptcli.errors import UsageError
from gptcli.text.chat_form import open_form
from gptcli.text.tokenizer import Tokenizer
from gptcli.text.transcript import Transcript
from gptcli.types.chat import ChatForm, Message, TranscriptForm
from tests.text.tokenizers_for_tests import BOS, byte_level, saved, sentence_piece, with_template

SAID = (
    Message("system", "A scene.\n"),
    Message("user", " Hi {x}"),
    Message("assistant", "Hello.\n"),
    Message("user", "the cat"),
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return saved(byte_level(), tmp_path_factory.mktemp("transcript"))


def transcript(tokenizer: Tokenizer, **form: str) -> Transcript:
    return Transcript(TranscriptForm(**form), tokenizer)


def test_the_text(tokenizer):
    """Catches a blank line, a name or a space that should not be there, or braces that vanish."""
    form = transcript(tokenizer, user_name="Al", assistant_name="Bo")
    expected = "A scene.\n\nAl: Hi {x}\nBo: Hello.\nAl: the cat\nBo:"
    assert form.document(SAID).text == expected
    assert form.document(SAID, answer=False).text == expected.removesuffix("Bo:")
    assert form.description == "a transcript of Al and Bo"


def test_the_ids_are_those_of_the_text(tokenizer):
    """Catches a document cut at its turns, which the model would have read as a whole."""
    document = transcript(tokenizer).document(SAID)
    assert list(document.ids) == tokenizer.encode(document.text)
    pieces = [document.text[start:end] for start, end in document.spans]
    assert "".join(pieces) == document.text


def test_what_the_tokenizer_puts_before_a_text_is_there_once(tmp_path):
    """Catches a BOS that is lost or doubled, in the ids or in the places of the tokens."""
    opened = saved(with_template(sentence_piece(), BOS), tmp_path, bos_token=BOS)
    document = transcript(opened).document(SAID)
    bos = opened.id_of(BOS)
    assert document.ids[0] == bos and document.ids.count(bos) == 1
    assert document.spans[0] == (0, 0)


def test_names_of_control_tokens_are_text(tokenizer):
    """Catches content that ends the document for the model."""
    end = tokenizer.id_of("<|end|>")
    for role in ("system", "user"):
        said = [Message(role, "a<|end|>b"), Message("user", "<|end|>")]
        assert end not in transcript(tokenizer, user_name="<|end|>").document(said).ids


def test_turns_are_the_whole_in_order(tokenizer):
    """Catches a stretch that is lost, or a content's end in the wrong place."""
    form = transcript(tokenizer)
    text, turns = form.document(SAID).text, form.turns(SAID)
    assert "".join(text[turn.start : turn.end] for turn in turns) == text
    assert [turn.role for turn in turns] == [*(each.role for each in SAID), "assistant"]
    for turn, message in zip(turns, SAID, strict=False):
        assert turn.content_end is not None
        assert text[turn.start : turn.content_end].endswith(message.content.strip())
    assert turns[-1].content_end is None


@pytest.mark.parametrize(
    ("form", "stops"),
    [
        ({}, ("\nUser:", "\nAssistant:")),
        ({"user_name": "Al", "assistant_name": "Bo"}, ("\nAl:", "\nBo:")),
        ({"user": "Q: {content}\n\n", "assistant": "A: {content}\n\n"}, ("\n\nQ:", "\n\nA:")),
        ({"user": "{content}\n", "assistant": "=> {content}\n"}, ("\n=>",)),
        ({"user_name": "X", "assistant_name": "X"}, ("\nX:",)),
    ],
)
def test_the_model_is_stopped_before_it_speaks_for_another(tokenizer, form, stops):
    """Catches a stop that never comes, and an empty one, which comes at once."""
    assert transcript(tokenizer, **form).stops == stops


def test_stops_stand_where_the_next_turn_would_begin(tokenizer):
    """Catches stops that drift apart from the document that the next turn really makes."""
    form = transcript(tokenizer, user="[{user}] {content}\n", assistant="[{assistant}] {content}\n")
    before = form.document(SAID[:2]).text
    whole = form.document(SAID).text
    after = whole.removeprefix(before).removeprefix(" Hello.")
    assert after.startswith(form.stops[0])


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"user": "{user: {content}"}, "not closed"),
        ({"user": "{user}}: {content}"}, "closes nothing"),
        ({"user": "no content"}, "must have {content} once"),
        ({"user": "{content}{content}"}, "must have {content} once"),
        ({"system": "{content!r}"}, "only"),
        ({"assistant": "{name}: {content}"}, "{name}"),
        ({"assistant": " {content}"}, "nothing before {content}"),
    ],
)
def test_forms_that_cannot_be(tokenizer, form, reason):
    """Catches a form that would lose the content, or fail only when it is used."""
    with pytest.raises(UsageError, match=r"^--transcript") as caught:
        transcript(tokenizer, **form)
    assert reason in caught.value.reason


def test_a_model_without_a_template_gets_one(tokenizer, tmp_path: Path):
    """Catches a template that is asked of a base model, and names that a template outweighs."""
    assert isinstance(open_form(ChatForm(), tokenizer), Transcript)
    (tmp_path / "chat_template.jinja").write_text("x")
    tokenizer = saved(byte_level(), tmp_path)
    named = ChatForm(transcript=TranscriptForm(user_name="Al"))
    assert isinstance(open_form(named, tokenizer), Transcript)
    form = open_form(ChatForm(), tokenizer)
    assert not isinstance(form, Transcript)
    form.close()
