"""Labels after a query: their probabilities compared, and what they are worth without content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gptcli.backends.local.few_shot_prompts import AskedPrompt, Prompts
from gptcli.backends.shares import (
    CONTENT_FREE,
    best_label,
    calibrated_labels,
    label_shares,
    mean_shares,
)
from gptcli.types.few_shot import Answer, Example, FewShotRequest

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache


@dataclass
class Calibration:
    """What labels are worth without content after a set of examples: the mean of their shares.

    prompt_tokens and computed: tokens of the prompts that this took, and those of them that ran.
    """

    means: dict[tuple[Example, ...], list[float]] = field(default_factory=dict)
    prompt_tokens: int = 0
    computed: int = 0


class Labels:
    """The labels of a request, compared after each query of a batch."""

    def __init__(self, prefix: PrefixCache, prompts: Prompts, request: FewShotRequest) -> None:
        self._prefix = prefix
        self._prompts = prompts
        self._request = request
        self.calibration = Calibration()

    def answers(self, batch: Sequence[AskedPrompt]) -> Iterator[Answer]:
        """The most probable label for each query, in order."""
        from gptcli.engine.asking.continuations import logprobs_after

        if self._request.calibrate:
            self._calibrate(batch)
        rows = [prompt.labels for prompt in batch]
        found = logprobs_after(self._prefix, [prompt.ids for prompt in batch], rows)
        kept = [reused(self._prefix, place) for place in range(len(batch))]
        for prompt, logprobs, reused_tokens in zip(batch, found, kept, strict=True):
            labels = label_shares(self._request.labels, [sum(each) for each in logprobs])
            if self._request.calibrate:
                labels = calibrated_labels(labels, self.calibration.means[prompt.examples])
            yield Answer(
                index=prompt.index,
                input=prompt.query.text,
                text=best_label(labels),
                finish_reason="label",
                prompt_tokens=len(prompt.ids),
                reused_tokens=reused_tokens,
                completion_tokens=0,
                shares=tuple(labels),
            )

    def _calibrate(self, batch: Sequence[AskedPrompt]) -> None:
        """Learn what labels are worth after each set of examples of this batch."""
        from gptcli.engine.asking.continuations import logprobs_after

        known = self.calibration
        sets = dict.fromkeys(prompt.examples for prompt in batch)
        # Only what this batch needs is kept: with --order similar there is a set for every query.
        known.means = {s: v for s, v in known.means.items() if s in sets}
        missing = [each for each in sets if each not in known.means]
        if not missing:
            return
        asked = [
            self._prompts.labelled(examples, text, self._request.labels)
            for examples in missing
            for text in CONTENT_FREE
        ]
        found = logprobs_after(self._prefix, [ids for ids, _ in asked], [r for _, r in asked])
        known.prompt_tokens += sum(len(ids) for ids, _ in asked)
        known.computed += sum(
            len(ids) - reused(self._prefix, place) for place, (ids, _) in enumerate(asked)
        )
        every = [[sum(each) for each in logprobs] for logprobs in found]
        for place, examples in enumerate(missing):
            rows = every[place * len(CONTENT_FREE) : (place + 1) * len(CONTENT_FREE)]
            known.means[examples] = mean_shares(rows)


def reused(prefix: PrefixCache, place: int) -> int:
    """How many tokens of a batch's prompt were there: the first computes what the others share."""
    return prefix.shared if place else prefix.reused
