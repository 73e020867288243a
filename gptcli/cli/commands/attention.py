"""`gptcli attention`: who looks at whom."""

from __future__ import annotations

import sys
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
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import InputError, UsageError
from gptcli.types.attention import Attention, AttentionRequest, Over
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import attention as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("All heads of all layers, small.", 'gptcli attention "The cat sat on the mat"'),
    ("One head in full.", 'gptcli attention --layer 3 --head 5 "The cat sat on the mat"'),
    (
        "Where one token looks, the mean over a layer's heads.",
        'gptcli attention --layer 3 --mean --token " mat" "The cat sat on the mat"',
    ),
    ("A page on which to go through all heads.", 'gptcli attention --html a.html "I am what I am"'),
)


def attention(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="L", show_default=False, help="Only this layer, from 0. Default: all of them."
        ),
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(
            metavar="H", show_default=False, help="Only this head, from 0. Default: all of them."
        ),
    ] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="One map: the mean over the heads (and layers) chosen.")
    ] = False,
    largest: Annotated[
        bool, typer.Option("--max", help="One map: the largest over the heads (and layers) chosen.")
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            show_default=False,
            help="Only where this token looks, as bars: its text (the last one of several), or its"
            " position, below 0 from the end.",
        ),
    ] = None,
    window: inside_options.WindowOption = None,
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
    """Show which tokens attention looks at.

    Each row of a map is a token that looks, each column one that is looked at; a row shares 100 %
    out. One head is shown in full, several as small maps, a line for each layer; --mean and --max
    make one map of them. A pipe gets a tab-separated row for each weight that is not 0.
    """
    settings = settings_of(locals())
    exports = Exports(html, png, npz, json)
    exports.check()
    if mean and largest:
        raise UsageError("--max", "cannot be combined with --mean")
    over: Over | None = "mean" if mean else "max" if largest else None
    if token is not None and over is None and (layer is None or head is None):
        over = "mean"
    request = AttentionRequest(
        prompt=read_prompt(prompt, prompt_option, file or (), verbatim=verbatim),
        layer=layer,
        head=head,
        over=over,
        window=inside_options.window_of(window),
        special=special,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    found = open_for(settings, messages).answer(request)
    place = None if token is None else _place(found, token)
    messages.notices(found.notices)
    if json:
        from gptcli.ui.views import inside_json

        DataWriter(sys.stdout).json(inside_json.attention(found))
    elif not exports.to_stdout:
        view.show(sys.stdout, found, token=place)
    if exports.any:
        from gptcli.ui import pages
        from gptcli.ui.data import arrays
        from gptcli.ui.views import plots

        exports.write(
            messages,
            html=lambda: pages.attention(found),
            png=lambda: plots.attention(found, place),
            npz=lambda: arrays.npz(arrays.attention(found)),
        )


def _place(found: Attention, token: str) -> int:
    """Where in the window a token stands. Raises InputError where it does not."""
    count = len(found.tokens)
    if token.removeprefix("-").isdecimal() and len(token) < 10:
        position = int(token)
        place = position + count if position < 0 else position - found.first
        if 0 <= place < count:
            return place
        last = found.first + count - 1
        raise InputError("--token", f"position {token} is not among {found.first} to {last}")
    texts = [each.text for each in found.tokens]
    bare = [text.strip() for text in texts]
    for wanted, among in ((token, texts), (token.strip(), bare)):
        if wanted in among:
            return count - 1 - among[::-1].index(wanted)
    hint = "gptcli tokens shows how the prompt is cut"
    raise InputError("--token", f"{token!r} is no token among those looked at", hint)
