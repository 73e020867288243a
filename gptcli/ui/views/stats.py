"""What a request took, for `--stats`."""

from __future__ import annotations

from gptcli.types.completion import Usage
from gptcli.types.prompt_cache import PromptCacheUse
from gptcli.types.token import Source
from gptcli.ui.views import sampling, source
from gptcli.units import counted, seconds, size


def of_reading(
    of: Source, tokens: int | None, taken: float, load_seconds: float | None = None
) -> list[str]:
    """The same of an answer for which tokens were only read, in so many seconds."""
    prompt = f"prompt: {counted(tokens, 'token')} in {seconds(taken)}"
    if tokens is not None and taken > 0:
        prompt += f" ({tokens / taken:.1f} tokens/s)"
    return [_model(of, load_seconds), prompt]


def lines(usage: Usage, load_seconds: float | None = None) -> list[str]:
    """A few short lines, each sensible by itself; without load_seconds nothing about loading."""
    found = [_model(usage.source, load_seconds)]
    prompt = f"prompt: {counted(usage.prompt_tokens, 'token')}"
    if usage.reused_tokens:
        prompt += f" ({usage.reused_tokens} of them reused)"
    if usage.completion_tokens and usage.prompt_seconds > 0 and usage.prompt_tokens is not None:
        prompt += f", first token after {seconds(usage.prompt_seconds)}"
        read = usage.prompt_cache.read if usage.prompt_cache else 0
        if computed := usage.prompt_tokens - usage.reused_tokens - read:
            prompt += f" ({computed / usage.prompt_seconds:.1f} tokens/s)"
    found.append(prompt)
    if usage.prompt_cache is not None:
        found.append(of_prompt_cache(usage.prompt_cache))
    generated = f"generated: {counted(usage.completion_tokens, 'token')}"
    if usage.reasoning_tokens:
        generated += f" ({usage.reasoning_tokens} of them thought)"
    # The first token of each sample comes from the prompt's logits, so decoding did not make it.
    decoded = (usage.completion_tokens or 0) - usage.samples
    if decoded > 0 and usage.decode_seconds > 0:
        rate = decoded / usage.decode_seconds
        generated += f" in {seconds(usage.decode_seconds)} ({rate:.1f} tokens/s)"
    found += [f"{generated}, seed {usage.seed}", f"sampler: {sampling.in_words(usage.sampling)}"]
    if usage.drafts is not None:
        found.append(usage.drafts.in_words)
    if usage.constraint is not None and usage.constraint.steps:
        found.append(usage.constraint.in_words)
    if usage.peak_memory is not None:
        found.append(f"peak memory: {size(usage.peak_memory)}")
    return found


def of_prompt_cache(use: PromptCacheUse) -> str:
    """What came from the disk, and what went there."""
    read = f"{counted(use.read, 'token')} read" if use.read else f"nothing read: {use.why}"
    kept = f"; {counted(use.kept, 'token')} kept ({size(use.bytes)})" if use.kept else ""
    kept += f"; not kept: {use.lost}" if use.lost else ""
    return f"prompt cache: {read}{kept}"


def _model(of: Source, load_seconds: float | None) -> str:
    ready = "" if load_seconds is None else f", ready in {seconds(load_seconds)}"
    return f"model: {source.named(of)} ({source.precision(of)}){ready}"
