"""The keys, what each does, and how the help tells of it."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.cli.loom.weaver import Weaver
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Key:
    """Names as prompt_toolkit has them, the Weaver's method, and words.

    shown: the key as people write it. brief: for the line below, where it is worth one.
    """

    names: tuple[str, ...]
    method: str
    shown: str
    meaning: str
    brief: str = ""

    def press(self, weaver: Weaver) -> None:
        """Do it."""
        getattr(weaver, self.method)()


KEYS = (
    Key(("up", "k"), "up", "Up, Down", "The line above, or below."),
    Key(("down", "j"), "down", "", ""),
    Key(("left", "h"), "left", "Left, Right", "What it goes on from, or what follows.", "←→↑↓"),
    Key(("right", "l"), "right", "", ""),
    Key(("tab",), "sibling", "Tab, Shift-Tab", "The next way beside it, or the one before."),
    Key(("s-tab",), "previous_sibling", "", ""),
    Key(("enter",), "take", "Enter", "Take it: the model goes on from here.", "Enter go on"),
    Key(("b",), "beside", "b", "Another way on beside it.", "b beside"),
    Key(("g",), "branch", "g", "Several ways on from here (--branches).", "g grow"),
    Key(("escape",), "stop", "Esc", "Stop the model; what came stays."),
    Key(("e",), "edit", "e", "Edit the text.", "e edit"),
    Key(("w",), "write", "w", "Write yourself what goes on from here.", "w write"),
    Key(("d", "delete"), "remove", "d", "Remove it and all that goes on from it.", "d remove"),
    Key(("u",), "undo", "u, r", "Undo the last change, or do it again.", "u undo"),
    Key(("r", "c-r"), "redo", "", ""),
    Key(("m",), "mark", "m, '", "Mark it or not; the next marked one.", "m mark"),
    Key(("'",), "to_marked", "", ""),
    Key(("/",), "search", "/, n, N", "Find a text; the next, the one before.", "/ find"),
    Key(("n",), "again", "", ""),
    Key(("N",), "back", "", ""),
    Key(("p",), "show_tokens", "p", "Its tokens' probabilities, your own too.", "p tokens"),
    Key(("s",), "save", "s, S", "Save, or save to another file.", "s save"),
    Key(("S",), "save_as", "", ""),
    Key(("pageup",), "page_up", "", ""),
    Key(("pagedown",), "page_down", "", ""),
    Key(("home",), "first", "Home, End", "The prompt, or the last line."),
    Key(("end",), "last", "", ""),
    Key(("q", "c-d"), "leave", "q", "Leave; what is not saved is asked for.", "q leave"),
    Key(("c-c", "<sigint>"), "interrupt", "Ctrl-C", "Stop the model, else leave."),
    Key(("?",), "help", "?", "These lines; any key goes back.", "? help"),
)


def explained() -> Iterator[tuple[str, str]]:
    """Each key as people write it, and what it does."""
    return ((key.shown, key.meaning) for key in KEYS if key.shown)


def briefly(width: int) -> str:
    """As many of them as fit in a line; how to see all of them is always there."""
    *words, last = [key.brief for key in KEYS if key.brief]
    while words and len("  ".join([*words, last])) > width:
        words.pop()
    return "  ".join([*words, last])
