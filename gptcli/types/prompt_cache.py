"""What of prompts is kept on the disk from one process to the next."""

from __future__ import annotations

from dataclasses import field

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass

OFF, AUTO = "off", "auto"
_PANEL = "Prompts on the disk"


def _place(text: str) -> str:
    """A file's name has a dot or a slash: what is misspelt must not become a file."""
    if text not in (OFF, AUTO) and not {".", "/"} & {*text}:
        raise ValueError(f"must be {AUTO}, {OFF} or a file, such as ./{text}.prompt, not {text!r}")
    return text


@dataclass(frozen=True)
class PromptCache:
    """Where, and how much. by_hand: the fields that the command line gave.

    Off where nothing is said: what is kept tells, to whoever reads the user's files, what he asked.
    """

    prompt_cache: str = option(
        OFF,
        "Keep what was computed of a prompt on the disk, and of one that begins alike compute only"
        " what is new: auto, in gptcli's own directory; FILE, a name with a dot or a slash, in that"
        " file alone; off. Answers are the same, byte for byte. Whoever reads what is kept can read"
        " the text. Default: off.",
        metavar="auto|FILE|off",
        panel=_PANEL,
        parse=_place,
        setting=True,
    )
    prompt_cache_size: int = option(
        1000,
        "Of --prompt-cache auto: at most so many MB; what was not used for longest goes."
        " Default: 1000.",
        metavar="MB",
        panel=_PANEL,
        limit=Limit(1, MOST),
        setting=True,
    )
    by_hand: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def in_a_file(self) -> bool:
        """Whether they are in a file of the user's choice."""
        return self.prompt_cache not in (OFF, AUTO)

    @property
    def asked(self) -> bool:
        """Whether the command line asks for it."""
        return "prompt_cache" in self.by_hand and self.prompt_cache != OFF


@dataclass(frozen=True)
class PromptCacheUse:
    """What it came to for one question.

    read: tokens that were read from the disk instead of being computed. why: why these are none, in
    words. kept: tokens of which something was written, in so many bytes; lost: why it was not,
    though it would have been worth it.
    """

    read: int = 0
    why: str | None = None
    kept: int = 0
    bytes: int = 0
    lost: str | None = None
