"""A document as people look at it: its turns, and how sure the model is that each ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gptcli.backends.local.open_model import OpenModel
from gptcli.text.chat_document import Document, Turn
from gptcli.types.chat import ChatDocument, DocumentTurn
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache


def viewed(
    model: OpenModel,
    prefix: PrefixCache,
    document: Document,
    turns: Sequence[Turn],
    *,
    form: str,
    ends: Collection[int],
    notices: Sequence[Notice] = (),
) -> ChatDocument:
    """The document's turns with the probability of what ends each; ends: the end tokens."""
    from gptcli.engine.asking.place_scoring import score_places

    closings = [_closing(document, turn) for turn in turns]
    # A token's probability stands before it.
    found = score_places(prefix, document.ids, [at - 1 for at in closings if at], sorted(ends))
    after = iter(found.after)
    shown, first = [], 0
    for turn, closing in zip(turns, closings, strict=True):
        # A token across the border of two turns goes to the first of them.
        last = sum(1 for start, _ in document.spans if start < turn.end)
        shown.append(
            DocumentTurn(
                turn.role,
                document.text[turn.start : turn.end],
                tuple(map(model.token, document.ids[first:last])),
                model.token(document.ids[closing]) if closing else None,
                closing - first if closing else None,
                next(after) if closing else None,
            )
        )
        first = last
    if shown and shown[-1].role == "assistant" and shown[-1].ending is None and ends:
        shown[-1] = replace(shown[-1], ending_probability=found.ends)
    return ChatDocument(tuple(shown), form, model.source, tuple(notices))


def _closing(document: Document, turn: Turn) -> int | None:
    """The token after a turn's content, None where that is not known."""
    at = None if turn.content_end is None else document.tokens_before(turn.content_end)
    return at if at is not None and 0 < at < len(document.ids) else None
