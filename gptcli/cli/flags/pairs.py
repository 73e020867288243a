"""`--example INPUT OUTPUT`: an option of two texts that can be given again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from typer.core import TyperCommand

from gptcli.errors import UsageError

_PAIR = "--example"


class TakesPairs(TyperCommand):
    """A command whose `--example` takes two texts each time, for which Typer has no type.

    It sees the option twice instead, one text each; `pairs_of` puts them together again.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises UsageError where the second text is missing."""
        found: list[str] = []
        rest = iter(args)
        for word in rest:
            if word == "--":
                found += [word, *rest]
            elif word == _PAIR or word.startswith(f"{_PAIR}="):
                texts = [word.removeprefix(f"{_PAIR}=")] if word != _PAIR else []
                texts += islice(rest, 2 - len(texts))
                if len(texts) < 2 and not ctx.resilient_parsing:
                    raise UsageError(_PAIR, "needs two texts, an input and its output")
                found += [f"{_PAIR}={text}" for text in texts]
            else:
                found.append(word)
        return super().parse_args(ctx, found)


def pairs_of(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(input, output) of every `--example`."""
    return list(zip(texts[::2], texts[1::2], strict=True))
