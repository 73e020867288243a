"""Perplexity and divergence at equal file: `python -m tests.bench.quality --work DIR --text FILE`.

DIR/MODEL/TYPE.gguf come from `python -m tests.bench.weights.equal_files`, F32.gguf among them.
gptcli runs the very tokens of llama-perplexity, chunk by chunk, and scores the same places.
Divergences are from float32: gptcli's from its own, exactly; beside llama.cpp's, from llama.cpp's
as that is kept, in 16 bits without what is less probable than e^-16.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from gptcli import models
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.compute import Compute
from tests.bench.quality import base, figures, llama_perplexity
from tests.bench.quality.figures import Figures
from tests.tasks import ended

_HEAD = (
    *("type", "bytes", "perplexity", "llama.cpp", "ratio", "of float32", "KL", "top-1"),
    *("KL from llama.cpp's", "llama.cpp", "top-1", "llama.cpp"),
)


def main() -> None:
    """A row for each type, a JSON line last."""
    given = arguments()
    folder: Path = given.work / given.model
    digest = hashlib.sha256(given.text.read_bytes()).hexdigest()[:8]
    kept = folder / f"base-{digest}-{given.context}.kld"
    llama_perplexity.keep(
        *(given.llama_perplexity, folder / "F32.gguf", given.text, kept),
        *(given.context, given.threads),
    )
    right = base.read(kept)
    exact = opened(folder / "F32.gguf", given, dtype="float32")
    begin = exact.tokenizer.prefix[:1]
    told = [*begin, *exact.tokenizer.encode(given.text.read_text(encoding="utf-8"))]
    if told[: right.chunks.size] != right.chunks.ravel().tolist():
        print("the tokens are llama.cpp's, gptcli cuts the text otherwise", file=sys.stderr)
    print(f"{given.model}, {right.chunks.size} tokens, context {right.context}\n")
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    rows = []
    for kind in given.types.split(","):
        file = folder / f"{kind}.gguf"
        theirs = llama_perplexity.figures(
            given.llama_perplexity, file, kept, given.context, given.threads
        )
        model = opened(file, given, **settings(given.set))
        found = figures.compared(model.runner, exact.runner, right, tuple(begin))
        ours, beside, exactly = found
        model.close()
        print(line(kind, file.stat().st_size, (*found, theirs)), flush=True)
        rows.append(
            {"type": kind, "bytes": file.stat().st_size}
            | {"gptcli": asdict(ours), "beside": asdict(beside), "llama.cpp": asdict(theirs)}
            | {"float32": exactly.perplexity}
        )
    print(f"\n{json.dumps({'model': given.model, 'rows': rows})}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--work", type=Path, required=True, metavar="DIR", help="the folder of the models' folders")
    add("--model", default="smollm2", help="a folder with F32.gguf and the types")
    add("--types", default="Q8_0,Q6_K,Q4_K_M,Q4_0", metavar="Q8_0,Q6_K,…")
    add("--text", type=Path, required=True, metavar="FILE")
    add("--context", type=int, default=512)
    add("--threads", type=int, default=2)
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="of gptcli's settings")
    add("--llama-perplexity", type=Path, required=True, metavar="FILE")
    return parser.parse_args()


def settings(words: list[str]) -> dict[str, str | bool]:
    """NAME=VALUE as fields of Compute."""
    pairs = [word.split("=", 1) for word in words]
    return {name: value == "true" if value in ("true", "false") else value for name, value in pairs}


def opened(file: Path, given: argparse.Namespace, **flags: str | bool) -> OpenModel:
    """A file as gptcli runs it."""
    model = ended(models.obtain(str(file)))
    return OpenModel(model, Compute(threads=given.threads, **flags))  # type: ignore[arg-type]


def line(kind: str, size: int, found: tuple[Figures, Figures, Figures, Figures]) -> str:
    """A row of the table: ours, ours beside llama.cpp's, float32's, llama.cpp's."""
    ours, beside, exact, theirs = found
    cells = (
        *(kind, f"{size:,}", f"{ours.perplexity:.4f}", f"{theirs.perplexity:.4f}"),
        *(f"{ours.perplexity / theirs.perplexity:.5f}", f"{exact.perplexity:.4f}"),
        *(f"{ours.divergence:.6f}", f"{ours.agreement:.2%}"),
        *(f"{beside.divergence:.6f}", f"{theirs.divergence:.6f}"),
        *(f"{beside.agreement:.2%}", f"{theirs.agreement:.2%}"),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
