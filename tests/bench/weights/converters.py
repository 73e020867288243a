"""The formats of peers in Python, made by their own converters in the peers' environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.bench.weights.places import Places

#: gptcli's dtype → optimum's options. Groups of 64, since no width of these models is a multiple of
#: its usual 128 throughout.
_OPENVINO = {
    "float32": ("--weight-format", "fp32"),
    "bfloat16": ("--weight-format", "fp32"),
    "int8": ("--weight-format", "int8"),
    "int4": ("--weight-format", "int4", "--group-size", "64"),
}


def ctranslate2(places: Places, dtype: str, python: Path) -> None:
    """ctranslate2's float32 or int8, made where it is not there."""
    module = "ctranslate2.converters.transformers"
    _make(
        places.ctranslate2(dtype),
        lambda made: [
            *(str(python), "-m", module, "--model", str(places.checkpoint)),
            *("--output_dir", str(made), "--quantization", dtype),
        ],
    )


def openvino(places: Places, dtype: str, python: Path) -> None:
    """OpenVINO's weights of a dtype, those of float32 for bfloat16: it computes in that."""
    module = "optimum.commands.optimum_cli"
    _make(
        places.openvino(dtype),
        lambda made: [
            *(str(python), "-m", module, "export", "openvino", "-m", str(places.checkpoint)),
            *("--task", "text-generation-with-past", *_OPENVINO[dtype], str(made)),
        ],
    )


def _make(directory: Path, command: Callable[[Path], list[str]]) -> None:
    """Makes a directory beside its place and moves it there."""
    if directory.exists():
        return
    made = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(command(made), check=True, stdout=subprocess.DEVNULL, env=offline)
    made.rename(directory)
