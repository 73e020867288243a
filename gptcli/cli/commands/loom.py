"""`gptcli loom`: a text that goes on in several ways, as a tree under one's keys."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from gptcli.backends import ECHO, settled
from gptcli.cli.answer_log import settings_of
from gptcli.cli.environment import Environment
from gptcli.cli.exports import answer_in, check_file, write
from gptcli.cli.flags import settings
from gptcli.cli.flags.batch import Batch
from gptcli.cli.flags.colours import Page
from gptcli.cli.flags.generation import Generation
from gptcli.cli.flags.graph import Graph
from gptcli.cli.flags.groups import Given, but, only
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Anywhere
from gptcli.cli.flags.source import Source
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.input.session import lasting
from gptcli.cli.opening import open_for
from gptcli.config import Limit, option
from gptcli.errors import ModelError, UsageError
from gptcli.loom import Tale, as_json, read_file
from gptcli.loom.growth import Wish
from gptcli.plain import dataclass
from gptcli.types.completion import Request
from gptcli.types.compute import Compute
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import loom as view
from gptcli.ui.views.sampling import as_json as sampling_json
from gptcli.units import size

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("See where a story could go; ? tells of the keys.", 'gptcli loom "Once upon a time"'),
    (
        "The same, kept in a file; where that is there already, it goes on.",
        'gptcli loom --save tale.json "Once upon a time"',
    ),
    ("Five ways on at each g, of a dozen tokens.", 'gptcli loom -k 5 -n 12 "My favourite word is"'),
    ("What is in the file, as text.", "gptcli loom --save tale.json | less"),
    ("A page to read in a browser.", "gptcli loom --save tale.json --html tale.html"),
    ("A picture of it.", "gptcli loom --save tale.json --dot | dot -Tsvg > tale.svg"),
)
#: Tokens of a stretch: a thought or so, after which one looks where it goes.
_STRETCH = 24


def keys() -> list[tuple[str, str]]:
    """The keys, for the man page."""
    from gptcli.cli.loom.keys import explained

    return list(explained())


SECTIONS = (("KEYS", keys),)


@dataclass(frozen=True)
class Weaving(Graph):
    """The tree's file, how it grows, and its forms for other programs."""

    save: Path | None = option(
        None,
        "The file that the tree is kept in: one that is there goes on, with the model that grew it"
        " unless -m names another. It is saved after each growth, text that is typed, and when one"
        " leaves.",
        metavar="FILE",
        brief="Keep the tree in a file, or go on with it.",
    )
    branches: int = option(
        3,
        "How many ways on g grows at once. Default: 3.",
        *("-k", "--branches"),
        metavar="K",
        brief="How many ways on g grows at once.",
        limit=Limit(1, 100),
    )
    markdown: bool = option(
        False, "Print the texts and how they hang together as Markdown.", panel="Output", brief=""
    )


