"""Prompts that are kept on the disk, between one process and the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gptcli import config, identity
from gptcli.errors import UsageError
from gptcli.types.completion import Usage
from gptcli.types.events import Notice
from gptcli.types.few_shot import FewShotUsage
from gptcli.types.prompt_cache import AUTO, PromptCache

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.prompts.kept_prompts import KeptPrompts
    from gptcli.engine.runner import Runner
    from gptcli.text.tokenizer import Tokenizer

E = TypeVar("E")


def opened(
    name: str, path: Path, runner: Runner, tokenizer: Tokenizer, wanted: PromptCache
) -> KeptPrompts | None:
    """Those of an open model, None where they cannot be and only a setting asks for them.

    path: the model's directory. Raises UsageError where the command line asks for what cannot be.
    """
    from gptcli.engine.prompts.kept_prompts import KeptPrompts
    from gptcli.engine.prompts.prompt_file import Whose

    if runner.fingerprint is None:
        if not wanted.asked:
            return None
        reason = f"needs the CPU kernels, and {name} runs through torch"
        raise UsageError("--prompt-cache", reason)
    # Ids that mean another text are another prompt.
    told = f"{runner.fingerprint} {identity.stamp([tokenizer.file])}"
    file = None if wanted.prompt_cache == AUTO else Path(wanted.prompt_cache).expanduser()
    return KeptPrompts(
        Whose(hashlib.sha256(told.encode()).hexdigest(), path.resolve()),
        runner.new_state,
        runner.limit,
        config.prompts_dir(),
        file=file,
        most=wanted.prompt_cache_size * 1_000_000,
    )


def kept_behind(prefix: PrefixCache, events: Iterator[E]) -> Iterator[E | Notice]:
    """Events of an answer, before whose usage what was computed for it is kept on the disk."""
    for event in events:
        if prefix.kept is not None and isinstance(event, (Usage, FewShotUsage)):
            notice = prefix.keep()
            if notice is not None:
                yield notice
            yield replace(event, prompt_cache=prefix.kept.used())
        else:
            yield event
