"""The formats of peers in Python, made by their own converters in the peers' environment."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.bench.weights.places import Places

#: gptcli's dtype → optimum's options. Groups of 64, since no width of these models is a multiple of
#: its usual 128 throughout.
_OPENVINO = {
    "float32": ("--weight-format", "fp32"),
    "int8": ("--weight-format", "int8"),
    "int4": ("--weight-format", "int4", "--group-size", "64"),
}
_CTRANSLATE2 = ("float32", "int8")


def ctranslate2(places: Places, dtype: str, python: Path) -> bool:
    """Whether ctranslate2 has the dtype: then it is made, where it is not there."""
    if dtype not in _CTRANSLATE2:
        return False
    module = "ctranslate2.converters.transformers"
    _make(
        places.ctranslate2(dtype),
        lambda made: [
            *(str(python), "-m", module, "--model", str(places.checkpoint)),
            *("--output_dir", str(made), "--quantization", dtype),
        ],
    )
    return True


def openvino(places: Places, dtype: str, python: Path) -> bool:
    """Whether OpenVINO has weights of their own for the dtype: then they are made."""
    if dtype not in _OPENVINO:
        return False
    module = "optimum.commands.optimum_cli"
    _make(
        places.openvino(dtype),
        lambda made: [
            *(str(python), "-m", module, "export", "openvino", "-m", str(places.checkpoint)),
            *("--task", "text-generation-with-past", *_OPENVINO[dtype], str(made)),
        ],
    )
    return True


def _make(directory: Path, command: Callable[[Path], list[str]]) -> None:
    """Makes a directory beside its place and moves it there."""
    if directory.exists():
        return
    made = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run(command(made), check=True, stdout=subprocess.DEVNULL)
    made.rename(directory)
