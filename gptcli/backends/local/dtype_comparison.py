"""What a dtype costs against float32, over a text: both models run it side by side."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.score import Plan, plan
from gptcli.types.dtype_comparison import DtypeComparison, DtypeComparisonRequest
from gptcli.types.score import perplexity

if TYPE_CHECKING:
    from gptcli.engine.runner import Runner


def answer(model: OpenModel, request: DtypeComparisonRequest) -> Callable[[], DtypeComparison]:
    """How far a dtype is from float32, in which the model was opened (else ValueError).

    Both models are in memory, and run the text side by side, in parts, when what comes back is
    called, which raises NonFiniteError. Raises the other errors of scoring, and UsageError for a
    dtype in which the model cannot run here.
    """
    if model.runner.facts.dtype != "float32":
        raise ValueError("what is held to float32 needs a model that was opened in it")
    planned = plan(model, request.text)
    # --kv-dtype is about what is compared, and not about what that is held to.
    exact = model.runner if model.runner.facts.itemsize == 4 else model.exact_runner
    return partial(_compare, model, planned, exact, model.runner_in(request.dtype))


def _compare(
    model: OpenModel, planned: Plan, exact_runner: Runner, other: Runner
) -> DtypeComparison:
    from gptcli.engine.asking.divergence import divergences

    found, agreed, exact, rounded = array("d"), 0, 0.0, 0.0
    for each in divergences(exact_runner, other, planned.ids, planned.windows):
        found.append(each.kl)
        agreed += each.agrees
        exact += each.exact
        rounded += each.other
    count = len(found)
    return DtypeComparison(
        exact=model.source,
        source=replace(
            model.source,
            dtype=other.facts.dtype,
            activations=other.facts.activations,
            kv_dtype=other.facts.kv_dtype,
        ),
        tokens=count,
        context_tokens=planned.before,
        windows=len(planned.windows),
        context_size=planned.size,
        stride=planned.stride,
        divergence=math.fsum(found) / count,
        # The least that 99 of 100 places do not exceed.
        divergence_99=sorted(found)[-(-99 * count // 100) - 1],
        exact_perplexity=perplexity(exact, count),
        perplexity=perplexity(rounded, count),
        agreement=agreed / count,
        notices=planned.notices,
    )
