"""A command at its place in the app, and what can be told of it: for help and for the manual."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from gptcli.config import Option
from gptcli.plain import dataclass

LAST_PANEL = "Output"


@dataclass(frozen=True)
class Node:
    """A command at its place in the app: ("gptcli", "models", "list")."""

    path: tuple[str, ...]
    command: TyperCommand | TyperGroup
    context: typer.Context

    @property
    def page(self) -> str:
        """The name that its page would have."""
        return "-".join(self.path)

    def children(self) -> list[Node]:
        """Its visible subcommands, in the app's order."""
        if not isinstance(self.command, TyperGroup):
            return []
        return [
            Node((*self.path, name), child, typer.Context(child, self.context, name))
            for name, child in self.command.commands.items()
            if isinstance(child, TyperCommand | TyperGroup) and not child.hidden
        ]

    @property
    def panel(self) -> str | None:
        """Under what it stands where many commands are named, None for what stands by itself."""
        panel = self.command.rich_help_panel
        return panel if isinstance(panel, str) else None

    def leaves(self) -> Iterator[Node]:
        """The commands that do something: itself, or those of the group and its groups."""
        children = self.children()
        if not children:
            yield self
        for child in children:
            yield from child.leaves()

    @property
    def help(self) -> str:
        """All that it says of itself."""
        return self.command.help or ""

    @property
    def summary(self) -> str:
        """The first sentence of that."""
        return self.help.partition("\n\n")[0]

    def options(self) -> list[TyperOption]:
        """Its visible options."""
        found = self.command.get_params(self.context)
        return [p for p in found if isinstance(p, TyperOption) and not p.hidden]

    def arguments(self) -> list[TyperArgument]:
        """Its visible arguments."""
        found = self.command.get_params(self.context)
        return [p for p in found if isinstance(p, TyperArgument) and not p.hidden]

    def examples(self) -> tuple[tuple[str, str], ...]:
        """(what it is for, the command), as its module has them."""
        found: tuple[tuple[str, str], ...] = getattr(self._module, "EXAMPLES", ())
        # A group's are those of all its commands.
        own = " ".join(self.path) if len(self.path) > 2 else ""
        return tuple(each for each in found if own in each[1])

    def sections(self) -> tuple[tuple[str, Callable[[], Sequence[tuple[str, str]]]], ...]:
        """(heading, what gives its items: a term and a text), as its module has them."""
        return getattr(self._module, "SECTIONS", ())

    @property
    def _module(self) -> ModuleType | None:
        # A subcommand is described where its group is; a group without a callback of its own,
        # where its commands are.
        above = self.context.parent if len(self.path) > 2 else None
        callback = above and above.command.callback
        callback = callback or self.command.callback or next(self.leaves()).command.callback
        return sys.modules[callback.__module__] if callback else None

    def said(self, name: str) -> Option | None:
        """What a field of its groups says of itself here; None for what is Typer's own."""
        found: Mapping[str, Option] = getattr(self.command.callback, "options", {})
        return found.get(name)

    def panels(self) -> dict[str, list[TyperOption]]:
        """Its options under their headings; those under none come first, how to print last."""
        found: dict[str, list[TyperOption]] = {"": []}
        for each in self.options():
            found.setdefault(each.rich_help_panel or "", []).append(each)
        last = found.pop(LAST_PANEL, [])
        return {name: options for name, options in (found | {LAST_PANEL: last}).items() if options}


def node_of(context: typer.Context) -> Node:
    """The command of a context."""
    command = context.command
    assert isinstance(command, TyperCommand | TyperGroup)
    return Node(tuple(context.command_path.split()), command, context)


def root(command: TyperGroup) -> Node:
    """The whole app."""
    return Node(("gptcli",), command, typer.Context(command, info_name="gptcli"))


def argument_name(argument: TyperArgument) -> str:
    """What stands for its value."""
    # Some metavars say in themselves that they are optional, or may be repeated.
    return (argument.metavar or argument.name.upper()).strip("[]{}.")


def shown_metavar(option: TyperOption, node: Node) -> str:
    """What stands for its value, nothing for a flag that is on or off."""
    if option.is_flag or option.secondary_opts:
        return ""
    # Typer's own have no metavar but the name of a type.
    return option.metavar or option.display_type(node.context).strip("<>").upper()


def names(option: TyperOption) -> tuple[list[str], list[str]]:
    """Its flags, short ones first, and those that turn it off."""
    return sorted(option.opts, key=_dashes), sorted(option.secondary_opts, key=_dashes)


def _dashes(name: str) -> int:
    return len(name) - len(name.lstrip("-"))
