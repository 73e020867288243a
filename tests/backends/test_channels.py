"""A chat with a gpt-oss: its answers come in channels."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Rust

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError
from gptcli.types.chat import ChatDocumentRequest, ChatForm, ChatRequest, Message, TranscriptForm
from gptcli.types.completion import Chunk
from gptcli.types.compute import Compute
from gptcli.types.constraints import Constraint
from gptcli.types.events import Notice
from gptcli.types.models import ModelDir
from tests.engine.helpers import copy_case

NAMES = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"]
TEMPLATE = """{%- for each in messages -%}
<|start|>{{ each.role }}
{%- if each.role == 'assistant' %}<|channel|>final{% endif -%}
<|message|>{{ each.content }}
{%- if loop.last and each.role == 'assistant' %}<|return|>{% else %}<|end|>{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}<|start|>assistant{% endif -%}"""


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    """A model of 61 tokens: letters, a space, two signs and the control tokens."""
    directory = copy_case(
        "gpt_oss/plain", tmp_path / "m", lambda c: c.update(max_position_embeddings=128)
    )
    letters = ["Ġ", ".", ":", *string.ascii_letters]
    rust = Rust(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_tokens([AddedToken(name, special=True) for name in NAMES])
    rust.save(str(directory / "tokenizer.json"))
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return LocalBackend(OpenModel(ModelDir("oss", directory, "test"), Compute(device="cpu")))


@pytest.fixture
def says(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str, str | None, list[str]]]:
    """Lets the model draw these tokens; gives the text, why it ended, and the notices."""

    def script(
        answer: str,
        *,
        limit: int | None = None,
        form: ChatForm | None = None,
        constraint: Constraint | None = None,
    ):
        ids: Iterator[int] = iter(backend._open.tokenizer.encode(answer, special=True))
        monkeypatch.setattr("gptcli.engine.asking.draws.next_ids", lambda *_: [next(ids)])
        request = ChatRequest(
            (Message("user", "hi"),),
            form=form or ChatForm(),
            max_new_tokens=limit,
            constraint=constraint,
        )
        events = list(backend.answer(request))
        chunks = [event for event in events if isinstance(event, Chunk)]
        notices = [event.text for event in events if isinstance(event, Notice)]
        return "".join(c.text for c in chunks), chunks[-1].finish_reason, notices

    return script


THOUGHT = "<|channel|>x<|message|>Hm.<|end|><|start|>a"


def test_the_answer_is_what_the_final_channel_says(says):
    """Catches thinking in the answer, and an answer that ends with the thinking."""
    answer = f"{THOUGHT}<|channel|>final<|message|>Yes.<|return|>"
    assert says(answer) == ("Yes.", "stop", [])


def test_what_is_thought_is_told_beside_it(backend, says, monkeypatch):
    """Catches thinking that is lost, or holds names of channels."""
    told: list[Chunk] = []
    answer = backend.answer

    def noted(question):
        for event in answer(question):
            told.extend([event] if isinstance(event, Chunk) else [])
            yield event

    monkeypatch.setattr(backend, "answer", noted)
    says(f"{THOUGHT}<|channel|>final<|message|>Yes.<|return|>")
    assert "".join(chunk.thinking for chunk in told) == "Hm."
    assert not any(chunk.text and chunk.thinking for chunk in told)


def test_an_answer_cut_short_in_thought_says_so(says):
    """Catches an empty answer without a word."""
    text, reason, notices = says(THOUGHT, limit=4)
    assert (text, reason) == ("", "length")
    assert notices == [
        "all 4 tokens went into thinking, so none came; -n allows more of them, --think-budget"
        " fewer thoughts"
    ]


def test_transcripts_know_no_channels(says):
    """Catches a form of another kind that loses text to names that it does not use."""
    form = ChatForm(transcript=TranscriptForm())
    text, _, _ = says("Yes<|channel|>x<|message|>Hm", limit=8, form=form)
    assert text == "YesxHm"


def test_the_next_turn_holds_the_answer_alone(backend):
    """Catches a document in which the thought, or the wrong end, comes back."""
    said = (Message("user", "hi"), Message("assistant", "Yes."), Message("user", "so"))
    document = backend.answer(ChatDocumentRequest(ChatRequest(said)))
    text = b"".join(token.bytes for turn in document.turns for token in turn.tokens).decode()
    answer = "<|start|>assistant<|channel|>final<|message|>Yes.<|end|>"
    assert f"{answer}<|start|>user<|message|>so<|end|><|start|>assistant" in text


def test_a_constraint_is_about_the_final_channel(says):
    """Catches thoughts that are held to a form, and an answer in another channel than its own."""
    yes = Constraint("one-of", choices=("Yes.", "No."))
    answer = f"{THOUGHT}<|channel|>final<|message|>"
    assert says(f"{answer}Yes.", constraint=yes) == ("Yes.", "stop", [])
    with pytest.raises(InputError, match="--one-of"):
        says(f"{answer}Maybe.", constraint=yes)
