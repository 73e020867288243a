"""`gptcli bench`: how fast a model is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Bare
from gptcli.cli.opening import open_for
from gptcli.config import MOST, Limit, option
from gptcli.config.check import one_of
from gptcli.evaluation.bench_process import processes
from gptcli.types.bench import BATCH_NEW, BATCH_PROMPT, MEASURES, Benchmark, BenchRequest
from gptcli.ui.terminal.progress import watch_steps
from gptcli.ui.views import bench as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("How fast the default model is here.", "gptcli bench"),
    ("With weights of four bits, on one thread.", "gptcli bench --dtype int4 --threads 1"),
    (
        "How decoding slows down as the text grows.",
        "gptcli bench --measure decode --depth 16,500,1000,4000,8000",
    ),
    ("One figure, for a script.", "gptcli bench --measure start --json | jq .first_token_seconds"),
)

_TOKENS = Limit(1, MOST)


def _measures(text: str) -> tuple[str, ...]:
    """Those that are named, in their own order."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        one_of(MEASURES, name)
    return tuple(name for name in MEASURES if name in names)


def _depths(text: str) -> tuple[int, ...]:
    """Numbers with commas between them, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise ValueError(f"must be whole numbers with commas between them, not {text!r}")
    found = tuple(dict.fromkeys(map(int, parts)))
    wrong = next(filter(None, map(_TOKENS.reason, found)), None)
    if wrong:
        raise ValueError(wrong)
    return found


@dataclass(frozen=True)
class Measuring:
    """What is measured, at which sizes, and how often."""

    measure: tuple[str, ...] = option(
        MEASURES,
        f"Only these: {', '.join(MEASURES)}. Default: all.",
        metavar="NAME,NAME,…",
        brief="Only these of what can be measured.",
        parse=_measures,
        joined=True,
    )
    prompt_tokens: int = option(
        512,
        "Tokens of the prompt of prefill. Default: 512.",
        metavar="N",
        brief="Tokens of the prompt of prefill.",
        limit=_TOKENS,
    )
    depth: tuple[int, ...] | None = option(
        None,
        "How many tokens stand before those that are decoded. Default: 16,1000, where the context"
        " has room for it.",
        metavar="N,N,…",
        brief="How many tokens stand before the decoded ones.",
        parse=_depths,
        joined=True,
    )
    new_tokens: int = option(
        128,
        "How many tokens are decoded at each depth. Default: 128.",
        *("-n", "--max-new-tokens", "--n-predict", "--max-tokens"),
        metavar="N",
        brief="How many tokens are decoded.",
        limit=_TOKENS,
    )
    batch: int = option(
        16,
        f"Prompts at once, of {BATCH_PROMPT} tokens each, with {BATCH_NEW} new ones. Default: 16.",
        metavar="N",
        brief="Prompts at once.",
        limit=Limit(1, 4096),
    )
    rounds: int = option(
        3,
        "How often all is measured, after a round that does not count. Default: 3.",
        metavar="N",
        brief="How often all is measured.",
        limit=Limit(1, 1000),
    )

    def request(self) -> BenchRequest:
        """What is to be measured."""
        return BenchRequest(
            measures=self.measure,
            depths=self.depth,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            batch=self.batch,
            rounds=self.rounds,
        )


def bench(
    environment: Environment,
    compute: Bare,
    measuring: Measuring,
    output: Annotated[
        Output,
        but(
            json="One JSON object: medians such as decode_tokens_per_second, decode by depth,"
            " and spread, the least and the most."
        ),
    ],
) -> None:
    """Measure how fast a model is on this machine.

    Tokens are generated greedily after random ones, by the very steps that complete a text.
    prefill: tokens of a prompt per second of a call that draws one new token; decode: new tokens
    per second after a context of each depth; batch: new tokens of all texts together per second of
    the whole call; start, memory: a process that completes one token of a short prompt, from its
    start to its end. Each figure is the median of the rounds, beside the least and the most.

    The share tells how much of the read bandwidth decoding needs: what a token has to read, the
    weights and the keys and values before it, against what as many threads read in the same
    rounds.
    """
    request = measuring.request()
    messages = output.messages(environment)
    # The model is let go of before the processes begin, which open it for themselves.
    speeds = watch_steps(open_for(compute, messages).answer(request), messages)
    found = Benchmark(request, speeds, watch_steps(processes(compute, request), messages))
    if output.json:
        environment.data().json(view.as_json(found))
    else:
        view.show(found, environment.stdout)
