"""The pages of section 7: what concerns several commands, and lists that are too long for help.

Their text is in section7/, a file a page, in the little of Markdown that `_lines` knows: headings
of two levels, paragraphs, lists of `- term: text`, indented lines that are kept, `code`, and names
of pages such as man(7). What the program itself knows better is put in the place of `{names}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from gptcli.backends.local import families
from gptcli.backends.remote.servers import SERVERS, Server
from gptcli.cli.manual import roff
from gptcli.config import key_of
from gptcli.models import aliases
from gptcli.models.gguf import families as architectures

SECTION = 7
#: The sources, named as the pages.
PLACE = Path(__file__).with_name("section7")
_ITEM = re.compile(r"^- ", re.MULTILINE)


def _families() -> str:
    return "\n".join(
        f"- `{each.name}`: {each.supports} ({each.difference:.1e})." for each in families.listing()
    )


def _not_supported() -> str:
    return "\n".join(
        f"- {', '.join(f'`{name}`' for name in names)}: {reason}."
        for reason, names in families.not_supported().items()
    )


def _short_names() -> str:
    return "\n".join(f"- `{name}`: {repo}" for name, repo in aliases.HUB_ALIASES.items())


def _architectures() -> str:
    return ", ".join(f"`{name}`" for name in architectures.supported())


def _servers() -> str:
    return "\n".join(f"- {each.title}: {_abilities(each)}." for each in SERVERS.values())


def _abilities(server: Server) -> str:
    """What a server can do, in words."""
    flags = [f"`--{key_of(name)}`" for name in server.sampling]
    flags += ["`--logit-bias`"] if server.bias else []
    flags += ["`--samples`"] if server.samples else []
    flags += ["`--effort`"] if server.effort else []
    flags += ["`--think`"] if server.think or server.variables else []
    flags += ["`--template-set`"] if server.variables else []
    flags += ["`--think-budget`"] if server.budget else []
    flags += [_forms(server)]
    scored = {
        "texts": server.logprobs,
        "answers in chats": server.chat_logprobs,
        "prompts": server.scores,
    }
    told = {
        f"log-probabilities of {', '.join(n for n, can in scored.items() if can)}": any(
            scored.values()
        ),
        "`/tokenize`": bool(server.cutting),
        "prompts of token ids": server.ids,
        "texts without a limit (`-n -1`)": bool(server.endless),
    }
    return "; ".join([", ".join(flags), *(what for what, can in told.items() if can)])


def _forms(server: Server) -> str:
    """The constraints that it takes, and of what."""
    if server.forms:
        return "all constraints"
    chats = " in chats" if "completion" not in server.formats else ""
    return f"`--json-object` and `--json-schema`{chats}"


#: What a source names in braces, and what gives the Markdown that takes its place.
FACTS: Mapping[str, Callable[[], str]] = {
    "families": _families,
    "not_supported": _not_supported,
    "short_names": _short_names,
    "architectures": _architectures,
    "servers": _servers,
    "server_names": lambda: ", ".join(SERVERS),
    "scalings": lambda: ", ".join(families.SCALINGS),
}


def pages() -> dict[str, list[str]]:
    """Each page's name and its lines of roff, between title and SEE ALSO."""
    return {path.stem: _page(path) for path in sorted(PLACE.glob("*.md"))}


def _page(path: Path) -> list[str]:
    title, _, text = path.read_text("utf-8").partition("\n")
    name, purpose = title.removeprefix("# ").split(": ", 1)
    head = [roff.section("NAME"), rf"{roff.literal(name)} \- {roff.literal(purpose)}"]
    for fact, find in FACTS.items():
        text = text.replace(f"{{{fact}}}", find()) if f"{{{fact}}}" in text else text
    return [*head, roff.section("DESCRIPTION"), *_lines(text)]


def _lines(text: str) -> list[str]:
    """The roff of Markdown's blocks, which blank lines set apart."""
    lines: list[str] = []
    headed = True
    for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        if block.startswith("#"):
            level, _, heading = block.partition(" ")
            lines.append({"##": roff.section, "###": roff.subsection}[level](heading))
        elif block.startswith("- "):
            for item in _ITEM.split(block)[1:]:
                term, _, body = item.partition(": ")
                lines += roff.item(roff.inline(term), roff.prose(body, marks=True))
        else:
            kept = block.startswith("    ")
            shown = roff.paragraphs(block) if kept else roff.prose(block, marks=True)
            lines += [*([] if headed else [".PP"]), *shown]
        headed = block.startswith("#")
    return lines
