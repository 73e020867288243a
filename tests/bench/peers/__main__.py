"""gptcli beside its peers: `python -m tests.bench.peers --work DIR --llama-bench FILE`.

Prints a Markdown table of medians and of ratios gptcli / other, and a JSON line last. The weights
come from `python -m tests.bench.weights --work DIR`, or for types of files, which both run as they
are (`--dtypes Q4_K_M,Q6_K`), from `python -m tests.bench.weights.equal_files`. Progress goes to
stderr; Ctrl-C and SIGTERM end the rounds, and what was measured is printed.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.peers import rounds, table
from tests.bench.peers.cases import MEASURES, NEW_TOKENS, OURS, MeasureError, Peer
from tests.bench.peers.in_python import LIBRARIES, PythonPeer
from tests.bench.peers.llama_cpp import LlamaCpp, Programs
from tests.bench.peers.ours import Gptcli
from tests.bench.peers.plan import Wish, cases, comparisons, too_deep
from tests.bench.weights import sizes
from tests.bench.weights.places import GGML_TYPES, Places, is_file_type

_PEERS = ("llama.cpp", *(library.name for library in LIBRARIES))


def words(text: str) -> list[str]:
    """A list with commas."""
    return [word for word in text.split(",") if word]


def numbers(text: str) -> list[int]:
    """A list of numbers with commas."""
    return [int(word) for word in words(text)]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="the folder of the weights")
    add("--model", default="smollm2", help="smollm2, gpt2-124m, llama-1b, or a folder as theirs")
    add("--peers", type=words, default=list(_PEERS), metavar=",".join(_PEERS))
    add("--measures", type=words, default=list(MEASURES), metavar=",".join(MEASURES))
    add("--dtypes", type=words, default=list(GGML_TYPES), metavar=",".join((*GGML_TYPES, "Q4_K_M")))
    add("--threads", type=numbers, default=[1, 2], metavar="1,2")
    add("--depths", type=numbers, default=[16, 1000], metavar="16,1000")
    add("--new-tokens", type=int, default=NEW_TOKENS, help="where decoding is timed")
    add("--rounds", type=int, default=5)
    add("--llama-bench", type=Path, metavar="FILE")
    add("--llama-bench-avx2", type=Path, metavar="FILE", help="of a build without AVX-512")
    add("--llama-batched-bench", type=Path, metavar="FILE")
    add("--llama-completion", type=Path, metavar="FILE")
    add("--llama-server", type=Path, metavar="FILE")
    add("--peer-python", type=Path, default=Path(sys.executable), metavar="FILE")
    given = parser.parse_args()
    for name, known in (("peers", _PEERS), ("measures", MEASURES)):
        unknown = [word for word in getattr(given, name) if word not in known]
        if unknown:
            parser.error(f"--{name}: {', '.join(unknown)}: not one of {', '.join(known)}")
    return given


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
    given = arguments()
    places = Places(given.work / given.model)
    model = places.folder.name
    for dtype in given.dtypes:
        needed = places.gguf(dtype) if is_file_type(dtype) else places.checkpoint
        if not needed.exists():
            sys.exit(f"{needed}: no weights: make them by python -m tests.bench.weights")
    ours = Gptcli(given.work / "gptcli-data", given.new_tokens)
    programs = Programs(
        given.llama_bench,
        given.llama_completion,
        given.llama_batched_bench,
        given.llama_bench_avx2,
        given.llama_server,
    )
    everyone: list[Peer] = [LlamaCpp(programs, given.new_tokens)]
    everyone += [PythonPeer(each, given.peer_python, given.new_tokens) for each in LIBRARIES]
    peers = installed([peer for peer in everyone if peer.name in given.peers])
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
        for figure in rounds.run(plan, given.rounds):
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
    rows = [(row, each) for each in rounds.collect(figures) for row in table.rows(model, each)]
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
