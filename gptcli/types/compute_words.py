"""The words that the fields of Compute take, as a person may write them. All raise ValueError."""

from __future__ import annotations

import re

from gptcli.config import checked_url
from gptcli.config.check import one_of

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8", "int4")
#: What the CPU kernels can keep keys and values in.
KV_DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
#: The most tokens of a draft.
MOST_DRAFTED = 64
_SHORT = {"f32": "float32", "fp32": "float32", "bf16": "bfloat16", "f16": "float16"}
_SHORT |= {"fp16": "float16", "half": "float16"}


def device(text: str) -> str:
    """A kind of device, or one of several of NVIDIA's."""
    if text not in DEVICES and not re.fullmatch(r"cuda:[0-9]{1,3}", text):
        raise ValueError(f"must be one of {', '.join(DEVICES)} or cuda:N, not {text!r}")
    return text


def speculate(text: str) -> str:
    """auto, off or a number, as it was given."""
    if re.fullmatch(r"auto|off|[1-9][0-9]?", text) and (text[0] > "9" or int(text) <= MOST_DRAFTED):
        return text
    raise ValueError(f"must be auto, off or 1 to {MOST_DRAFTED}, not {text!r}")


def base_url(text: str) -> str:
    """A URL, or the name of an endpoint."""
    return text if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) else checked_url(text)


def dtype(text: str) -> str:
    """A dtype of weights, which has shorter names too."""
    return str(one_of(DTYPES, _SHORT.get(text, text)))


def kv_dtype(text: str) -> str:
    """A dtype of keys and values, the same."""
    return str(one_of(KV_DTYPES, _SHORT.get(text, text)))
