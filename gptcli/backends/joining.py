"""What to say where a text and what stands before it share a token."""

from __future__ import annotations

from gptcli.types.events import Notice


def joining(context: str, moved: int) -> tuple[Notice, ...]:
    """moved: how many bytes of the context are scored with the text, beside its last spaces."""
    if not context or moved <= 0:
        return ()
    last = "byte is" if moved == 1 else f"{moved} bytes are"
    what = f"joins the text within a token; its last {last} scored with it"
    return (Notice("--context", what),)
