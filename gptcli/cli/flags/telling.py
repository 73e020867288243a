"""How much of an explanation is told, in which words, and how."""

from __future__ import annotations

from gptcli.cli.flags.layers import layers
from gptcli.cli.flags.source import checked
from gptcli.config import MOST, Limit, option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.explain import STAGES, WHAT_IF
from gptcli.ui.words import LANGUAGES


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise ValueError(f"must be {' or '.join(LANGUAGES)}, not {text!r}")
    return text


def _stages(text: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in text.split(","))
    unknown = sorted(found - {*STAGES})
    if unknown:
        raise ValueError(f"must be of {', '.join(STAGES)}, not {unknown[0]!r}")
    return found


@dataclass(frozen=True)
class Swap:
    """A text that stands in the place of another."""

    old: str
    new: str

    def of(self, text: str) -> str:
        """The text with it. Raises UsageError where the old one does not stand in it once."""
        count = text.count(self.old)
        if count == 1:
            return text.replace(self.old, self.new)
        if count:
            reason = f"{self.old!r} stands in the prompt {count} times"
            raise UsageError("--what-if", reason, "give more of the text around it, on both sides")
        raise UsageError("--what-if", f"{self.old!r} does not stand in the prompt")


def _swap(text: str) -> Swap:
    old, sign, new = checked(text, "--what-if").partition("=")
    if not old or not sign:
        raise ValueError(f"must be OLD=NEW, not {text!r}")
    if old == new:
        raise ValueError(f"replaces {old!r} by itself")
    return Swap(old, new)


@dataclass(frozen=True)
class Telling:
    """How much of the walk is told, in which words, and how."""

    steps: int = option(
        1,
        "Go on with the token that is drawn, N times in all. Default: 1.",
        metavar="N",
        brief="Go on with the token that is drawn.",
        limit=Limit(1, MOST),
    )
    step: bool = option(
        False,
        "One page at a time: arrow keys, space; q or Esc leaves.",
        brief="One page at a time, with the arrow keys.",
    )
    layers: tuple[int, ...] | None = option(
        None,
        "The layers to tell of, from 0: 0,5-8, or `all`. Default: all in --json, else some.",
        metavar="N,N-N,…",
        brief="The layers to tell of, or `all`.",
        parse=layers,
        joined=True,
    )
    what_if: Swap | None = option(
        None,
        "Tell as well what would be if NEW stood in the prompt in the place of OLD, which stands"
        " there once: the first round of both, side by side. NEW may be nothing.",
        metavar="OLD=NEW",
        brief="Both with a word replaced, side by side.",
        parse=_swap,
    )
    only: frozenset[str] = option(
        frozenset(),
        f"Tell of these stages alone: {', '.join(STAGES)}.",
        metavar="STAGE,…",
        choices=STAGES,
        parse=_stages,
        joined=True,
    )
    lang: str = option(
        "en",
        f"The language of the words: {' or '.join(LANGUAGES)}. Default: en.",
        metavar="LANG",
        brief=f"The language: {' or '.join(LANGUAGES)}.",
        choices=LANGUAGES,
        parse=_language,
    )
    shapes: bool = option(
        False,
        "Show instead the model's tensors and how many parameters each has, and the tensors that"
        " the prompt makes.",
    )

    def check(self, prompt: str, *, json: bool) -> None:
        """Raise UsageError for what does not go together, or with this prompt."""
        for flag, given in (("--what-if", self.what_if), ("--only", self.only)):
            if given and self.shapes:
                raise UsageError(flag, "cannot be combined with --shapes")
        if self.only and json:
            raise UsageError("--only", "cannot be combined with --json, which has all of them")
        if WHAT_IF in self.only and self.what_if is None:
            raise UsageError("--only", f"{WHAT_IF} needs --what-if OLD=NEW")
        if self.what_if is not None:
            self.what_if.of(prompt)
