"""How a user wants the next token to be drawn from the logits."""

from __future__ import annotations

import random
from dataclasses import fields

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass
from gptcli.types.samplers import DEFAULT_ORDER, bias, filled, samplers
from gptcli.types.settled_sampling import Sampling

__all__ = ["LISTS", "NUMBERS", "USUAL", "Sampling", "SamplingWish", "seed_of"]


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
    dry_multiplier: float | None = option(
        None,
        "Subtract X × BASE to the power of (length − allowed length) from the logit of a token that"
        " would repeat a sequence of that length (DRY); 0 is off, 0.8 a usual value.",
        metavar="X",
        panel=_PANEL,
        limit=Limit(0),
        setting=True,
    )
    dry_base: float | None = option(
        None,
        "By how much DRY grows with each token of a sequence. Default: 1.75.",
        metavar="BASE",
        panel=_PANEL,
        limit=Limit(1),
        setting=True,
    )
    dry_allowed_length: int | None = option(
        None,
        "Sequences up to N tokens may be repeated under DRY. Default: 2.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(0, MOST),
        setting=True,
    )
    dry_penalty_last_n: int | None = option(
        None,
        "DRY looks at the last N tokens, those of the prompt too; 0 is off. Default: 64.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(0, MOST),
        setting=True,
    )
    dry_sequence_breakers: tuple[str, ...] = option(
        (),
        "DRY sees no sequence across this text; none leaves out the usual ones, which are a line's"
        " end, a colon, a quote and a star. Repeatable.",
        "--dry-sequence-breaker",
        metavar="TEXT",
        panel=_PANEL,
        parse=filled,
    )
    top_n_sigma: float | None = option(
        None,
        "Draw from tokens whose logit is at most N standard deviations of all below the best one;"
        " 0 is off.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(-1),
        setting=True,
    )
    typical_p: float | None = option(
        None,
        "Draw from the tokens that are as surprising as the model expects, the fewest whose"
        " probabilities reach P; 1 is off.",
        *("--typical-p", "--typical"),
        metavar="P",
        panel=_PANEL,
        limit=Limit(0, 1, above=True),
        setting=True,
    )
    xtc_probability: float | None = option(
        None,
        "Leave out, with this probability at each token, all of those above --xtc-threshold but the"
        " least likely (XTC); 0 is off.",
        metavar="P",
        panel=_PANEL,
        limit=Limit(0, 1),
        setting=True,
    )
    xtc_threshold: float | None = option(
        None,
        "How probable a token has to be for XTC to leave it out; above 0.5 there is never one that"
        " could be. Default: 0.1.",
        metavar="P",
        panel=_PANEL,
        limit=Limit(0, 1),
        setting=True,
    )
    dynatemp_range: float | None = option(
        None,
        "A temperature from --temperature less X to it and X more, the higher the less sure the"
        " model is; 0 is off.",
        metavar="X",
        panel=_PANEL,
        limit=Limit(0),
        setting=True,
    )
    dynatemp_exponent: float | None = option(
        None,
        "The power of the entropy's share by which the dynamic temperature rises. Default: 1.",
        *("--dynatemp-exponent", "--dynatemp-exp"),
        metavar="X",
        panel=_PANEL,
        limit=Limit(0),
        setting=True,
    )
    samplers: tuple[str, ...] = option(
        (),
        "The samplers that are used, in this order. Default:"
        f" {';'.join(DEFAULT_ORDER)}, with the temperature at the end where it is dynamic. Rules of"
        " the model's own and biases come before, or behind penalties that stand first.",
        metavar="NAME;…",
        panel=_PANEL,
        parse=samplers,
        joined=True,
        setting=True,
    )
    ban: tuple[str, ...] = option(
        (),
        "This text never comes: where it would be whole, what was drawn is taken back to the token"
        " that it began in, and another is drawn there. Repeatable.",
        metavar="TEXT",
        panel=_PANEL,
        parse=filled,
    )
    logit_bias: tuple[tuple[str, float], ...] = option(
        (),
        "Add BIAS to the logit of a token, named by id or text; -inf forbids it. Or a JSON file of"
        ' such pairs, {"TOKEN": BIAS}. Repeatable.',
        metavar="TOKEN=BIAS|FILE",
        panel=_PANEL,
        parse=bias,
        in_file=True,
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


#: What of a wish is a list of words, by the field, and its flag.
LISTS = {
    "samplers": "--samplers",
    "dry_sequence_breakers": "--dry-sequence-breaker",
    "ban": "--ban",
}
_NO_NUMBERS = ("logit_bias", "seed", *LISTS)
#: The numbers of a wish that hold for every text, so that a conversation keeps them.
NUMBERS = tuple(f.name for f in fields(SamplingWish) if f.name not in _NO_NUMBERS)
#: Those of them that everybody knows, and that are told also where nothing was said of them.
USUAL = (
    *("temperature", "top_k", "top_p", "min_p", "repeat_penalty"),
    *("presence_penalty", "frequency_penalty"),
)


def seed_of(wish: SamplingWish) -> int:
    """The seed that was asked for, else another one each time."""
    return random.SystemRandom().randrange(2**32) if wish.seed is None else wish.seed
