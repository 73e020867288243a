"""The man pages, made from the app: `python -m gptcli.cli.manual [DIR]` writes them.

One page for gptcli, one for each subcommand; a group's page holds all of its subcommands. The
text is the docstrings, the options' help, and of each command's module `EXAMPLES` and the items of
`SECTIONS`. What concerns several commands is in section 7, see `overviews`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from typer.core import TyperGroup, TyperOption

from gptcli import __version__
from gptcli.cli import boundary
from gptcli.cli.app import app
from gptcli.cli.commands import ALSO, CALLED
from gptcli.cli.flags.settings import setting_names
from gptcli.cli.help.node import Node, argument_name, names, root, shown_metavar
from gptcli.cli.manual import overviews, roff
from gptcli.cli.manual.text import ENVIRONMENT, FILES, PRECEDENCE
from gptcli.config import key_of, variable_of
from gptcli.errors import GptcliError

#: How the pages in the checkout are made anew.
COMMAND = "python -m gptcli.cli.manual"
#: When what the pages say was last published. Not today: the same app gives the same bytes.
_DATE = "2026-11-23"
_SECTION = 1

_STOPPED = (
    (boundary.HUNG_UP, "The terminal was closed (SIGHUP)."),
    (boundary.INTERRUPTED, "Interrupted (SIGINT)."),
    (boundary.PIPE_CLOSED, "Whoever read the output has gone (SIGPIPE)."),
    (boundary.TERMINATED, "Terminated (SIGTERM)."),
)


def pages(tool: TyperGroup | None = None) -> dict[str, str]:
    """Each page's path below a directory of manuals, as in man1/gptcli.1, and its text."""
    top = root(tool or app())
    nodes = [top, *top.children()]
    found = {(top.page, _SECTION): _overview(top)}
    found |= {(node.page, _SECTION): _page(node) for node in nodes[1:]}
    # What has two names has one page.
    aliases = {
        f"man{_SECTION}/{top.page}-{other}.{_SECTION}": f".so man{_SECTION}/{page}.{_SECTION}\n"
        for other, file in ALSO.items()
        if (page := f"{top.page}-{CALLED[file]}") in {name for name, _ in found}
    }
    found |= {(name, overviews.SECTION): lines for name, lines in overviews.pages().items()}
    return aliases | {
        f"man{section}/{name}.{section}": "\n".join(
            [
                r".\" Made from the app, do not edit; to make it anew: " + COMMAND,
                *roff.title(name, section, _DATE, f"gptcli {__version__}", "gptcli manual"),
                *lines,
                roff.section("SEE ALSO"),
                *roff.references([other for other in found if other != (name, section)]),
                "",
            ]
        )
        for (name, section), lines in found.items()
    }


def _overview(top: Node) -> list[str]:
    lines = [*_head(top, [top]), roff.section("COMMANDS")]
    for child in top.children():
        tag = rf"{roff.bold(child.page)}({_SECTION})"
        lines += roff.item(tag, roff.prose(child.summary))
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
            lines += [roff.subsection(" ".join(leaf.path)), *roff.paragraphs(leaf.help)]
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
    text = node.help.partition("\n\n")[2] or node.help
    return [*lines, roff.section("DESCRIPTION"), *roff.paragraphs(text)]


def _one_line(node: Node) -> str:
    """What apropos(1) shows: no capital at the beginning, no full stop at the end."""
    text = " ".join(node.summary.split()).removesuffix(".")
    if not text[1:2].isupper():
        text = text[:1].lower() + text[1:]
    return roff.literal(text)


def _synopsis(node: Node) -> str:
    parts = [roff.bold(" ".join(node.path)), "[" + roff.italic("OPTION") + "]..."]
    if isinstance(node.command, TyperGroup):
        parts += [roff.italic("COMMAND"), "[" + roff.italic("ARGUMENT") + "]..."]
    for argument in node.arguments():
        dots = "" if argument.nargs == 1 else "..."
        name = roff.italic(argument_name(argument)) + dots
        parts.append(name if argument.required else f"[{name}]")
    return " ".join(parts)


def _parameters(
    node: Node, heading: str | None, without: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    """Arguments and options, these under the panels that --help has; nothing where none is left."""
    found: list[str] = []
    for argument in node.arguments():
        if argument.help:
            dots = "" if argument.nargs == 1 else "..."
            tag = roff.italic(argument_name(argument)) + dots
            found += roff.item(tag, roff.prose(argument.help))
    for panel, options in node.panels().items():
        tags = [(_tag(node, option), option.help or "") for option in options]
        items = [roff.item(tag, roff.prose(text)) for tag, text in tags if tag not in without]
        found += [roff.subsection(panel)] if panel and heading and items else []
        found += [line for item in items for line in item]
    return [heading, *found] if heading and found else found


def _tag(node: Node, option: TyperOption) -> str:
    """An option's names, short ones first, and its metavar, as roff."""
    first, others = (", ".join(map(roff.bold, each)) for each in names(option))
    metavar = shown_metavar(option, node)
    if others:
        return f"{first} / {others}"
    return f"{first} {roff.italic(metavar)}" if metavar else first


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
    rows = [(variable_of(name), flags.get(name) or f"--{key_of(name)}") for name in setting_names()]
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
    for name, text in pages().items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="ascii", newline="\n")
