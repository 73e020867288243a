"""The help of a command: -h, a screen of what is used most, and --help, everything."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

import typer
from typer.core import TyperGroup, TyperOption

from gptcli.cli.environment import Environment
from gptcli.cli.help.node import Node, argument_name, names, node_of, shown_metavar
from gptcli.ui.terminal.writer import width_of

#: Lines longer than this are hard to read, however wide the terminal is.
_WIDEST = 100
#: Where the texts of a list begin, unless all of its terms are shorter.
_INDENT = 30
#: More than these leave no room on a screen for options as well.
_COMMANDS = 12
_OWN = "With commands of their own"
#: How many examples -h has, and how long they may be.
_EXAMPLES, _LONGEST = 2, 78

Line = tuple[str, str]


def show_brief(context: typer.Context) -> None:
    """What -h prints."""
    _print(context.obj, _brief(node_of(context), min(width_of(context.obj.stdout), 80)))


def show_whole(context: typer.Context) -> None:
    """What --help prints."""
    _print(context.obj, _whole(node_of(context), min(width_of(context.obj.stdout), _WIDEST)))


def explain_group(context: typer.Context) -> None:
    """What a group of commands prints where none of them is named."""
    if context.invoked_subcommand is None:
        show_brief(context)


def _print(environment: Environment, lines: Iterable[Line]) -> None:
    if not environment.on_terminal:
        # FORCE_COLOR is about answers; help in a pipe is plain text.
        environment.page("".join(f"{text}\n" for text, _ in lines))
        return
    writer = environment.terminal()
    for text, style in lines:
        writer.line(text, style)


def _brief(node: Node, width: int) -> Iterator[Line]:
    yield from _paragraph(_usage(node), width)
    yield "", ""
    yield from _paragraph(node.summary, width)
    yield "", ""
    children = list(node.children())
    crowded = len(children) > _COMMANDS
    # What has commands of its own has a screen of its own.
    kinds = {each.path: _OWN if each.children() else each.panel for each in children if crowded}
    rows = [
        (" ".join(each.path[len(node.path) :]), each.summary)
        for each in children
        if not kinds.get(each.path)
    ]
    for option in node.options():
        said = node.said(option.name)
        if said is not None and said.brief and not crowded:
            rows.append((_term(node, option, all_names=False), said.brief))
    yield from _list(rows, width)
    for kind in dict.fromkeys(filter(None, kinds.values())):
        listed = ", ".join(path[-1] for path, its in kinds.items() if its == kind)
        yield from _paragraph(f"{kind}: {listed}.", width, "  ")
    if node.examples():
        yield from [] if crowded else [("", "")]
        yield "Examples:", "bold"
    short = [command for _, command in node.examples() if len(command) <= _LONGEST]
    for command in short[:_EXAMPLES]:
        yield f"  {command}", ""
    rest = "." if len(node.path) > 1 else "; -V, the version."
    yield from _paragraph(f"{' '.join(node.path)} --help shows everything{rest}", width)


def _whole(node: Node, width: int) -> Iterator[Line]:
    yield from _paragraph(_usage(node), width)
    for paragraph in node.help.split("\n\n"):
        yield "", ""
        if paragraph.startswith("    "):
            # To be copied as it stands.
            yield from ((line, "") for line in paragraph.split("\n"))
        else:
            yield from _paragraph(" ".join(paragraph.split()), width)
    told = [(argument_name(each), each.help or "") for each in node.arguments() if each.help]
    yield from _section("Arguments", told, width)
    yield from _section("Commands", [(c.path[-1], c.summary) for c in node.children()], width)
    for panel, options in node.panels().items():
        rows = [(_term(node, each), each.help or "") for each in options]
        yield from _section(panel or "Options", rows, width)
    if node.examples():
        yield "", ""
        yield "Examples:", "bold"
    for purpose, command in node.examples():
        yield from _paragraph(purpose, width, "  ")
        yield f"    {command}", ""


def _section(heading: str, rows: Sequence[tuple[str, str]], width: int) -> Iterator[Line]:
    if rows:
        yield "", ""
        yield f"{heading}:", "bold"
        yield from _list(rows, width)


def _usage(node: Node) -> str:
    parts = ["Usage:", *node.path, "[OPTION]..."]
    if isinstance(node.command, TyperGroup):
        parts.append("COMMAND [ARGUMENT]...")
    for argument in node.arguments():
        name = argument_name(argument) + ("" if argument.nargs == 1 else "...")
        parts.append(name if argument.required else f"[{name}]")
    return " ".join(parts)


def _term(node: Node, option: TyperOption, *, all_names: bool = True) -> str:
    """The flags as they are typed, and what stands for the value."""
    on, off = names(option)
    if not all_names:
        on = [*[name for name in on if not name.startswith("--")][:1], _first_long(option)]
    told = ", ".join(name for name in on if name)
    told += f" / {', '.join(off)}" if off else ""
    return f"{told} {shown_metavar(option, node)}".rstrip()


def _first_long(option: TyperOption) -> str:
    return next((name for name in option.opts if name.startswith("--")), "")


def _list(rows: Sequence[tuple[str, str]], width: int) -> Iterator[Line]:
    """Terms, and texts beside them; a term that is too long stands on a line of its own."""
    indent = min(_INDENT, width // 2, max((len(term) for term, _ in rows), default=0) + 4)
    for term, text in rows:
        beside = len(term) + 4 <= indent
        if not beside:
            yield from _paragraph(term, width, "  ", "    ")
        first = f"  {term}".ljust(indent) if beside else " " * indent
        yield from _paragraph(text, width, first, " " * indent)


def _paragraph(text: str, width: int, first: str = "", rest: str | None = None) -> Iterator[Line]:
    """Words filled into lines; `first` stands before them, on further lines `rest`."""
    more = first if rest is None else rest
    # Flags are broken nowhere, if they need not be.
    for line in textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=more, break_on_hyphens=False
    ):
        yield line.rstrip(), ""
