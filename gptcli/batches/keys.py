"""What a row is known by: a digest of all that makes its result what it is; and seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from gptcli.batches.asked import Wanted
from gptcli.types.few_shot import FewShotQueries
from gptcli.types.question import Question

#: How many digits of a key are the settings'.
MARK = 8

#: What a question calls itself in an error makes no answer.
_NAMES = frozenset(("subject",))


def content_of(wanted: Wanted) -> str:
    """16 hex digits: of a row's name and question. The seed counts where the row says it."""
    question = wanted.question if wanted.seeded else seeded(wanted.question, 0)
    return digest([wanted.id, wanted.openai, wanted.form, wanted.seeded, question])


def mark_of(settings: Mapping[str, Any], seed: int | None) -> str:
    """8 hex digits: of what all rows of a run have in common; seed: the run's, where it was said.

    A seed that was asked for is a setting as others are, also of results that are whole.
    """
    return digest([settings, seed])[:MARK]


def key_of(mark: str, line: int, content: str) -> str:
    """The mark of the run's settings, and 16 hex digits of a row's place and content."""
    return mark + digest([line, content])


def digest(value: Any) -> str:
    """16 hex digits of plain values: dataclasses, sequences, texts, numbers."""
    text = json.dumps(_plain(value), ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def row_seed(run: int, content: str) -> int:
    """The seed of a row that says none: of its own, wherever it stands and whatever runs first."""
    found = hashlib.sha256(f"{run}:{content}".encode()).digest()
    return int.from_bytes(found[:4], "big")


def seeded(question: Question[Any], seed: int) -> Question[Any]:
    """The question with another seed; the same where it draws nothing."""
    if isinstance(question, FewShotQueries):
        return replace(question, request=replace(question.request, seed=seed))
    if is_dataclass(question) and any(each.name == "seed" for each in fields(question)):
        found: Question[Any] = replace(question, seed=seed)
        return found
    return question


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        said = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return [type(value).__name__, {n: v for n, v in said.items() if n not in _NAMES}]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, Path) else value