def loom(
    environment: Environment,
    given: Given,
    source: Source,
    weaving: Annotated[Weaving, but(dot="Print the saved tree as a graph for Graphviz.")],
    generation: Annotated[
        Generation,
        but(
            max_new_tokens="Grow by at most N tokens at once; -1 goes on until the model ends, the"
            f" context is full, or Esc. Default: {_STRETCH}.",
            stop={
                "help": "End a growth before this text, which is not part of it. Repeatable.",
                "brief": "",
            },
        ),
    ],
    compute: Anywhere,
    sampling: SamplingWish,
    file: Annotated[Batch, only(output="Write what is printed of a saved tree to a file.")],
    page: Annotated[
        Page, but(html="Write the saved tree as one self-contained page; - is stdout.")
    ],
    output: Annotated[Output, but(json="Print the saved tree as JSON, as it is in its file.")],
) -> None:
    """Explore where a text could go, as a tree in the terminal.

    Enter has the model go on from the text that is selected, b tries another way beside it, g
    several at once; e edits, u takes back. Each text has its own seed and tells the probability of
    its tokens, before any sampling: their mean (geometric) and all of them together; p has the
    model judge what you wrote. Ctrl-C stops the model and keeps what came. What one has chosen is
    printed when one leaves.

    Without a terminal, and with --json, --dot, --markdown or --html, a saved tree is printed.
    """
    messages = output.messages(environment)
    printed = {"--json": output.json, "--dot": weaving.dot, "--markdown": weaving.markdown}
    printed["--html -"] = str(page.html) == "-"
    wanted = [flag for flag, on in printed.items() if on]
    if len(wanted) > 1:
        raise UsageError(wanted[0], f"cannot go to stdout beside {wanted[1]}")
    kept = weaving.save if weaving.save is not None and weaving.save.exists() else None
    to_files = page.html is not None or file.output is not None
    printing = bool(wanted) or to_files or not environment.has_keys
    if printing and kept is None:
        hint = "in a terminal --save FILE makes one"
        raise UsageError("loom", "needs a terminal, or the --save FILE of a tree", hint)
    tale = _tale(environment, source, kept, sampling, messages)
    if printing:
        with answer_in(environment, file.output):
            _print(environment, tale, weaving, page.html, output, messages)
        return
    if weaving.save is not None:
        check_file(weaving.save)
    compute = settled(_going_on(tale, compute, given | settings.said_by_environment(environment)))
    request = Request(
        prompt="",
        sampling=sampling,
        max_new_tokens=generation.new_tokens(_STRETCH),
        stop=generation.stop,
        logprobs=0,
        special=source.special,
    )
    backend = open_for(compute, messages)
    from gptcli.cli.loom.run import weave

    said = settings_of(replace(request, logprobs=None))
    del said["samples"]
    model = lasting(compute.model)
    wish = Wish(
        *(request, model, {"model": model, **said}),
        settled=lambda usage: {"sampling": sampling_json(usage.sampling)},
    )
    with closing(backend):
        weave(environment, tale, weaving.save, wish, weaving.branches, backend, messages)


def _tale(
    environment: Environment,
    source: Source,
    kept: Path | None,
    sampling: SamplingWish,
    messages: Messages,
) -> Tale:
    """The tree of the file, else a new one. Raises UsageError where the file has another prompt."""
    if kept is None:
        prompt = read_prompt(environment, source, messages, example=EXAMPLES[0][1])
        return Tale(prompt, seed_of(sampling))
    found = read_file(kept)
    if source.named:
        prompt = read_prompt(environment, source, messages)
        if prompt != found.nodes[0].text:
            hint = "without one the tree goes on"
            raise UsageError("prompt", f"is not that of {kept}", hint)
    if sampling.seed is not None:
        found.seed = sampling.seed
    return found


def _going_on(tale: Tale, compute: Compute, said: Collection[str]) -> Compute:
    """With the model that grew the tree last, where nobody said otherwise.

    Raises UsageError where that is not on this machine: a file alone has nothing fetched.
    """
    ways = [node.way for _, node in sorted(tale.nodes.items()) if node.way is not None]
    model = ways[-1].settings.get("model") if ways else None
    if "model" in said or compute.base_url is not None or not isinstance(model, str):
        return compute
    if model in ("", compute.model, lasting(compute.model)):
        return compute
    if not _is_here(model):
        reason = f"the tree was grown by {model}, which is not on this machine"
        raise UsageError("--model", reason, "-m names one")
    return replace(compute, model=model)


def _is_here(model: str) -> bool:
    from gptcli.models.acquire import find

    try:
        return model == ECHO or find(model) is not None
    except ModelError:
        # Nothing's name here: a server's, or one that has gone.
        return False


def _print(
    environment: Environment,
    tale: Tale,
    weaving: Weaving,
    html: Path | None,
    output: Output,
    messages: Messages,
) -> None:
    """The tree in the form that is wanted, and the page beside it."""
    from gptcli.ui.views import loom_files

    data = environment.data()
    if output.json:
        data.json(as_json(tale))
    elif weaving.dot or weaving.markdown:
        lines = loom_files.as_dot(tale) if weaving.dot else loom_files.as_markdown(tale)
        data.write("".join(f"{line}\n" for line in lines))
    elif str(html) != "-":
        view.show(tale, environment.stdout)
    if html is None:
        return
    from gptcli.ui.pages import loom as as_page

    found = as_page(tale).encode()
    if str(html) == "-":
        data.write_bytes(found)
    else:
        write(html, found)
        messages.info(f"wrote {html} ({size(len(found))})")
