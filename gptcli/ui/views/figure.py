"""A picture (PNG) that views are drawn into, with matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any

from gptcli.errors import UsageError
from gptcli.ui.terminal.visible import plainly, shortened

_DPI = 120
#: Fonts that may have what DejaVu lacks; those that are not there are passed over.
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Hiragino Sans GB", "SimHei")


def check_installed() -> None:
    """Raise UsageError where matplotlib is not there, before anything is computed."""
    if importlib.util.find_spec("matplotlib") is None:
        hint = "pip install matplotlib, or gptcli[plot], which brings it"
        raise UsageError("--png", "needs matplotlib, which is not installed", hint)


class Figure:
    """A figure that needs no display, and its PNG."""

    def __init__(self, width: float, height: float, rows: int = 1, columns: int = 1) -> None:
        from matplotlib import font_manager, rcdefaults, rcParams
        from matplotlib.figure import Figure

        # It has obeyed a file matplotlibrc of the current directory, which may be a stranger's.
        rcdefaults()
        # It says aloud that a font has no bold face.
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        there = {font.name for font in font_manager.fontManager.ttflist}
        rcParams["font.family"] = [name for name in _FONTS if name in there]
        # A dollar sign in a token begins no formula.
        rcParams["text.parse_math"] = False
        self.figure: Any = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        self.axes: Any = self.figure.subplots(rows, columns, squeeze=False)

    def png(self, title: str) -> bytes:
        """The picture under a title."""
        self.figure.suptitle(shortened(plainly(title), 90), fontsize=11)
        file = io.BytesIO()
        with warnings.catch_warnings():
            # A character that no font has becomes a box.
            warnings.filterwarnings("ignore", message="Glyph")
            self.figure.savefig(file, format="png")
        return file.getvalue()


def labels_of(first: int, texts: Sequence[str]) -> list[str]:
    """Positions with the beginnings of their tokens."""
    return [f"{at} {shortened(text, 12)}" for at, text in enumerate(texts, first)]
