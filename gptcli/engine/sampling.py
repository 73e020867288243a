"""From logits to the next token: pure stages in a fixed order, then a draw.

    penalties → logit bias → temperature → top-k → top-p → min-p → draw

Every stage takes float32 logits (rows, vocab) and gives logits of the same shape; a token that is
filtered out becomes -inf. A stage that its setting turns off does not run. `stages` gives every
intermediate, for whoever wants to show what each stage did; `distribution` gives the last.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gptcli.errors import NonFiniteError
from gptcli.types import Sampling

#: How many candidates top-p looks at first: mostly enough, and far cheaper than a full sort.
_TOP_P_FIRST = 128


@dataclass
class History:
    """What stands before the token to be drawn: the prompt, and what was generated after it."""

    prompt: Sequence[int] = ()
    generated: list[int] = field(default_factory=list)


def stages(
    logits: Tensor, sampling: Sampling, histories: Sequence[History]
) -> Iterator[tuple[str, Tensor]]:
    """(name, logits) for the raw logits and after every stage that runs, in order.

    Raises NonFiniteError where a row has NaN or +inf, or nothing but -inf.
    """
    check_finite(logits)
    yield "logits", logits
    if sampling.repeat_penalty != 1:
        logits = repeat_penalty(logits, sampling.repeat_penalty, histories)
        # A penalty near 0 makes numbers that float32 does not hold.
        check_finite(logits)
        yield "repeat-penalty", logits
    if sampling.presence_penalty or sampling.frequency_penalty:
        logits = count_penalties(
            logits, sampling.presence_penalty, sampling.frequency_penalty, histories
        )
        yield "presence/frequency-penalty", logits
    if sampling.logit_bias:
        logits = bias(logits, sampling.logit_bias)
        # A bias of -inf can forbid every token that there is.
        check_finite(logits)
        yield "logit-bias", logits
    if sampling.temperature == 0:
        # Greedy: no later filter can take the most probable token away.
        yield "greedy", greedy(logits)
        return
    if sampling.temperature != 1:
        logits = temperature(logits, sampling.temperature)
        yield "temperature", logits
    if sampling.top_k:
        logits = top_k(logits, sampling.top_k)
        yield "top-k", logits
    if sampling.top_p < 1:
        logits = top_p(logits, sampling.top_p)
        yield "top-p", logits
    if sampling.min_p:
        logits = min_p(logits, sampling.min_p)
        yield "min-p", logits


def likeliest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row (rows, vocab): values and ids, of equals the lowest id first.

    `topk` alone breaks ties by chance, so that the same logits would give other tokens for another
    count. It only finds how many are in question: all that tie with the last of them.
    """
    count = min(count, logits.size(-1))
    least = logits.topk(count, dim=-1).values[..., -1:]
    wide = int((logits >= least).sum(dim=-1).max())
    ids = logits.topk(wide, dim=-1).indices.sort(dim=-1).values
    order = logits.gather(-1, ids).sort(dim=-1, descending=True, stable=True)
    return order.values[..., :count], ids.gather(-1, order.indices[..., :count])


def distribution(logits: Tensor, sampling: Sampling, histories: Sequence[History]) -> Tensor:
    """Logits after all stages, (rows, vocab); their softmax is what is drawn from."""
    for _, last in stages(logits, sampling, histories):
        logits = last
    return logits


def check_finite(logits: Tensor) -> None:
    """Raise NonFiniteError unless every row's largest logit is a finite number."""
    # max carries NaN through, so one number per row tells.
    if not bool(logits.amax(dim=-1).isfinite().all()):
        raise NonFiniteError(
            "logits",
            "the model gave NaN or infinite numbers instead of a distribution",
            "its weights may be damaged, or need another --dtype",
        )


def repeat_penalty(logits: Tensor, penalty: float, histories: Sequence[History]) -> Tensor:
    """Divide positive and multiply negative logits of tokens in the prompt or generated so far.

    The form of CTRL (arXiv:1909.05858), as transformers and llama.cpp have it.
    """
    logits = logits.clone()
    for row, history in enumerate(histories):
        seen = torch.tensor(sorted({*history.prompt, *history.generated}), device=logits.device)
        if len(seen):
            old = logits[row, seen]
            logits[row, seen] = torch.where(old > 0, old / penalty, old * penalty)
    return logits


