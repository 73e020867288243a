"""A prompt and what follows it as tokens: what every question about a target begins with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.cut_after import cut_after, notices_of
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token, stray_space
from gptcli.plain import dataclass
from gptcli.types.choose import ScoredToken
from gptcli.types.events import Notice
from gptcli.units import counted

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache


@dataclass(frozen=True)
class Known:
    """A prompt in tokens, the last `own` of which are of `text`; rows: what was named to follow."""

    prompt: list[int]
    own: int
    text: str
    rows: list[list[int]]
    notices: tuple[Notice, ...]


def named(target: str | None, versus: str | None) -> dict[str, str]:
    """What was named to follow a prompt, by its flag."""
    both = {"--target": target, "--versus": versus}
    return {name: text for name, text in both.items() if text is not None}


def known_of(
    model: OpenModel,
    prompt: str,
    target: str | None,
    versus: str | None,
    *,
    special: bool,
    subject: str = "prompt",
) -> Known:
    """A prompt that a target and what it is held to follow, those of them that were named.

    subject: of the prompt in errors. Raises InputError for a target without a token, ContextError.
    """
    texts = named(target, versus)
    if not texts:
        ids = model.encode(prompt, special=special, subject=subject)
        own = len(model.tokenizer.encode(prompt, special=special))
        notices = [*stray_space(model.tokenizer, prompt, "try without it")]
        notices += [] if special else plain_control_token(model.tokenizer, prompt)
        return Known(ids, own, prompt, [], tuple(notices))
    cut = cut_after(
        model,
        prompt,
        [*texts.values()],
        [*texts],
        special=special,
        subject=subject,
        before="the target",
    )
    told = notices_of(model, prompt, [*texts.values()], cut, special=special, what="target")
    return Known(cut.prompt, cut.own, prompt.rstrip(), cut.rows, tuple(told))


def check_memory(model: OpenModel, ids: Sequence[int], follow: Sequence[Sequence[int]]) -> None:
    """Raise ResourceError where a prompt, a batch of its copies and what follows cannot fit."""
    from gptcli.engine.asking.variants import largest_batch

    runner = model.runner
    tokens = len(ids) + max(map(len, follow), default=1)
    rows = largest_batch(runner, tokens, rewinds=not runner.spec.carrying)
    # Those of the texts after a batch are copies of it again, one batch at a time.
    needed = runner.spec.cache_bytes(tokens, runner.facts.itemsize, 1 + 2 * rows)
    needs = f"{counted(len(ids), 'token')} and copies of their states need"
    memory.check("prompt", needs, needed, runner.facts.device)


def whole(
    prefix: PrefixCache, ids: Sequence[int], follow: list[list[int]], *, likeliest: bool
) -> tuple[list[list[int]], list[list[float]]]:
    """What follows, the target first, and its log-probabilities after the whole prompt.

    likeliest: the target is the token that the model finds so. Raises NonFiniteError.
    """
    from gptcli.engine import arrays
    from gptcli.engine.asking.continuations import logprobs_from
    from gptcli.engine.asking.sampling import check_finite

    rows, logits = follow, prefix.prefill(ids)
    if likeliest:
        check_finite(logits)
        (best,) = arrays.top_ids(logits, 1).tolist()
        rows = [best, *rows]
    return rows, logprobs_from(prefix.runner, prefix.state, logits, [rows])[0]


def scored(
    model: OpenModel, rows: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]]
) -> list[tuple[ScoredToken, ...]]:
    """Tokens with their log-probabilities, row by row."""
    return [
        tuple(ScoredToken(model.token(i), logprob) for i, logprob in zip(*each, strict=True))
        for each in zip(rows, logprobs, strict=True)
    ]
