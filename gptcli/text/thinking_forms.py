"""How models mark what they think before they answer, as template and vocabulary show it.

A form is found by its marks: where a template writes or looks for them, or where a vocabulary has
tokens for them. The names of models say nothing: many of one name do not think, and copies have
other names.

Most put a thought between two marks, `<think> … </think>`, of which the template may have written
the first at the prompt's end. gpt-oss (OpenAI's harmony), Solar and Kimi K3 write messages, each
with a header:

    <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>
    <|think|>…<|end|><|begin|>assistant<|content|>…<|end|>
    <|open|>think<|sep|>…<|close|>think<|sep|><|open|>response<|sep|>…<|close|>response<|sep|>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from gptcli.plain import dataclass
from gptcli.text.tokenizer import Tokenizer

#: Where an answer is: nothing of it has come, in a thought, behind one, or in what is said.
Stage = Literal["before", "thinking", "after", "saying"]
#: A header begins; its channel does; what it heads; a thought, or what is said; a message ends; a
#: footer begins, which is a header of nothing.
Border = Literal["start", "channel", "message", "think", "say", "end", "close"]

#: The control tokens of messages, those that end a thought and begin the answer, the form in words,
#: and the answer's channel.
_MESSAGES: tuple[tuple[dict[str, Border], str, tuple[str, str], str], ...] = (
    (
        {
            "<|start|>": "start",
            "<|channel|>": "channel",
            "<|message|>": "message",
            "<|end|>": "end",
        },
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        ("<|channel|>analysis<|message|>", "<|end|>"),
        "final",
    ),
    (
        {"<|begin|>": "start", "<|think|>": "think", "<|content|>": "say", "<|end|>": "end"},
        "<|end|><|begin|>assistant<|content|>",
        ("<|think|>", "<|end|>"),
        "",
    ),
    (
        {"<|open|>": "start", "<|sep|>": "message", "<|close|>": "close"},
        "<|close|>think<|sep|><|open|>response<|sep|>",
        ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        "response",
    ),
)
#: A message at the end of a text, and the channel that it is in; what has attributes is none yet.
_MESSAGE = re.compile(
    r"(?:<\|channel\|>\s*(\w+)[^<]*<\|message\|>|<\|open\|>\s*(\w+)\s*<\|sep\|>)\s*$"
)
#: `</think>`, `</seed:think>`, `</mm:think>`, `</think:opensource>`, `</thought>`.
_TAG = re.compile(r"</((?:\w{1,20}:)?(?:think|thinking|thought|reasoning)(?::\w{1,20})?)>")
#: Apriel's, whose template has tags for other purposes as well.
_SENTENCES = ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", "")
#: (opening mark, closing mark, the name that stands behind the opening one). Of Magistral, Gemma 4,
#: Command A, Apertus, Kimi-VL and OpenThinker.
_OTHERS = (
    ("[THINK]", "[/THINK]", ""),
    ("<|channel>", "<channel|>", "thought"),
    ("<|START_THINKING|>", "<|END_THINKING|>", ""),
    ("<|inner_prefix|>", "<|inner_suffix|>", ""),
    ("◁think▷", "◁/think▷", ""),
    ("<|begin_of_thought|>", "<|end_of_thought|>", ""),
)
#: What stands around an answer that comes behind a thought, where a template speaks of it.
_WRAPS = (
    ("<response>", "</response>"),
    ("<answer>", "</answer>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("", "[END FINAL RESPONSE]"),
)


@dataclass(frozen=True)
class ThinkingForm:
    """One way to tell thoughts from what is said.

    opening, closing: the marks around a thought. tokens: those marks that are a token each, by id,
    and what they are; a mark that is none is found in the text. control: they are control tokens,
    which mean the same wherever they stand, since no text has them; others begin a thought only at
    the answer's begin. name: what stands behind the opening mark, on its line. wrap: what stands
    around an answer behind a thought. borders: the tokens of messages with headers; with them there
    are no other marks. answer: what the header of an answer says. forced: the tokens that end a
    thought and begin the answer.
    """

    opening: str
    closing: str
    opening_id: int | None = None
    closing_id: int | None = None
    control: bool = False
    name: str = ""
    wrap: tuple[str, str] | None = None
    borders: tuple[tuple[int, Border], ...] = ()
    answer: str = ""
    forced: tuple[int, ...] = ()

    @property
    def description(self) -> str:
        """In a few words: `<think> … </think>`."""
        return f"{self.opening} … {self.closing}"

    @property
    def openings(self) -> tuple[int, ...]:
        """Tokens by which a thought or its header may begin; a mark that is none has none."""
        if self.borders:
            return tuple(token for token, mark in self.borders if mark not in ("end", "close"))
        return () if self.opening_id is None else (self.opening_id,)

    @property
    def within(self) -> frozenset[int]:
        """Tokens that end a part of an answer, and not the answer."""
        return frozenset(token for token, mark in self.borders if mark in ("end", "close"))

    def begins(self, written: str) -> Stage:
        """Where an answer begins behind this text, with which a template ends its document."""
        if self.borders:
            found = _MESSAGE.search(written)
            named = (found[1] or found[2]) if found else self.answer
            thought = named != self.answer or written.rstrip().endswith("<|think|>")
            return "thinking" if thought else "before"
        end = written.rstrip()
        if end.endswith((self.opening, self.opening + self.name)):
            return "thinking"
        if not end.endswith(self.closing):
            return "before"
        # On a line of its own every space is the answer's.
        return "saying" if written.endswith("\n") and self.wrap is None else "after"


def find(tokenizer: Tokenizer, template: str = "") -> ThinkingForm | None:
    """The form of a model with this template, None where nothing shows one."""
    messages = messages_of(tokenizer)
    if messages is not None:
        return messages
    for opening, closing, name in _marks(tokenizer, template):
        ids = tokenizer.id_of(opening), tokenizer.id_of(closing)
        added = [each is not None and tokenizer.is_added(each) for each in ids]
        # What a template only opens or only ends, the model does the rest of.
        if closing in template or all(added):
            opening_id, closing_id = ids if all(added) else (None, None)
            return ThinkingForm(
                opening,
                closing,
                opening_id,
                closing_id,
                all(each is not None and tokenizer.is_special(each) for each in ids),
                name,
                next((each for each in _WRAPS if each[1] in template), None),
                forced=(
                    tuple(tokenizer.encode(closing, inside=True))
                    if closing_id is None
                    else (closing_id,)
                ),
            )
    return None


def messages_of(tokenizer: Tokenizer) -> ThinkingForm | None:
    """Messages with headers, where the vocabulary has all the control tokens of them."""
    for names, forced, (opening, closing), answer in _MESSAGES:
        found = {name: tokenizer.id_of(name) for name in names}
        borders = tuple(
            (token, names[name])
            for name, token in found.items()
            if token is not None and tokenizer.is_special(token)
        )
        if len(borders) == len(names):
            ids = tuple(tokenizer.encode(forced, special=True))
            return ThinkingForm(opening, closing, borders=borders, answer=answer, forced=ids)
    return None


def _marks(tokenizer: Tokenizer, template: str) -> Iterator[tuple[str, str, str]]:
    """What may be marks of thoughts: those in the template first, then those of the vocabulary."""
    if all(mark in template for mark in _SENTENCES):
        yield _SENTENCES
    for text in (template, "\n".join(tokenizer.added_names)):
        for tag in dict.fromkeys(_TAG.findall(text)):
            yield f"<{tag}>", f"</{tag}>", ""
        yield from (each for each in _OTHERS if each[1] in text)
