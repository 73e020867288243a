"""Options that name LoRA adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gptcli.cli.flags.completers import complete_adapter
from gptcli.errors import UsageError
from gptcli.types.models import AdapterRef


def _adapters(values: list[str] | None) -> Any:
    return tuple(map(adapter_of, values or ()))


def adapter_of(text: str) -> AdapterRef:
    """DIR or DIR=SCALE; a directory whose name has an = itself is one all the same."""
    path, equals, scale = text.rpartition("=")
    try:
        if not equals or Path(text).expanduser().is_dir():
            return AdapterRef(Path(text).expanduser())
        number = float(scale)
        # Beyond what float32 weights can take, and NaN.
        if not abs(number) <= 1e30 or not path:
            raise ValueError
        return AdapterRef(Path(path).expanduser(), number)
    except (ValueError, RuntimeError, OSError):
        raise UsageError("--adapter", f"must be DIR or DIR=SCALE, not {text!r}") from None


Adapter = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="DIR[=SCALE]",
        callback=_adapters,
        autocompletion=complete_adapter,
        rich_help_panel="Model",
        show_default=False,
        help="Add a LoRA adapter, as PEFT writes them, to the model; SCALE multiplies what it"
        " changes by low rank. Repeatable.",
    ),
]
Apart = Annotated[
    bool,
    typer.Option(
        "--adapter-apart",
        rich_help_panel="Model",
        help="Keep adapters beside the weights that they change, instead of adding them: less"
        " memory, slower.",
    ),
]
