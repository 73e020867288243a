"""How the next token is drawn from the logits."""

from __future__ import annotations

import random
from dataclasses import fields

from gptcli.config import MOST, Limit, number_of, option
from gptcli.plain import dataclass
from gptcli.types.rules import NO_RULES, Rules


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn from the logits. The defaults of each field leave them alone.

    temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off; repeat_penalty divides positive
    and multiplies negative logits of tokens already seen (1 is off), presence_penalty and
    frequency_penalty are subtracted once, or once per occurrence, for tokens already generated.
    logit_bias pairs a token id with a number that is added to its logit. repeat_last: the repeat
    penalty is for so many of the tokens generated last, 0 for all and the prompt's. rules: those of
    the model's own files.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    repeat_last: int = 0
    rules: Rules = NO_RULES


def _bias(text: str) -> tuple[str, float]:
    # From the right: a token's text may hold an = itself.
    token, equals, amount = text.rpartition("=")
    try:
        if not (token and equals):
            raise ValueError
        bias = number_of(amount)
        token.encode()
        # Beyond what float32 logits can take; -inf forbids the token.
        if not (bias == float("-inf") or abs(bias) <= 1e30):
            raise ValueError
    except ValueError:
        raise ValueError(f"must be TOKEN=NUMBER, not {text!r}") from None
    return token, bias


_PANEL = "Sampling"


@dataclass(frozen=True)
class SamplingWish:
    """What the user asked of the sampler: None where nothing was said.

    The backend fills the gaps from the model's own generation settings. logit_bias names a token
    by its id (digits) or by its text, since only the backend can turn text into ids. seed is that
    of the first text; without one each run has another.
    """

    temperature: float | None = option(
        None,
        "How boldly to draw: 0 always takes the most probable token. Default: the model's own,"
        " else 0.8.",
        *("--temperature", "--temp"),
        metavar="T",
        panel=_PANEL,
        brief="How boldly to draw; 0: the likeliest token.",
        limit=Limit(0),
        setting=True,
    )
    top_k: int | None = option(
        None,
        "Draw from the K most probable tokens only; 0 is off.",
        metavar="K",
        panel=_PANEL,
        limit=Limit(0, MOST),
        setting=True,
    )
    top_p: float | None = option(
        None,
        "Draw from the fewest tokens whose probabilities reach P; 1 is off.",
        metavar="P",
        panel=_PANEL,
        limit=Limit(0, 1, above=True),
        setting=True,
    )
    min_p: float | None = option(
        None,
        "Draw from tokens at least P times as probable as the best one; 0 is off. Default: 0.05,"
        " unless the model's own settings say how to draw.",
        metavar="P",
        panel=_PANEL,
        limit=Limit(0, 1),
        setting=True,
    )
    repeat_penalty: float | None = option(
        None,
        "Divide the logits of tokens that came before by X; 1 is off. Default: 1.05 for the last"
        " 256 that were generated, unless the model's own settings say how to draw, or the"
        " temperature is 0.",
        metavar="X",
        panel=_PANEL,
        limit=Limit(0, above=True),
        setting=True,
    )
    presence_penalty: float | None = option(
        None,
        "Subtract X from the logit of every token generated before; 0 is off.",
        metavar="X",
        panel=_PANEL,
        limit=Limit(-100, 100),
        setting=True,
    )
    frequency_penalty: float | None = option(
        None,
        "Subtract X for each time that a token was generated before; 0 is off.",
        metavar="X",
        panel=_PANEL,
        limit=Limit(-100, 100),
        setting=True,
    )
    logit_bias: tuple[tuple[str, float], ...] = option(
        (),
        "Add BIAS to the logit of a token, named by id or text; -inf forbids it. Repeatable.",
        metavar="TOKEN=BIAS",
        panel=_PANEL,
        parse=_bias,
    )
    seed: int | None = option(
        None,
        "The same seed draws the same text. Default: another one each time.",
        metavar="N",
        panel=_PANEL,
        brief="The same seed draws the same text.",
        # Short enough to be typed again; sample i has seed + i, and after the last seed comes 0.
        limit=Limit(0, 2**32 - 1),
        setting=True,
    )


#: The numbers of a wish that hold for every text, so that a conversation keeps them.
NUMBERS = tuple(f.name for f in fields(SamplingWish) if f.name not in ("logit_bias", "seed"))


def seed_of(wish: SamplingWish) -> int:
    """The seed that was asked for, else another one each time."""
    return random.SystemRandom().randrange(2**32) if wish.seed is None else wish.seed
