"""`gptcli neighbors`: which tokens lie near a word."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gptcli.cli.exports import Exports
from gptcli.cli.flags import (
    adapter as adapter_options,
)
from gptcli.cli.flags import (
    common as options,
)
from gptcli.cli.flags import (
    cpu as cpu_options,
)
from gptcli.cli.flags import (
    inside as inside_options,
)
from gptcli.cli.input.prompt import checked
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UsageError
from gptcli.types.neighbors import NeighborsRequest, Term
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import neighbors as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("What lies near a word.", "gptcli neighbors jump"),
    ("Sums of words.", 'gptcli neighbors --from "king - man + woman"'),
    (
        "How far the same word grows apart in two contexts.",
        'gptcli neighbors model --in "a machine learning model" --in "a fashion model"',
    ),
    (
        "A word after layer 2, in its context.",
        'gptcli neighbors model --layer 2 --in "a fashion model"',
    ),
)


def neighbors(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", show_default=False, help="Words.")
    ] = None,
    expression: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SUM",
            show_default=False,
            help='A sum of words instead, spaces around + and -: "king - man + woman".',
        ),
    ] = None,
    contexts: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            metavar="TEXT",
            show_default=False,
            help="The word's vector where it stands in this text (the last time). Given twice, how"
            " far apart the word is in the two, layer by layer. Repeatable.",
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="L",
            show_default=False,
            help="With --in: the neighbours after this layer, -1 for the embedding. Default: the"
            " last for one text, and for more of them no neighbours but distances.",
        ),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(
            "-k",
            "--rows",
            metavar="K",
            callback=options.limited("rows", "--rows"),
            show_default=False,
            help="How many neighbours to show. Default: 10.",
        ),
    ] = 10,
    forms: Annotated[
        bool,
        typer.Option(
            "--forms", help="Show other spellings of the word too: capitals, without its space."
        ),
    ] = False,
    model: options.Model = None,
    adapter: adapter_options.Adapter = None,
    adapter_apart: adapter_options.Apart = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    exact_activations: cpu_options.ExactActivations = None,
    cpu_features: cpu_options.CpuFeatures = None,
    ctx_size: options.CtxSize = None,
    special: options.Special = False,
    json: inside_options.JsonNumbers = False,
    npz: inside_options.Npz = None,
    html: inside_options.Html = None,
    png: inside_options.Png = None,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Show the nearest neighbours of words among the model's tokens.

    Nearness is the cosine between vectors of the input embedding: 1 is the same direction, 0 none
    in common. A word is looked up with a space before it, as it stands within a text; a word of
    several tokens is the mean of their vectors. A pipe gets tab-separated rows.
    """
    settings = settings_of(locals())
    exports = Exports(html, png, npz, json)
    exports.check()
    given = tuple(checked(word, "word") for word in words or ())
    texts = tuple(checked(text, "--in") for text in contexts or ())
    _check(given, expression, texts, layer)
    request = NeighborsRequest(
        words=given,
        terms=terms(checked(expression, "--from")) if expression is not None else (),
        contexts=texts,
        layer=layer,
        rows=rows,
        forms=forms,
        special=special,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    found = open_for(settings, messages).answer(request)
    messages.notices(found.notices)
    if json:
        from gptcli.ui.views import inside_json

        DataWriter(sys.stdout).json(inside_json.neighbors(found))
    elif not exports.to_stdout:
        view.show(sys.stdout, found)
    if exports.any:
        from gptcli.ui import pages
        from gptcli.ui.data import arrays
        from gptcli.ui.views import plots

        exports.write(
            messages,
            html=lambda: pages.neighbors(found),
            png=lambda: plots.neighbors(found),
            npz=lambda: arrays.npz(arrays.neighbors(found)),
        )


def _check(
    words: Sequence[str], expression: str | None, contexts: Sequence[str], layer: int | None
) -> None:
    if expression is not None and (words or contexts):
        other = "words" if words else "--in"
        raise UsageError("--from", f"cannot be combined with {other}")
    if expression is None and not words:
        raise UsageError("word", "is missing", "for example: gptcli neighbors jump")
    if contexts and len(words) != 1:
        raise UsageError("--in", f"looks at one word, not {len(words)}")
    if layer is not None and not contexts:
        raise UsageError("--layer", "needs a context (--in)")


def terms(expression: str) -> tuple[Term, ...]:
    """The words of a sum. Raises UsageError for one that is none."""
    found: list[Term] = []
    for part in f"+ {expression}".split():
        if part in ("+", "-"):
            found.append(Term(1 if part == "+" else -1, ""))
        else:
            # Words without a sign between them are one: `new york`.
            last = found[-1]
            found[-1] = Term(last.sign, f"{last.word} {part}".strip())
    if expression.split()[:1] in (["+"], ["-"]):
        # The sign stands there already.
        del found[0]
    if any(not term.word for term in found):
        hint = 'for example: --from "king - man + woman"'
        raise UsageError("--from", f"must be words with + or - between them: {expression!r}", hint)
    return tuple(found)
