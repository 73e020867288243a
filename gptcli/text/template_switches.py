"""What a template is told beside the messages: its own switches, by the names that it reads.

There is no standard: `enable_thinking` (Qwen, GLM, Gemma 4), `thinking` (DeepSeek, Granite),
`reasoning_effort` (gpt-oss), `thinking_budget` (Seed-OSS, in tokens) and so on. So it is looked up
what a template reads, and what it does not read is refused instead of passed over. Some read no
variable, but look for a word in what is said (`/think`, `/no_think`, of Nemotron Nano v2): the
system's text says it then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gptcli.errors import UsageError
from gptcli.types.chat import ChatForm, Message

#: Whether to think: (name, what means yes, what means no). All that a template reads are told.
_THINK: tuple[tuple[str, Any, Any], ...] = (
    ("enable_thinking", True, False),
    ("thinking", True, False),
    ("thinking_mode", "enabled", "disabled"),
    ("thinking_option", "on", "off"),
)
#: How much to think, in words and in tokens.
_EFFORT = ("reasoning_effort", "thinking_effort", "reasoning_strength")
_BUDGET = "thinking_budget"
#: Words for no effort at all, where a template knows one.
_NONE = re.compile(r"""['"](no_think|none)['"]""")
#: A word for no thoughts, and one for thoughts, that a template looks for in a text.
_NO_WORD = re.compile(r"""['"](/no_?think)['"]\s+(?:not\s+)?in\b""")
_WORD = re.compile(r"""['"](/think)['"]\s+(?:not\s+)?in\b""")
#: What a conversation itself says.
_OURS = frozenset(("messages", "add_generation_prompt", "tools", "documents"))


def values_of(
    form: ChatForm,
    reads: Collection[str],
    source: str,
    *,
    names: Collection[str] = (),
    budget: int | None = None,
) -> dict[str, Any]:
    """What the template with this source, which reads these variables, is told of a form.

    names: those of special tokens, which nobody can set. budget: of tokens to be thought, which a
    template is told that asks for it. Raises UsageError for what it does not read.
    """
    found: dict[str, Any] = {}
    if budget is not None and _BUDGET in reads:
        found[_BUDGET] = budget
    if form.think is not None and not said_of(form, reads, source):
        found |= _think(form.think, reads, source)
    if form.effort is not None:
        known = [name for name in _EFFORT if name in reads]
        if not known:
            raise _unread("--effort", _EFFORT, reads, source=source)
        found |= dict.fromkeys(known, form.effort)
    for name, value in form.values.items():
        if name in _OURS or name in names:
            raise UsageError("--template-set", f"{name} is not for anybody to set")
        if name not in reads:
            raise _unread("--template-set", (name,), reads, names)
        found[name] = value
    return found


def switches(reads: Collection[str], source: str = "") -> list[str]:
    """Those of the variables that are about thinking, in a fixed order, or the words that are."""
    known = (*(name for name, _, _ in _THINK), *_EFFORT, _BUDGET)
    found = [name for name in known if name in reads]
    return found or [each for each in _words(source) if each]


def said_of(form: ChatForm, reads: Collection[str], source: str) -> str:
    """The word that the system's text has to say of a form; nothing where a variable tells it."""
    if form.think is None or switches(reads):
        return ""
    return _words(source)[0 if form.think else 1]


def with_word(messages: Sequence[Message], word: str) -> Sequence[Message]:
    """The messages, with a word, where it is one, at the end of the system's text."""
    if not word:
        return messages
    if not messages or messages[0].role != "system":
        return [Message("system", word), *messages]
    first = messages[0]
    return [replace(first, content=f"{first.content}\n{word}"), *messages[1:]]


def _words(source: str) -> tuple[str, str]:
    """Those that have a model think, and not think; of a template that looks for both."""
    yes, no = _WORD.search(source), _NO_WORD.search(source)
    return (yes[1], no[1]) if yes and no else ("", "")


def _think(wanted: bool, reads: Collection[str], source: str) -> Mapping[str, Any]:
    found = {name: yes if wanted else no for name, yes, no in _THINK if name in reads}
    if found:
        return found
    if _BUDGET in reads:
        return {_BUDGET: -1 if wanted else 0}
    effort = next((name for name in _EFFORT if name in reads), None)
    none = _NONE.search(source)
    if effort is not None and none is not None:
        return {effort: "high" if wanted else none[1]}
    flag = "--think" if wanted else "--no-think"
    raise _unread(flag, [name for name, _, _ in _THINK], reads)


def _unread(
    flag: str,
    names: Collection[str],
    reads: Collection[str],
    special: Collection[str] = (),
    source: str = "",
) -> UsageError:
    """The error for a switch that the template does not have."""
    what = f"no {' or '.join(names)}" if len(names) < 3 else f"none of {', '.join(names)}"
    others = switches(reads, source) or sorted(set(reads) - _OURS - set(special))
    hint = f"it reads {', '.join(others[:12])}" if others else None
    return UsageError(flag, f"the chat template reads {what}", hint)