def count_penalties(
    logits: Tensor, presence: float, frequency: float, histories: Sequence[History]
) -> Tensor:
    """Subtract presence + frequency × count for every token generated so far, as OpenAI does."""
    logits = logits.clone()
    for row, history in enumerate(histories):
        counts = Counter(history.generated)
        if counts:
            ids = torch.tensor(list(counts), device=logits.device)
            times = torch.tensor(list(counts.values()), device=logits.device)
            logits[row, ids] -= presence + frequency * times
    return logits


def bias(logits: Tensor, biases: Sequence[tuple[int, float]]) -> Tensor:
    """Add a number to the logits of some tokens; -inf forbids one."""
    logits = logits.clone()
    for token, amount in biases:
        logits[:, token] += amount
    return logits


def greedy(logits: Tensor) -> Tensor:
    """Only the most probable token stays; of equals, the one with the lowest id."""
    best = (logits == logits.amax(dim=-1, keepdim=True)).int().argmax(dim=-1, keepdim=True)
    return torch.full_like(logits, -math.inf).scatter(-1, best, logits.gather(-1, best))


def temperature(logits: Tensor, value: float) -> Tensor:
    """Divide by the temperature: below 1 the likely grow likelier, above 1 all grow alike.

    The largest logit is taken away first, which changes no probability and keeps a tiny
    temperature from overflowing. A temperature that float32 takes for 0 or infinite would make
    0/0 or inf/inf, so it becomes the nearest that is neither.
    """
    limits = torch.finfo(logits.dtype)
    return (logits - logits.amax(dim=-1, keepdim=True)) / min(max(value, limits.tiny), limits.max)


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k most probable tokens, and those that tie with the last of them."""
    if k >= logits.size(-1):
        return logits
    least = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest most probable tokens whose mass reaches p, and those that tie with the last.

    Nucleus sampling (arXiv:1904.09751). Looks at the best few candidates and only sorts on where
    their mass does not reach p; `top_p_by_sorting` is the obvious form that it must equal.
    """
    vocab = logits.size(-1)
    total = logits.logsumexp(dim=-1, keepdim=True)
    k = min(_TOP_P_FIRST, vocab)
    while True:
        best = logits.topk(k, dim=-1).values
        mass = (best - total).exp().cumsum(dim=-1)
        if k == vocab or bool((mass[:, -1] >= p).all()):
            break
        k = min(k * 8, vocab)
    return _keep_mass(logits, best, mass, p)


def top_p_by_sorting(logits: Tensor, p: float) -> Tensor:
    """The slow, obvious `top_p`: sort everything."""
    best = logits.sort(dim=-1, descending=True).values
    total = logits.logsumexp(dim=-1, keepdim=True)
    return _keep_mass(logits, best, (best - total).exp().cumsum(dim=-1), p)


def _keep_mass(logits: Tensor, best: Tensor, mass: Tensor, p: float) -> Tensor:
    last = (mass < p).sum(dim=-1, keepdim=True).clamp(max=best.size(-1) - 1)
    return logits.masked_fill(logits < best.gather(-1, last), -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens at least p times as probable as the most probable one (arXiv:2407.01082)."""
    least = logits.amax(dim=-1, keepdim=True) + math.log(p)
    return logits.masked_fill(logits < least, -math.inf)


def draw(logits: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
    """One token id per row from softmax(logits): where a uniform number falls in the sums.

    The uniform numbers come from a CPU generator per row, so a row draws the same whatever else
    is in the batch and whatever device the logits are on.
    """
    probabilities = logits.softmax(dim=-1)
    # float64 sums, so that rare tokens keep their share; MPS has no float64.
    sums = probabilities.to("cpu" if logits.device.type == "mps" else logits.device)
    sums = sums.double().cumsum(dim=-1)
    uniform = [torch.rand(1, generator=g, dtype=torch.float64) for g in generators]
    at = torch.stack(uniform).to(sums.device) * sums[:, -1:]
    # right=True steps over tokens of probability 0, which add nothing to the sum.
    ids = torch.searchsorted(sums, at, right=True).squeeze(-1)
    last = logits.size(-1) - 1
    return [min(token, last) for token in ids.tolist()]
