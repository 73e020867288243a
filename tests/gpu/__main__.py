"""All that a lent card has to tell, within ten minutes: `python -m tests.gpu`.

Checks first, then figures at the shapes of an 8B model with random weights made on the card, a line
each as they come, and all of them as JSON last. Exits 1 where a check fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import torch

from gptcli.engine.torch.runner import TorchRunner
from gptcli.engine.torch.step import Capture, as_it_is
from tests.gpu import measures
from tests.gpu.checks import CHECKS
from tests.gpu.random_model import config_of, pack, random_decoder

#: A name, and what measures or checks it.
Part = tuple[str, Callable[[], dict[str, Any]]]


class Figures:
    """What is measured of one shape, on one device, in one run."""

    def __init__(self, wish: argparse.Namespace) -> None:
        self._wish, self._dtype = wish, getattr(torch, wish.dtype)
        # A CPU is there to try this out; steps run as they are.
        self._capture: Capture | None = None if wish.device.type != "cpu" else as_it_is
        self._decoder = random_decoder(wish.shape, self._dtype, wish.device)
        self._memory = self._rate = float("nan")

    def parts(self) -> Iterator[Part]:
        """In this order."""
        yield "ready", lambda: {"seconds": measures.ready_seconds(self._runner)}
        yield "memory", self._bandwidth
        yield self._wish.dtype, self._decoded
        for rows in self._wish.rows:
            yield f"{self._wish.dtype}, {rows} rows", partial(self._together, rows)
        if importlib.util.find_spec("transformers"):
            yield "transformers", self._beside
        for name in ("int8", "int4"):
            yield name, partial(self._packed, name)

    def _runner(self) -> TorchRunner:
        return TorchRunner(self._decoder, capture=self._capture)

    def _bandwidth(self) -> dict[str, Any]:
        self._memory = measures.bandwidth(self._runner(), self._wish.memory)
        return {"bytes_per_second": self._memory}

    def _decoded(self) -> dict[str, Any]:
        runner, tokens = self._runner(), self._wish.tokens
        self._rate = measures.decode_rate(runner, tokens)
        share = measures.share(runner, self._rate, self._memory, tokens)
        return {"tokens_per_second": self._rate, "share": share}

    def _together(self, rows: int) -> dict[str, Any]:
        rate = measures.batch_rate(self._runner(), rows, self._wish.tokens)
        return {"tokens_per_second": rate}

    def _beside(self) -> dict[str, Any]:
        shape, wish = config_of(self._wish.shape), self._wish
        theirs = measures.transformers_rate(shape, wish.device, self._dtype, wish.tokens)
        return {"tokens_per_second": theirs, "ratio": self._rate / theirs}

    def _packed(self, name: str) -> dict[str, Any]:
        made = random_decoder(self._wish.shape, self._dtype, self._wish.device, join=False)
        self._decoder = pack(made, name)
        return self._decoded()


def checked(device: torch.device) -> Iterator[Part]:
    """Each check, and what is not as it should be."""
    for name, check in CHECKS.items():
        yield name, partial(lambda check: {"wrong": list(check(str(device)))}, check)


def until(end: float, parts: Iterator[Part]) -> Iterator[dict[str, Any]]:
    """Those of the parts that begin before their time is over, and how long each took."""
    for name, part in parts:
        begun = time.monotonic()
        if begun >= end:
            return
        try:
            found = part()
        except (RuntimeError, ImportError) as error:
            found = {"wrong": [f"{type(error).__name__}: {error}"]}
        yield {"name": name, **found, "took": time.monotonic() - begun}


def main(
    words: list[str], say: Callable[[str], object] = lambda line: print(line, flush=True)
) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--shape", default="8B")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rows", type=int, nargs="*", default=[8, 32])
    parser.add_argument("--memory", type=int, default=8 << 30, help="bytes that are read")
    parser.add_argument("--seconds", type=float, default=570.0)
    wish = parser.parse_args(words)
    if wish.device.type == "cuda" and not torch.cuda.is_available():
        say("this torch sees no CUDA GPU")
        return 2
    end = time.monotonic() + wish.seconds
    found: list[dict[str, Any]] = []
    parts = chain(checked(wish.device), Figures(wish).parts())
    for part in until(end, parts):
        found.append(part)
        say("  ".join(f"{key} {_short(value)}" for key, value in part.items()))
    say(json.dumps(found))
    return 1 if any(part.get("wrong") for part in found) else 0


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
