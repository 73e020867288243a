"""Options of the CPU kernels, for the commands that run on them."""

from __future__ import annotations

from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.flags import common as options
from gptcli.cli.flags.completers import complete_cpu_features

ExactActivations = Annotated[
    bool | None,
    typer.Option(
        "--exact-activations/--no-exact-activations",
        rich_help_panel="Model",
        show_default=False,
        help="On the CPU kernels, let weights meet activations in float32. By default those of 8"
        " and 4 bits meet them rounded to 8 bits, which is faster, and on some processors those of"
        " bfloat16 meet them in bfloat16. float32 is exact anyway.",
    ),
]
CpuFeatures = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=complete_cpu_features,
        callback=options.setting("cpu_features", "--cpu-features"),
        rich_help_panel="Model",
        show_default=False,
        help=f"Instructions of the CPU kernels: {', '.join(config.CPU_FEATURES)}. none leaves all"
        " to torch. Default: the best that the processor has.",
    ),
]
