"""The man pages, made from the app: `python -m gptcli.cli.manual [DIR]` writes them.

One page for gptcli, one for each subcommand; a group's page holds all of its subcommands. The
text is the docstrings, the options' help, and of each command's module `EXAMPLES` and the items of
`SECTIONS`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from gptcli import __version__, config
from gptcli.cli import boundary
from gptcli.cli.app import app
from gptcli.cli.manual import roff
from gptcli.cli.manual.text import ENVIRONMENT, FILES, PRECEDENCE
from gptcli.errors import GptcliError

#: How the pages in the checkout are made anew.
COMMAND = "python -m gptcli.cli.manual"
#: When what the pages say was last published. Not today: the same app gives the same bytes.
_DATE = "2026-11-23"
_SECTION = 1

_STOPPED = (
    (boundary.INTERRUPTED, "Interrupted (SIGINT)."),
    (boundary.PIPE_CLOSED, "Whoever read the output has gone (SIGPIPE)."),
    (boundary.TERMINATED, "Terminated (SIGTERM)."),
)


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

    def leaves(self) -> Iterator[Node]:
        """The commands that do something: itself, or those of the group and its groups."""
        children = self.children()
        if not children:
            yield self
        for child in children:
            yield from child.leaves()

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
        return getattr(self._module, "EXAMPLES", ())

    def sections(self) -> tuple[tuple[str, Callable[[], Sequence[tuple[str, str]]]], ...]:
        """(heading, what gives its items: a term and a text), as its module has them."""
        return getattr(self._module, "SECTIONS", ())

    @property
    def _module(self) -> ModuleType | None:
        # A group without a callback of its own is described where its commands are.
        callback = self.command.callback or next(self.leaves()).command.callback
        return sys.modules[callback.__module__] if callback else None


def root(tool: typer.Typer | None = None) -> Node:
    """The whole app."""
    command = typer.main.get_command(tool or app())
    if not isinstance(command, TyperCommand | TyperGroup):
        raise TypeError(f"the app is a {type(command).__name__}")
    context = typer.Context(command, info_name="gptcli", **command.context_settings)
    return Node(("gptcli",), command, context)


def pages(tool: typer.Typer | None = None) -> dict[str, str]:
    """Each page's file name and text."""
    top = root(tool)
    nodes = [top, *top.children()]
    found = {top.page: _overview(top), **{node.page: _page(node) for node in nodes[1:]}}
    return {
        f"{name}.{_SECTION}": "\n".join(
            [
                r".\" Made from the app, do not edit; to make it anew: " + COMMAND,
                *roff.title(name, _SECTION, _DATE, f"gptcli {__version__}", "gptcli manual"),
                *lines,
                roff.section("SEE ALSO"),
                *roff.references([(n.page, _SECTION) for n in nodes if n.page != name]),
                "",
            ]
        )
        for name, lines in found.items()
    }


def _overview(top: Node) -> list[str]:
    lines = [*_head(top, [top]), roff.section("COMMANDS")]
    for child in top.children():
        tag = rf"{roff.bold(child.page)}({_SECTION})"
        lines += roff.item(tag, roff.prose(_summary(child)))
    lines += _parameters(top, roff.section("OPTIONS"))
    lines += [roff.section("EXIT STATUS"), *_exit_codes()]
    lines += [roff.section("ENVIRONMENT"), *_environment(top)]
    lines += [roff.section("FILES"), *_files()]
    firsts = [child.examples()[0] for child in top.children() if child.examples()]
    return lines + _examples([*top.examples(), *firsts])


def _page(node: Node) -> list[str]:
    leaves = list(node.leaves())
    lines = _head(node, leaves)
    if leaves != [node]:
        common = {_tag(node, option) for option in node.options()}
        lines.append(roff.section("COMMANDS"))
        for leaf in leaves:
            lines += [roff.subsection(" ".join(leaf.path)), *roff.paragraphs(_help(leaf))]
            lines += _parameters(leaf, None, without=common)
    lines += _parameters(node, roff.section("OPTIONS"))
    for heading, items in node.sections():
        lines.append(roff.section(heading))
        for term, text in items():
            lines += roff.item(roff.bold(term), roff.prose(text))
    return lines + _examples(node.examples())


def _head(node: Node, commands: Sequence[Node]) -> list[str]:
    """What every page begins with; the synopsis has a line for each of `commands`."""
    lines = [roff.section("NAME"), rf"{roff.literal(node.page)} \- {_one_line(node)}"]
    lines.append(roff.section("SYNOPSIS"))
    for i, command in enumerate(commands):
        lines += [".br"] if i else []
        lines.append(_synopsis(command))
    # The first paragraph stands under NAME already.
    text = _help(node).partition("\n\n")[2] or _help(node)
    return [*lines, roff.section("DESCRIPTION"), *roff.paragraphs(text)]


def _help(node: Node) -> str:
    return node.command.help or ""


def _summary(node: Node) -> str:
    return _help(node).partition("\n\n")[0]


