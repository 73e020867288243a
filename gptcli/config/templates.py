r"""Templates of the user's file: a prompt, and the flags that go with it, under a name.

    [template.commit]
    system = "You write commit messages."
    prompt = "A commit message for this diff:\n{input}"
    temperature = 0.2

`-t commit` has a command do as if these flags were given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from gptcli.config.tables import Table, tables_of
from gptcli.errors import UsageError
from gptcli.plain import dataclass

#: The table of the user's file that holds a table for each template.
TABLE = "template"
#: What in a prompt stands for the text that is given. Other braces are braces.
INPUT = "{input}"


@dataclass(frozen=True)
class Template:
    """What the table of a name says.

    prompt: the text around INPUT, None for nothing around it. flags: by the names of the long
    flags, as TOML has them; which of them there are, a command knows. subject: names it in errors.
    """

    name: str
    subject: str
    prompt: str | None = None
    flags: Mapping[str, object] = field(default_factory=dict)

    def around(self, text: str) -> str:
        """The prompt with a text in it."""
        return text if self.prompt is None else self.prompt.replace(INPUT, text)

    @property
    def takes_input(self) -> bool:
        """Whether there is a place for a text."""
        return self.prompt is None or INPUT in self.prompt


def templates_of(said: object, path: Path) -> dict[str, Template]:
    """The templates in the user's file at `path`, by name. Raises UsageError for what is none."""
    return {each.name: _template(each) for each in tables_of(said, TABLE, "commit", path)}


def _template(table: Table) -> Template:
    subject, flags = table.subject, dict(table.values)
    prompt = flags.pop("prompt", None)
    if prompt is not None and not (isinstance(prompt, str) and prompt.strip()):
        raise UsageError(f"{subject}: prompt", "must be a text")
    for key, value in flags.items():
        if not all(map(_is_plain, value if isinstance(value, list) else [value])):
            raise UsageError(f"{subject}: {key}", "must be a text, a number, true, false or a list")
    return Template(table.name, subject, prompt, flags)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def found_in(known: Mapping[str, Template], name: str, flag: str, path: Path) -> Template:
    """The template of a name. Raises UsageError, with the nearest name, where there is none."""
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, n=1)
        listed = "gptcli templates list lists them" if known else f"{path} would hold it"
        hint = f"did you mean {near[0]}?" if near else listed
        raise UsageError(flag, f"there is no template {name!r:.80}", hint)
    return known[name]
