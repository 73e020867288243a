"""What prompts have in common is computed once: with the prompt before, and with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.runner import Runner
from gptcli.engine.state.kv_cache import KVCache

if TYPE_CHECKING:
    from gptcli.engine.probe import Probe


class PrefixCache:
    """The KV cache of one row, and the ids that it holds, kept from one prompt to the next.

    A prompt computes only what follows the longest beginning that it has in common with those
    ids. An interruption at any moment leaves it usable: ids are noted once their keys and values
    are stored.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.cache = runner.new_cache()
        self.ids: list[int] = []
        #: How many tokens of the last prompt, or of what the last prompts share, were here already.
        self.reused = 0
        #: How many tokens the last prompts share.
        self.shared = 0

    def prefill(self, prompt: Sequence[int], *, probe: Probe | None = None) -> Array:
        """Make the cache hold exactly this prompt, not empty; logits after it, (1, vocab).

        The last token always runs, since its logits are not kept. `probe` sees what runs.
        """
        self.reused = min(common_length(self.ids, prompt), len(prompt) - 1)
        self.ids = self.ids[: self.reused]
        self.cache.truncate(self.reused)
        logits = self.runner.prefill([prompt[self.reused :]], self.cache, probe=probe)
        self.ids += prompt[self.reused :]
        return logits

    def note(self, token: int) -> None:
        """A token whose keys and values were appended to the cache."""
        self.ids.append(token)


def begin(prefix: PrefixCache, prompts: Sequence[Sequence[int]]) -> tuple[KVCache, Array]:
    """A cache with a row for each prompt, none empty, and the logits after each, (rows, vocab).

    What all prompts begin with is computed once, and not at all where `prefix` holds it. A single
    prompt stays in the cache of `prefix` itself; more get copies.
    """
    first = prompts[0]
    shared = min(common_length(first, prompt) for prompt in prompts)
    if all(len(prompt) == shared for prompt in prompts):
        prefix.shared = shared
        logits = prefix.prefill(first)
        if len(prompts) == 1:
            return prefix.cache, logits
        cache = prefix.cache.picked([0] * len(prompts))
        vocab = logits.shape[-1]
        return cache, namespace(logits).broadcast_to(logits, (len(prompts), vocab))
    # Every row has to run a token of its own.
    prefix.shared = shared = min(shared, min(map(len, prompts)) - 1)
    cache = prefix.runner.new_cache(len(prompts))
    prefix.reused = 0
    if shared:
        if prefix.ids[:shared] == list(first[:shared]):
            prefix.reused = shared
        else:
            prefix.prefill(first[:shared])
        cache = prefix.cache.picked([0] * len(prompts))
        cache.truncate(shared)
    return cache, prefix.runner.prefill([prompt[shared:] for prompt in prompts], cache)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
