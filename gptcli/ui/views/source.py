"""Which model computed the numbers: for people, and as fields of JSON."""

from __future__ import annotations

from typing import Any

from gptcli.types.token import Source


def fields(of: Source) -> dict[str, Any]:
    """`model`, and what `run` tells."""
    return {"model": of.model} | run(of)


def run(of: Source) -> dict[str, Any]:
    """`device` and `dtype`; what else there is to say."""
    found: dict[str, Any] = {"device": of.device, "dtype": of.dtype}
    found |= {"server": of.server} if of.server else {}
    found |= {"activations": of.activations} if of.activations else {}
    found |= {"kv_dtype": of.kv_dtype} if of.kv_dtype else {}
    found |= {"adapters": list(of.adapters)} if of.adapters else {}
    return found | ({"steering": list(of.steering)} if of.steering else {})


def precision(of: Source) -> str:
    """`int8 with int8 activations on cpu`, `bfloat16 with keys and values in int8 on cpu`,
    `vLLM at http://127.0.0.1:8000/v1`.
    """
    if of.server:
        return of.server
    more = [f"{of.activations} activations"] if of.activations else []
    more += [f"keys and values in {of.kv_dtype}"] if of.kv_dtype else []
    rounded = f" with {' and '.join(more)}" if more else ""
    return f"{of.dtype}{rounded} on {of.device}"


def where(of: Source) -> str:
    """`smollm2, bfloat16 on cpu`."""
    return f"{named(of)}, {precision(of)}"


def named(of: Source) -> str:
    """The model's name, and those of its adapters and control vectors."""
    return " + ".join((of.model, *of.adapters, *of.steering))
