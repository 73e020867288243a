"""What tests of kept prompts share: tiny models of every mechanism, and what is kept of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.prompts.kept_prompts import KeptPrompts
from gptcli.engine.prompts.prompt_file import Whose
from tests.engine.helpers import GOLDENS, rows_of
from tests.opening import open_kernels

#: A plain one, a window, a learned table of positions, states beside and in place of attention,
#: latents, keys and values that later layers read.
CASES = [
    *("llama/tied", "mistral/window", "gpt2/tied", "falcon_h1/normed", "qwen3_5_text/options"),
    *("lfm2/plain", "nemotron_h/dense", "deepseek_v3/groups", "gemma4_text/told"),
]
HYBRID = "qwen3_5_text/options"
A, B = rows_of("llama/tied")


@functools.cache
def runner(case: str, dtype: str = "float32") -> KernelRunner:
    """A golden checkpoint in the kernels, as a user opens it."""
    found = open_kernels(GOLDENS / case, dtype=dtype, threads=2)
    assert found is not None
    return found


def store(of: KernelRunner, place: Path, *, file: Path | None = None, **but: object) -> KeptPrompts:
    """Those of a model, as a process of its own opens them."""
    assert of.fingerprint is not None
    said: dict[str, object] = {"fingerprint": of.fingerprint, "most": 1 << 30} | but
    whose = Whose(str(said["fingerprint"]), GOLDENS / "model")
    most = int(str(said["most"]))
    return KeptPrompts(whose, of.new_state, of.limit, place, file=file, most=most)


def asked(of: KernelRunner, kept: KeptPrompts, prompt: Sequence[int], tokens: int = 3) -> bytes:
    """The bits of the logits after a prompt and after some tokens more, in a process of its own."""
    prefix = PrefixCache(of, comes_back=False, kept=kept)
    found = [prefix.prefill(prompt)]
    found += [prefix.decode(token) for token in B[:tokens]]
    assert prefix.reused == 0
    assert prefix.keep() is None
    return np.stack(found).tobytes()


@functools.cache
def fresh(case: str, prompt: tuple[int, ...], dtype: str = "float32", tokens: int = 3) -> bytes:
    """The same, in one piece and from nothing."""
    of = runner(case, dtype)
    state = of.new_state()
    found = [of.prefill([prompt], state)]
    found += [of.decode([token], state) for token in B[:tokens]]
    return np.stack(found).tobytes()
