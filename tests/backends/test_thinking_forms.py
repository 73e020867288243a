"""Templates that have a model think, each with marks of its own: documents and answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Rust

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.open_model import OpenModel
from gptcli.chat.talk import Talk
from gptcli.types.chat import ChatForm, ChatRequest, Message
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from tests.engine.helpers import copy_case

_TURNS = (
    "{% for m in messages %}<|start|>{{ m.role }}:{% if m.role == 'assistant' %}%s{% endif %}"
    "{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant:%s{% endif %}"
)
ENDS = ["<|start|>", "<|end|>"]


def template(begin: str, back: str = "") -> str:
    """One that begins an answer so, and gives an earlier one back so."""
    return _TURNS.replace("%s", back, 1).replace("%s", begin, 1)


@dataclass(frozen=True)
class Form:
    """A template, added tokens, what a model writes around a thought, and what it is forced to.

    off: how the prompt ends where the template is told not to have it think, None where it cannot.
    back: how an earlier answer's thought stands in a document, where it does.
    """

    template: str
    control: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    before: str = ""
    behind: str = ""
    off: str | None = None
    back: str = ""


_CLOSED = (
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
_GIVEN_BACK = "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
_SILENT = "{% if not enable_thinking | default(false) %}<|channel>thought\n<channel|>{% endif %}"
_WORDS = "{% if false %}<think></think><response></response>{% endif %}"
_WORD = (
    "{% set n = namespace(on=true) %}{% for m in messages %}{% if '/no_think' in m.content %}"
    "{% set n.on = false %}{% elif '/think' in m.content %}{% set n.on = true %}{% endif %}"
    "{% endfor %}{% for m in messages %}<|start|>{{ m.role }}:"
    "{{ m.content.replace('/think', '').replace('/no_think', '') }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant:"
    "{% if n.on %}<think>{% else %}<think></think>{% endif %}{% endif %}"
)
_LISTED = (
    "{% for m in messages %}<|start|>{{ m.role }}:{% for b in m.content %}"
    "{% if b.type == 'text' %}{{ b.text }}"
    "{% elif b.type == 'thinking' %}[THINK]{{ b.thinking }}[/THINK]{% endif %}{% endfor %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant:{% endif %}"
)
_ELEMENT = "<|open|>{{ 'think' if thinking | default(true) else 'response' }}<|sep|>"
_OPENED = "{% if thinking | default(true) %}<think>{% else %}</think>{% endif %}"
FORMS = {
    "opened by the model": Form(
        template(_CLOSED, _GIVEN_BACK),
        added=("<think>", "</think>"),
        before="<think>\n",
        behind="\n</think>\n\n",
        off="<think>\n\n</think>\n\n",
        back="<think>Hm.</think>",
    ),
    "opened by the template": Form(
        template(_OPENED), added=("<think>", "</think>"), behind="</think>", off="</think>"
    ),
    "in the text": Form(
        template("<think>\n", "{{ m.content.split('</think>')[0][:0] }}"), behind="\n</think>\n"
    ),
    "with a name and a budget": Form(
        template("{% if thinking_budget == 0 %}<se:think></se:think>{% endif %}"),
        control=("<se:think>", "</se:think>"),
        before="<se:think>",
        behind="</se:think>",
        off="<se:think></se:think>",
    ),
    "brackets": Form(
        template(""), control=("[THINK]", "[/THINK]"), before="[THINK]", behind="[/THINK]"
    ),
    "brackets in lists": Form(
        _LISTED,
        control=("[THINK]", "[/THINK]"),
        before="[THINK]",
        behind="[/THINK]",
        back="[THINK]Hm.[/THINK]yes<|end|>",
    ),
    "a named channel": Form(
        template(_SILENT),
        control=("<|channel>", "<channel|>"),
        before="<|channel>thought\n",
        behind="<channel|>",
        off="<|channel>thought\n<channel|>",
    ),
    "messages": Form(
        template(""),
        control=("<|channel|>", "<|message|>"),
        before="<|channel|>a<|message|>",
        behind="<|end|><|start|>a<|channel|>final<|message|>",
    ),
    "told by a word": Form(
        _WORD, added=("<think>", "</think>"), behind="</think>", off="<think></think>"
    ),
    "elements": Form(
        template(_ELEMENT),
        control=("<|open|>", "<|sep|>", "<|close|>"),
        behind="<|close|>think<|sep|><|open|>response<|sep|>",
        off="<|open|>response<|sep|>",
    ),
    "wrapped answers": Form(
        template("{{ '' if thinking else '' }}", _WORDS),
        before="<think>",
        behind="</think>\n<response>",
    ),
}
#: Letters of all of it, a token each.
LETTERS = "".join(sorted(set("Hm.yes:abcdefghiklnoprstuTHINK<>/[]|\n ")))


def _without_ends(config) -> None:
    # An id of a letter here.
    config.update(max_position_embeddings=256, eos_token_id=None)


@pytest.fixture(params=FORMS)
def thinker(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A talk with a model of the form, and what lets it draw these tokens."""
    form = FORMS[request.param]
    directory = copy_case("llama/tied", tmp_path / "m", _without_ends)
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = [bytes_.pre_tokenize_str(each)[0][0] for each in LETTERS]
    assert len(letters) + 6 <= 60
    rust = Rust(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    rust.pre_tokenizer = bytes_
    rust.decoder = decoders.ByteLevel()
    control = [AddedToken(each, special=True, normalized=False) for each in (*ENDS, *form.control)]
    rust.add_tokens(control)
    rust.add_tokens([AddedToken(name, normalized=False) for name in form.added])
    rust.save(str(directory / "tokenizer.json"))
    (directory / "chat_template.jinja").write_text(form.template)
    backend = LocalBackend(OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu")))
    talk = Talk(lambda: backend, ChatRequest((), max_new_tokens=None), model="m")

    def says(answer: str) -> Message:
        tokens = backend._open.tokenizer.encode(answer, special=True)
        ids: Iterator[int] = iter(tokens)
        talk.request = replace(talk.request, max_new_tokens=len(tokens))
        monkeypatch.setattr("gptcli.engine.asking.draws.next_ids", lambda *_: [next(ids)])
        list(talk.ask("hi"))
        return talk.messages[-1]

    yield form, talk, says
    backend.close()


def test_an_answer_is_told_from_its_thought(thinker):
    """Catches a form that is known by itself, and not where a template and a vocabulary have it."""
    form, talk, says = thinker
    if "enable_thinking" in form.template and "channel" in form.template:
        talk.request = replace(talk.request, form=ChatForm(think=True))
    message = says(f"{form.before}Hm.{form.behind}yes<|end|>")
    assert (message.thinking, message.content) == ("Hm.", "yes")
    assert says(f"{form.before}Hm.").content == ""
    assert talk.messages[-1].thinking == "Hm."
    written = talk.document_with("a").text
    assert written.count("user:") == 3
    assert form.back in written if form.back else "Hm." not in written


def test_a_model_that_is_told_not_to_think_does_not(thinker):
    """Catches an answer that is taken for a thought, and a switch that nobody reads."""
    form, talk, says = thinker
    talk.request = replace(talk.request, form=ChatForm(think=False))
    if form.off is None and ("thinking" not in form.template or "b.thinking" in form.template):
        with pytest.raises(Exception, match="--no-think: the chat template reads"):
            talk.document_with("hi")
        return
    assert talk.document_with("hi").text.endswith(f"assistant:{form.off or ''}")
    assert says("yes<|end|>") == Message("assistant", "yes")


@pytest.mark.parametrize("thinker", ["told by a word"], indirect=True)
def test_the_word_stands_in_the_systems_text(thinker):
    """Catches a word in place of the system's text, and one that the user is said to have said."""
    _, talk, _ = thinker
    system = (Message("system", "a b."),)
    talk.request = replace(talk.request, messages=system, form=ChatForm(think=False))
    document = talk.document_with("hi")
    assert document.text.startswith("<|start|>system:a b.\n<|end|><|start|>user:hi<|end|>")
    assert [turn.role for turn in document.turns] == ["system", "user", "assistant"]


def test_a_thought_is_ended(thinker):
    """Catches marks that a form is ended by and that its reader does not know."""
    form, talk, says = thinker
    on = ChatForm(think=True) if "enable_thinking" in form.template else ChatForm()
    talk.request = replace(talk.request, form=on, think_budget=2)
    known = talk._open()._open
    found = known.kept(LocalChat).form(on, 2).thinking
    # A new line behind a mark is a token that is thought.
    before = form.before if form.control else form.before.rstrip()
    # What is drawn in the place of what is forced is not seen.
    message = says(f"{before}ab{'a' * len(found.forced)}yes<|end|>")
    assert (message.thinking, message.content) == ("ab", "yes")
