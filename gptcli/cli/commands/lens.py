"""`gptcli lens`: what the model would say after each layer."""

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
from gptcli.types.lens import LensRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import lens as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Layer by layer, what would come next.", 'gptcli lens "The capital of France is"'),
    (
        "The rank of one token through the layers.",
        'gptcli lens --track " Paris" "The capital of France is"',
    ),
    ("A page to look at in a browser.", 'gptcli lens --html lens.html "The capital of France is"'),
)


def lens(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    track: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            show_default=False,
            help='The rank of this token through the layers, as text: " Paris", with its space.',
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
            help="How many of the likeliest tokens at each place, in --json and on the page."
            " Default: 5.",
        ),
    ] = 5,
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
    """Show what the model would say after each layer.

    The logit lens: the residual stream at every position is read out after every layer as the
    model reads out the last one, through final norm and head. A terminal gets a grid of layers and
    positions with the likeliest token and its probability in percent; a pipe gets a tab-separated
    row for each. "embed" is the embedding, before the first layer.
    """
    settings = settings_of(locals())
    exports = Exports(html, png, npz, json)
    exports.check()
    request = LensRequest(
        prompt=read_prompt(prompt, prompt_option, file or (), verbatim=verbatim),
        rows=rows,
        track=track,
        window=inside_options.window_of(window),
        special=special,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    found = open_for(settings, messages).answer(request)
    messages.notices(found.notices)
    if json:
        from gptcli.ui.views import inside_json

        DataWriter(sys.stdout).json(inside_json.lens(found))
    elif not exports.to_stdout:
        view.show(sys.stdout, found)
    if exports.any:
        from gptcli.ui import pages
        from gptcli.ui.data import arrays
        from gptcli.ui.views import plots

        exports.write(
            messages,
            html=lambda: pages.lens(found),
            png=lambda: plots.lens(found),
            npz=lambda: arrays.npz(arrays.lens(found)),
        )