def _one_line(node: Node) -> str:
    """What apropos(1) shows: no capital at the beginning, no full stop at the end."""
    text = " ".join(_summary(node).split()).removesuffix(".")
    if not text[1:2].isupper():
        text = text[:1].lower() + text[1:]
    return roff.literal(text)


def _synopsis(node: Node) -> str:
    parts = [roff.bold(" ".join(node.path)), "[" + roff.italic("OPTION") + "]..."]
    if isinstance(node.command, TyperGroup):
        parts += [roff.italic("COMMAND"), "[" + roff.italic("ARGUMENT") + "]..."]
    for argument in node.arguments():
        dots = "" if argument.nargs == 1 else "..."
        name = roff.italic(_argument_name(argument)) + dots
        parts.append(name if argument.required else f"[{name}]")
    return " ".join(parts)


def _argument_name(argument: TyperArgument) -> str:
    # Some metavars say in themselves that they are optional, or may be repeated.
    return (argument.metavar or argument.name.upper()).strip("[]{}").removesuffix("...")


def _parameters(
    node: Node, heading: str | None, without: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    """Arguments and options, these under the panels that --help has; nothing where none is left."""
    lines: list[str] = []
    for argument in node.arguments():
        record = argument.get_help_record(node.context)
        if record and argument.help:
            dots = "" if argument.nargs == 1 else "..."
            tag = roff.italic(_argument_name(argument)) + dots
            lines += roff.item(tag, roff.prose(record[1].replace("[required]", "")))
    panels: dict[str, list[str]] = {"": lines}
    for option in node.options():
        record = option.get_help_record(node.context)
        tag = _tag(node, option)
        if record and tag not in without:
            panel = option.rich_help_panel if heading else None
            panels.setdefault(panel or "", []).extend(roff.item(tag, roff.prose(record[1])))
    found = [heading] if heading and any(panels.values()) else []
    for panel, items in panels.items():
        found += [roff.subsection(panel)] if panel else []
        found += items
    return found


def _tag(node: Node, option: TyperOption) -> str:
    """An option's names, short ones first, and its metavar, as roff."""
    names = sorted(option.opts, key=_dashes)
    record = option.get_help_record(node.context)
    shown = record[0] if record else ""
    tag = ", ".join(roff.bold(name) for name in names)
    if option.secondary_opts:
        others = sorted(option.secondary_opts, key=_dashes)
        return tag + " / " + ", ".join(roff.bold(name) for name in others)
    # Italics say what the angle brackets of --help do, and a list is an option given again.
    metavar = re.sub("[<>]", "", shown.removeprefix(", ".join(names)).strip())
    if metavar.startswith("list["):
        metavar = metavar.removeprefix("list[").removesuffix("]")
    return f"{tag} {roff.italic(metavar)}" if metavar else tag


def _dashes(name: str) -> int:
    return len(name) - len(name.lstrip("-"))


def _exit_codes() -> list[str]:
    lines = roff.item(roff.bold(str(boundary.OK)), roff.prose("All went well."))
    lines += roff.item(roff.bold(str(boundary.BUG)), roff.prose("A bug in gptcli."))
    for error in sorted(GptcliError.__subclasses__(), key=lambda error: error.exit_code):
        text = (error.__doc__ or "").strip()
        lines += roff.item(roff.bold(str(error.exit_code)), roff.prose(text[:1].upper() + text[1:]))
    for code, text in _STOPPED:
        lines += roff.item(roff.bold(str(code)), roff.prose(text))
    return lines


def _environment(top: Node) -> list[str]:
    flags = {
        option.name: max(option.opts, key=len)
        for leaf in reversed(list(top.leaves()))
        for option in leaf.options()
    }
    rows = [
        (f"GPTCLI_{f.name.upper()}", flags.get(f.name) or "--" + f.name.replace("_", "-"))
        for f in fields(config.Settings)
        if f.name not in config.FLAGS_ONLY
    ]
    width = max(len(name) for name, _ in rows) + 2
    lines = roff.prose(PRECEDENCE)
    lines += roff.table([(roff.bold(name), roff.bold(flag)) for name, flag in rows], width)
    lines += [".PP", *roff.prose("And these have no flag, or concern more than gptcli:")]
    for name, text in ENVIRONMENT:
        lines += roff.item(roff.bold(name), roff.prose(text))
    return lines


def _files() -> list[str]:
    lines: list[str] = []
    for name, text, content in FILES:
        lines += roff.item(roff.italic(name), roff.prose(text))
        lines += roff.verbatim(content, 11) if content else []
    return lines


def _examples(examples: Sequence[tuple[str, str]]) -> list[str]:
    lines = [roff.section("EXAMPLES")] if examples else []
    for i, (purpose, command) in enumerate(examples):
        lines += [".PP"] if i else []
        lines += [*roff.prose(purpose), *roff.verbatim(command)]
    return lines


def main(arguments: Sequence[str]) -> None:
    """Write the pages into the directory that is named, or into man/ of the checkout."""
    checkout = Path(__file__).resolve().parents[3]
    directory = Path(arguments[0]) if arguments else checkout / "man"
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="ascii", newline="\n")
