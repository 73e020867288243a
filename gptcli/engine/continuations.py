"""Log-probabilities of several continuations of each of some prompts, each computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gptcli.engine.prefix import PrefixCache, begin
from gptcli.engine.runner import CHUNK, HEAD_ROWS, Runner
from gptcli.engine.sampling import check_finite

#: What bounds a batch: rows, and bytes of keys and values, each row having a copy of the prompt's.
ROWS = 32
CACHE_BYTES = 512 << 20
#: Tokens, padding included, that go through the decoder at once.
TOKENS = 4 * CHUNK


def logprobs_after(
    prefix: PrefixCache,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[Sequence[Sequence[int]]],
) -> list[list[list[float]]]:
    """Natural log-probability of every token of each row after its prompt: [prompt][row][token].

    Neither a prompt nor a row may be empty, and together they must fit the context; every prompt
    has as many rows as the others. What the prompts have in common is computed once; rows run in
    batches on copies of their prompts' keys and values. Raises NonFiniteError where the model
    gives no distribution.
    """
    runner = prefix.runner
    cache, logits = begin(prefix, prompts)
    firsts = _logprobs(logits, [[row[0] for row in each] for each in rows])
    flat = [row for each in rows for row in each]
    prompt_of = [at for at, each in enumerate(rows) for _ in each]
    found = [[logprob] for logprob in firsts]
    for batch in _batches(runner, max(map(len, prompts)), flat):
        # What stands before a token gives its logits, so the last token of a row is not run.
        longest = len(flat[batch[0]]) - 1
        step = max(TOKENS // len(batch), 1)
        branch = cache.picked([prompt_of[index] for index in batch]) if longest else cache
        for start in range(0, longest, step):
            end = start + step
            streams = runner.streams([flat[index][:-1][start:end] for index in batch], branch)
            targets = [flat[index][start + 1 : end + 1] for index in batch]
            real = torch.cat([streams[i, : len(ids)] for i, ids in enumerate(targets)])
            values = iter(_after(runner, real, [token for ids in targets for token in ids]))
            for index, ids in zip(batch, targets, strict=True):
                found[index] += [next(values) for _ in ids]
    pieces = iter(found)
    return [[next(pieces) for _ in each] for each in rows]


def _batches(runner: Runner, prompt: int, rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indexes of rows that run together, the longest first: like lengths need little padding."""
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index])):
        tokens = prompt + len(rows[batch[0] if batch else index])
        size = runner.spec.cache_bytes(tokens, runner.dtype.itemsize, len(batch) + 1)
        if batch and (len(batch) == ROWS or size > CACHE_BYTES):
            yield batch
            batch = []
        batch.append(index)
    yield batch


@torch.inference_mode()
def _after(runner: Runner, streams: Tensor, ids: list[int]) -> list[float]:
    """The log-probability of each id after its place in the streams, (positions, width)."""
    found: list[float] = []
    for start in range(0, len(ids), HEAD_ROWS):
        logits = runner.decoder.logits(streams[start : start + HEAD_ROWS])
        found += _logprobs(logits, [[token] for token in ids[start : start + HEAD_ROWS]])
    return found


@torch.inference_mode()
def _logprobs(logits: Tensor, ids: list[list[int]]) -> list[float]:
    """Log-probabilities of some ids of each row of the logits (rows, vocab), one after another."""
    check_finite(logits)
    wanted = torch.tensor(ids, device=logits.device)
    found: list[float] = logits.log_softmax(dim=-1).gather(-1, wanted).flatten().tolist()
    return found
