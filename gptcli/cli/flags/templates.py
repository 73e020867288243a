"""`-t NAME`: flags, and a text around the prompt, that the user's file has under a name.

What a template says is said by hand, as it is named there: it outweighs the environment and the
user's other settings, and a flag of the command line outweighs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gptcli import config
from gptcli.cli.flags.groups import Given, Shown, group_of, names_of
from gptcli.config import Template, key_of, option
from gptcli.config.check import checked, kind_of
from gptcli.errors import UsageError
from gptcli.plain import dataclass

_FIELD, _FLAG = "from_template", "--template"
#: Flags that say where a text comes from, which a template is put around, or name a template.
_NOT_ITS_OWN = frozenset((_FIELD, "prompt", "prompt_option", "file"))
#: Where one of these is said by hand, a template's other one is of no use.
_INSTEAD = {"system": "system_file", "system_file": "system"}


@dataclass(frozen=True)
class Templated:
    """The template that the command line names; by its name, until `with_template` was asked."""

    from_template: Template | None = option(
        None,
        "A prompt and flags that your settings file has under this name, as [template.NAME]: in"
        " its prompt {input} stands for the text that is given. Flags beside it outweigh it.",
        *("-t", _FLAG),
        metavar="NAME",
        completer="template",
        parse=str,
    )

    @property
    def prompt(self) -> str | None:
        """The text around the one that is given, None for nothing around it."""
        return None if self.from_template is None else self.from_template.prompt

    def around(self, text: str) -> str:
        """The prompt with a text in it."""
        return text if self.from_template is None else self.from_template.around(text)


def with_template(
    shown: Iterable[Shown], given: Mapping[str, Any], by_hand: Given
) -> tuple[Mapping[str, Any], Given]:
    """What a command line gave, and which fields it did, with what the template that it names says.

    Raises UsageError for a name that is none, and for flags in it that cannot be obeyed.
    """
    name = given.get(_FIELD)
    if name is None:
        return given, by_hand
    template = config.found_in(config.templates(), name, _FLAG, config.user_file())
    said = {
        field: value
        for field, value in flags_of(template, shown).items()
        if field not in by_hand and _INSTEAD.get(field) not in by_hand
    }
    return {**given, **said, _FIELD: template}, Given(by_hand | said.keys())


def flags_of(template: Template, shown: Iterable[Shown]) -> dict[str, Any]:
    """The values of a template's flags by the fields that a command shows.

    Raises UsageError for those that it does not have, and for values that cannot be.
    """
    fields = {name: each for each in shown for name in _keys(each)}
    found: dict[str, Any] = {}
    for key, value in template.flags.items():
        if key not in fields:
            import difflib

            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            raise UsageError(f"{template.subject}: {key}", "the command has no such flag", hint)
        each = fields[key]
        try:
            found[each.field.name] = _value(each, value)
        except ValueError as error:
            raise UsageError(f"{template.subject}: {key}", str(error)) from None
    return found


def shown_by(command: Callable[..., None]) -> list[Shown]:
    """The fields of all groups of a command."""
    hints = get_type_hints(command, include_extras=True).values()
    groups = [each for each in hints if is_dataclass(get_args(each)[0] if get_args(each) else each)]
    return [each for hint in groups for each in group_of(hint)[1]]


def _keys(shown: Shown) -> Sequence[str]:
    """The names that a template can call a field by: those of its long flags that turn it on."""
    said, field = shown.option, shown.field
    if said.argument or said.act or said.secret or field.name in _NOT_ITS_OWN:
        return ()
    on = [name.partition("/")[0] for name in names_of(field, said)]
    return [key_of(field.name), *(name[2:] for name in on if name.startswith("--"))]


def _value(shown: Shown, value: object) -> Any:
    said, kind = shown.option, kind_of(shown.field)
    if kind.startswith("tuple[") and not said.joined:
        words = value if isinstance(value, list) else [value]
        return tuple(_one(shown, word) for word in words)
    return _one(shown, value)


def _one(shown: Shown, value: object) -> Any:
    said, kind = shown.option, kind_of(shown.field)
    if kind not in ("bool", "int", "float"):
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, str) and not (plain and said.parse is not None):
            raise ValueError(f"must be a text, not {value!r:.40}")
        if said.stdin and value == "-":
            raise ValueError("- is stdin, which only a command line can name")
        if "Path" in kind and said.parse is None:
            # From wherever the command is run.
            return config.user_file().parent / Path(str(value)).expanduser()
    return checked(shown.field, said, value)
