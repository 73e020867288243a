"""The command line of the benchmark of peers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.bench.peers.cases import MEASURES, NEW_TOKENS
from tests.bench.peers.libraries import LIBRARIES
from tests.bench.peers.llama_cpp import Programs
from tests.bench.weights.places import GGML_TYPES

PEERS = ("llama.cpp", *(library.name for library in LIBRARIES))
#: llama.cpp's table; what is given beside --quick outweighs it.
QUICK = {
    "peers": ["llama.cpp"],
    "measures": ["prefill", "decode", "start"],
    "threads": [2],
    "new_tokens": 64,
    "rounds": 3,
    "minutes": 5.0,
}


def words(text: str) -> list[str]:
    """A list with commas."""
    return [word for word in text.split(",") if word]


def numbers(text: str) -> list[int]:
    """A list of numbers with commas."""
    return [int(word) for word in words(text)]


def arguments(description: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """What was given, and what stands where nothing was. Exits with 2 for what is unknown."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.peers",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="the folder of the weights")
    add("--model", default="smollm2", help="smollm2, gpt2-124m, llama-1b, or a folder as theirs")
    add("--quick", action="store_true", help="llama.cpp's table, in five minutes on two cores")
    add("--peers", type=words, default=list(PEERS), metavar=",".join(PEERS))
    add("--measures", type=words, default=list(MEASURES), metavar=",".join(MEASURES))
    add("--dtypes", type=words, default=list(GGML_TYPES), metavar=",".join((*GGML_TYPES, "Q4_K_M")))
    add("--threads", type=numbers, default=[1, 2], metavar="1,2")
    add("--depths", type=numbers, default=[16, 1000], metavar="16,1000")
    add("--new-tokens", type=int, default=NEW_TOKENS, help="where decoding is timed")
    add("--rounds", type=int, default=5)
    add("--minutes", type=float, metavar="N", help="nothing begins that would end later")
    add("--environments", type=Path, metavar="DIR", help="of Python peers, else in --work")
    add("--llama-bin", type=Path, metavar="DIR", help="where all of llama.cpp's programs are")
    add("--llama-bench", type=Path, metavar="FILE")
    add("--llama-bench-avx2", type=Path, metavar="FILE", help="of a build without AVX-512")
    add("--llama-batched-bench", type=Path, metavar="FILE")
    add("--llama-completion", type=Path, metavar="FILE")
    add("--llama-server", type=Path, metavar="FILE")
    if parser.parse_known_args(argv)[0].quick:
        parser.set_defaults(**QUICK)
    given = parser.parse_args(argv)
    for name, known in (("peers", PEERS), ("measures", MEASURES)):
        unknown = [word for word in getattr(given, name) if word not in known]
        if unknown:
            parser.error(f"--{name}: {', '.join(unknown)}: not one of {', '.join(known)}")
    return given


def programs(given: argparse.Namespace) -> Programs:
    """llama.cpp's programs: each that was named, and what its folder has of the others."""

    def find(name: str) -> Path | None:
        said: Path | None = getattr(given, name)
        if said is None and given.llama_bin is not None:
            here: Path = given.llama_bin / name.replace("_", "-")
            return here if here.is_file() else None
        return said

    return Programs(
        find("llama_bench"),
        find("llama_completion"),
        find("llama_batched_bench"),
        find("llama_bench_avx2"),
        find("llama_server"),
    )
