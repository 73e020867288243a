"""gptcli beside its peers: `python -m tests.bench.peers --work DIR --llama-bin DIR`.

Prints a Markdown table of medians and of ratios gptcli / other, and a JSON line last. The weights
come from `python -m tests.bench.weights --work DIR`, or for types of files, which both run as they
are (`--dtypes Q4_K_M,Q6_K`), from `python -m tests.bench.weights.equal_files`. Peers in Python get
environments of their own from PyPI, and what they need is converted, once. Progress goes to
stderr; Ctrl-C and SIGTERM end the rounds, and what was measured is printed.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from tests import environments
from tests.bench.peers import rounds, table
from tests.bench.peers.cases import OURS, MeasureError, Peer
from tests.bench.peers.in_python import PythonPeer
from tests.bench.peers.libraries import LIBRARIES, convert
from tests.bench.peers.llama_cpp import LlamaCpp
from tests.bench.peers.options import arguments, programs
from tests.bench.peers.ours import Gptcli
from tests.bench.peers.plan import Wish, cases, comparisons, too_deep
from tests.bench.peers.targets import has_avx512
from tests.bench.weights import sizes
from tests.bench.weights.places import Places, is_file_type


def in_python(given: argparse.Namespace, places: Places) -> Iterator[Peer]:
    """Those that are wanted, each with its environment and weights; of others it is said why."""
    folder = given.environments or given.work / "environments"
    for library in LIBRARIES:
        if library.name not in given.peers:
            continue
        tell(f"{library.name}: {library.environment.python(folder)}")
        try:
            python = environments.made(library.environment, folder)
            for path in convert(library, places, given.dtypes, python):
                tell(f"{library.name}: {path}")
        except (environments.MakingError, subprocess.CalledProcessError) as error:
            tell(f"{library.name}: {error}")
        else:
            yield PythonPeer(library, python, given.new_tokens)


def installed(peers: Sequence[Peer]) -> dict[str, Peer]:
    """name and version → those that are there; of the others it is said why not."""
    found = {}
    for peer in peers:
        try:
            found[f"{peer.name} {peer.version()}".strip()] = peer
        except MeasureError as error:
            tell(f"{peer.name} is skipped: {error}")
    return found


def tell(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Rounds, then the table."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    given = arguments(__doc__ or "")
    places = Places(given.work / given.model)
    model = places.folder.name
    for dtype in given.dtypes:
        needed = places.gguf(dtype) if is_file_type(dtype) else places.checkpoint
        if not needed.exists():
            sys.exit(f"{needed}: no weights: make them by python -m tests.bench.weights")
    ours = Gptcli(given.work / "gptcli-data", given.new_tokens)
    llama = LlamaCpp(programs(given), given.new_tokens)
    everyone = [llama] if llama.name in given.peers else []
    peers = installed([*everyone, *in_python(given, places)])
    wish = Wish(given.measures, given.dtypes, given.threads, given.depths, given.new_tokens)
    plan = list(comparisons(wish, places, ours, list(peers.values())))
    room = sizes.read(places).context
    for depth in too_deep(wish, room):
        tell(f"decode at {depth} is left out: the context has {room} tokens")
    compared = {comparison.case for comparison in plan}
    for case in cases(wish, room):
        if case not in compared:
            tell(f"{case}: left out, nobody else has it")
    tell(f"{len(plan)} comparisons")
    figures: list[rounds.Figure] = []
    try:
        for dtype in given.dtypes:
            ours.warm(places, dtype)
        left = math.inf if given.minutes is None else 60 * given.minutes
        for figure in rounds.run(plan, given.rounds, left - (time.monotonic() - began)):
            figures.append(figure)
            case = figure.comparison.case
            shown = figure.failure or f"{figure.value:.6g}"
            used = figure.others or 0.0
            busy = f" ({used:.1f} cores busy with others)" if used >= 0.05 else ""
            tell(f"round {figure.round}/{given.rounds}: {case}: {figure.side}: {shown}{busy}")
    except KeyboardInterrupt:
        tell("broken off: what there is follows")
    except MeasureError as error:
        sys.exit(f"{OURS}: {error}")
    rows = list(table.rows(model, rounds.collect(figures), avx512=has_avx512()))
    who = [f"{OURS} {ours.version()}", *peers]
    print(f"{model}, {given.rounds} rounds: {', '.join(who)}\n")
    print(table.markdown([row for row, _ in rows]))
    others = [figure.others for figure in figures if figure.others is not None]
    if others:
        mean = statistics.mean(others)
        print(f"\nOther processes kept {mean:.2f} cores busy, at most {max(others):.2f}.")
    told = {
        "model": model,
        "versions": who,
        "others_cores": others,
        "rows": [row.as_json(each) for row, each in rows],
    }
    print(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    main()
