"""Options that several commands share, with their help and their checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gptcli import config
from gptcli.cli.flags.completers import complete_device, complete_dtype, complete_model
from gptcli.config import Settings
from gptcli.errors import UsageError
from gptcli.types.limits import LIMITS
from gptcli.types.sampling import SamplingWish

_MODEL, _SAMPLING, _OUTPUT = "Model", "Sampling", "Output"


def setting(name: str, flag: str) -> Callable[[Any], Any]:
    """A callback that holds a flag to what its setting may be."""

    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            return config.check(name, value)
        except ValueError as error:
            raise UsageError(flag, str(error)) from None

    return check


def limited(name: str, flag: str) -> Callable[[Any], Any]:
    """A callback that holds a number to `types.LIMITS`."""

    def check(value: Any) -> Any:
        reason = None if value is None else LIMITS[name].reason(value)
        if reason:
            raise UsageError(flag, reason)
        return value

    return check


def one_of(flag: str, known: Sequence[str]) -> Callable[[Any], Any]:
    """A callback that refuses what is none of the known words."""

    def check(value: Any) -> Any:
        if value is not None and value not in known:
            raise UsageError(flag, f"must be one of {', '.join(known)}, not {value!r}")
        return value

    return check


def _no_color(value: bool) -> None:
    if value:
        os.environ["NO_COLOR"] = "1"
        os.environ.pop("FORCE_COLOR", None)


Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        callback=setting("model", "--model"),
        autocompletion=complete_model,
        rich_help_panel=_MODEL,
        show_default=False,
        help="A name (smollm2, gpt2), a directory, a .gguf file, or a Hugging Face org/name."
        f" Default: {config.DEFAULT_MODEL}.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        autocompletion=complete_device,
        callback=setting("device", "--device"),
        rich_help_panel=_MODEL,
        show_default=False,
        help=f"{', '.join(config.DEVICES)} or cuda:N. Default: the fastest there is.",
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="DTYPE",
        autocompletion=complete_dtype,
        callback=setting("dtype", "--dtype"),
        rich_help_panel=_MODEL,
        show_default=False,
        help=f"{', '.join(config.DTYPES)}. Default: the file's own where the device does it well; "
        "on a CPU with kernels, 4- and 8-bit blocks of a .gguf file as they are.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=setting("threads", "--threads"),
        rich_help_panel=_MODEL,
        show_default=False,
        help="CPU threads. Default: the number of cores, or fewer where a container has less time.",
    ),
]
CtxSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=setting("ctx_size", "--ctx-size"),
        rich_help_panel=_MODEL,
        show_default=False,
        help="Use at most this many tokens of context. Default: all that the model has.",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        "--temp",
        metavar="T",
        callback=setting("temperature", "--temperature"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="How boldly to draw: 0 always takes the most probable token. Default: the model's"
        " own, else 0.8.",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        callback=setting("top_k", "--top-k"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Draw from the K most probable tokens only; 0 is off.",
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        callback=setting("top_p", "--top-p"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Draw from the fewest tokens whose probabilities reach P; 1 is off.",
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        callback=setting("min_p", "--min-p"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Draw from tokens at least P times as probable as the best one; 0 is off. Default:"
        " 0.05, unless the model's own settings say how to draw.",
    ),
]
RepeatPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        callback=setting("repeat_penalty", "--repeat-penalty"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Divide the logits of tokens that came before by X; 1 is off.",
    ),
]
PresencePenalty = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        callback=setting("presence_penalty", "--presence-penalty"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Subtract X from the logit of every token generated before; 0 is off.",
    ),
]
FrequencyPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        callback=setting("frequency_penalty", "--frequency-penalty"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Subtract X for each time that a token was generated before; 0 is off.",
    ),
]
LogitBias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOKEN=BIAS",
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="Add BIAS to the logit of a token, named by id or text; -inf forbids it. Repeatable.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=setting("seed", "--seed"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="The same seed draws the same text. Default: another one each time.",
    ),
]
Special = Annotated[
    bool,
    typer.Option(
        "--special",
        rich_help_panel=_MODEL,
        help="Read control tokens such as <|im_end|> in the prompt as tokens, and show those"
        " that the model writes.",
    ),
]
SpecialInText = Annotated[
    bool,
    typer.Option(
        "--special",
        rich_help_panel=_MODEL,
        help="Read control tokens such as <|im_end|> in the text as tokens, not as text.",
    ),
]
PromptArgument = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", show_default=False, help="The text; - reads stdin."),
]
TextArgument = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", show_default=False, help="The text; - reads stdin."),
]
PromptOption = Annotated[
    str | None,
    typer.Option(
        "-p", "--prompt", metavar="TEXT", show_default=False, help="The text, for scripts."
    ),
]
PromptFile = Annotated[
    list[Path] | None,
    typer.Option(
        "-f",
        "--file",
        metavar="FILE",
        show_default=False,
        help="Read the prompt from a file, - is stdin. Repeatable.",
    ),
]
Verbatim = Annotated[
    bool,
    typer.Option("--verbatim", help="Keep the last newline of files and of stdin in the prompt."),
]
Json = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=_OUTPUT, help="Print JSON in OpenAI's shape."),
]
Stats = Annotated[
    bool,
    typer.Option("--stats", rich_help_panel=_OUTPUT, help="Tokens, seconds, memory, on stderr."),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", rich_help_panel=_OUTPUT, help="Nothing on stderr but errors and --stats."
    ),
]
NoColor = Annotated[
    bool,
    typer.Option(
        "--no-color",
        callback=_no_color,
        is_eager=True,
        rich_help_panel=_OUTPUT,
        help="No colours; NO_COLOR does the same.",
    ),
]


def wish(settings: Settings, logit_bias: list[str] | None) -> SamplingWish:
    """What flags, environment and user file together ask of the sampler."""
    return SamplingWish(
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        min_p=settings.min_p,
        repeat_penalty=settings.repeat_penalty,
        presence_penalty=settings.presence_penalty,
        frequency_penalty=settings.frequency_penalty,
        logit_bias=tuple(_bias(text) for text in logit_bias or ()),
    )


def _bias(text: str) -> tuple[str, float]:
    # From the right: a token's text may hold an = itself.
    token, equals, amount = text.rpartition("=")
    try:
        if not (token and equals):
            raise ValueError
        bias = float(amount)
        token.encode()
        # Beyond what float32 logits can take; -inf forbids the token.
        if not (bias == float("-inf") or abs(bias) <= 1e30):
            raise ValueError
    except ValueError:
        raise UsageError("--logit-bias", f"must be TOKEN=NUMBER, not {text!r}") from None
    return token, bias
