"""A page to write what is seen to, and what the tokens of a text are coloured by."""

from __future__ import annotations

from pathlib import Path

from gptcli.config import option
from gptcli.plain import dataclass
from gptcli.ui.views.measures import MEASURES

_PANEL = "Output"


@dataclass(frozen=True)
class Page:
    """Where to write a page."""

    html: Path | None = option(
        None,
        "Write one self-contained page as well; - is stdout.",
        metavar="FILE",
        panel=_PANEL,
        brief="Write a page as well; - is stdout.",
    )


@dataclass(frozen=True)
class Colours(Page):
    """What tokens are coloured by, on a terminal and on a page."""

    color_by: str | None = option(
        None,
        "On a terminal: each token in the colour of its probability or rank, or of the entropy of"
        " the distribution that it was drawn from; all of them the model's, before any sampling."
        " With --echo those of the prompt too. To a pipe goes the text alone.",
        metavar="WHAT",
        choices=tuple(MEASURES),
        panel=_PANEL,
    )

    @property
    def not_in_a_batch(self) -> dict[str, object]:
        """What has no use with --batch, by its field's name."""
        return {"html": self.html, "color_by": self.color_by}
