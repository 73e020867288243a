"""A prompt whose parts are left out, cut into tokens and those into parts."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby

from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.targets import known_of, named
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.text import units
from gptcli.types.chat import ChatForm, Message
from gptcli.types.events import Notice
from gptcli.types.why import MAX_PAIRS, By, Part, WhyRequest
from gptcli.units import counted

_BEGINS: dict[By, Callable[[str], list[int]]] = {
    "word": units.words,
    "sentence": units.sentences,
    "line": units.lines,
}


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt in tokens, and those of what was named to follow it, the target first.

    places: [start, end) of each token in `text`, in characters; None for what is never left out.
    """

    ids: list[int]
    text: str
    places: list[tuple[int, int] | None]
    rows: list[list[int]]
    notices: tuple[Notice, ...] = ()


def asked_prompt(model: OpenModel, request: WhyRequest) -> AskedPrompt:
    """Raises the errors of `encode` and of `cut_after`, and those of a chat template."""
    if request.as_chat:
        return _message(model, request)
    special = request.special
    known = known_of(model, request.prompt, request.target, request.versus, special=special)
    places: list[tuple[int, int] | None] = [None] * (len(known.prompt) - known.own)
    for token, start, end in model.tokenizer.cut(known.text, special=special)[: known.own]:
        places.append(None if model.tokenizer.is_special(token) else (start, end))
    return AskedPrompt(known.prompt, known.text, places, known.rows, known.notices)


def _message(model: OpenModel, request: WhyRequest) -> AskedPrompt:
    """The prompt as a message of the user, in the document that the model would answer to."""
    form = model.kept(LocalChat).unthinking(ChatForm())
    document = form.document([Message("user", request.prompt)])
    # Some templates take the space off its ends.
    content = request.prompt if request.prompt in document.text else request.prompt.strip()
    begin = document.text.rfind(content)
    if not content.strip() or begin < 0:
        raise InputError("prompt", f"does not stand in {form.description} as it was written")
    end = begin + len(content)
    inside = [begin <= start < stop <= end for start, stop in document.spans]
    texts = named(request.target, request.versus)
    rows = [model.tokenizer.encode(text, inside=True) for text in texts.values()]
    for name, row in zip(texts, rows, strict=True):
        if not row:
            raise InputError(name, "adds no token to the prompt")
        model.check_ids(row, name)
    model.check_ids(document.ids, "prompt")
    model.check_length(len(document.ids) + max(map(len, rows), default=1))
    places = [
        (start - begin, stop - begin) if own else None
        for (start, stop), own in zip(document.spans, inside, strict=True)
    ]
    return AskedPrompt([*document.ids], content, places, rows)


def parts_of(model: OpenModel, request: WhyRequest, prompt: AskedPrompt) -> list[Part]:
    """What is left out together, in the order of the text.

    A token is of the word, sentence or line in which its first letter is. Raises InputError where
    nothing can be left out, or nothing would be left, and UsageError for too many pairs.
    """
    text = prompt.text
    begins = None if request.by == "token" else _BEGINS[request.by](text)

    def unit(at: int) -> int | None:
        place = prompt.places[at]
        if place is None or begins is None:
            return None if place is None else at
        piece = text[place[0] : place[1]]
        space = len(piece) - len(piece.lstrip()) if piece.strip() else 0
        return bisect_right(begins, place[0] + space)

    found = []
    for key, places in groupby(range(len(prompt.ids)), unit):
        group = [*places]
        if key is not None:
            tokens = tuple(model.token(prompt.ids[at]) for at in group)
            found.append(Part(group[0], tokens))
    _check(request, prompt, found)
    return found


def _check(request: WhyRequest, prompt: AskedPrompt, parts: Sequence[Part]) -> None:
    count, by = len(parts), request.by
    if not parts:
        raise InputError("prompt", "has nothing but control tokens, which are never left out")
    alone = None not in prompt.places
    if request.replace is None and alone and count <= 1 + request.pairs:
        rest = "nothing would be left without " + ("it" if count == 1 else "them")
        hint = "--replace puts another token in the place of each"
        raise InputError("prompt", f"is {counted(count, by)}, and {rest}", hint)
    if request.pairs and math.comb(count, 2) > MAX_PAIRS:
        reason = f"{count} {by}s make {math.comb(count, 2):,} pairs, and {MAX_PAIRS:,} are allowed"
        raise UsageError("--pairs", reason, "--by sentence makes fewer")
