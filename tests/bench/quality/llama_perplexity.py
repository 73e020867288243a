"""llama.cpp's own figures: https://github.com/ggml-org/llama.cpp/tree/master/tools/perplexity"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.bench.quality.figures import Figures

#: What is read of its output: a name, and the number that follows.
_PERPLEXITY = r"Mean PPL\(Q\)\s*:\s*([0-9.]+)"
_DIVERGENCE = r"Mean\s+KLD:\s*(-?[0-9.]+)"
_AGREEMENT = r"Same top p:\s*([0-9.]+)"


def keep(program: Path, model: Path, text: Path, base: Path, context: int, threads: int) -> None:
    """Run a text and keep the distributions."""
    if not base.exists():
        made = base.with_suffix(".part")
        size = ["-c", str(context), "-b", str(context)]
        _run(program, model, threads, ["-f", str(text), *size, "--kl-divergence-base", str(made)])
        made.rename(base)


def figures(program: Path, model: Path, base: Path, context: int, threads: int) -> Figures:
    """Of another file of the same model, against what was kept."""
    size = ["-c", str(context), "-b", str(context)]
    given = ["--kl-divergence-base", str(base), "--kl-divergence", *size]
    return read(_run(program, model, threads, given))


def read(output: str) -> Figures:
    """The figures in what it prints. Raises ValueError where one is missing."""
    return Figures(
        _number(_PERPLEXITY, output),
        _number(_DIVERGENCE, output),
        _number(_AGREEMENT, output) / 100,
    )


def _number(pattern: str, output: str) -> float:
    found = re.search(pattern, output)
    if found is None:
        raise ValueError(f"llama-perplexity printed nothing like {pattern}")
    return float(found[1])


def _run(program: Path, model: Path, threads: int, given: list[str]) -> str:
    command = [str(program), "-m", str(model), "-t", str(threads), *given]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr
