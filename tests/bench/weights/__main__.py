"""Makes the weights that are measured: `python -m tests.bench.weights --work DIR`.

What is there already stays. Peers' own formats are made by those that are measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.weights import checkpoints, gguf_files
from tests.bench.weights.places import GGML_TYPES, Places


def main() -> None:
    """A folder for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    usual = [name for name, recipe in checkpoints.RECIPES.items() if not recipe.large]
    parser.add_argument("--models", default=",".join(usual), metavar=",".join(checkpoints.RECIPES))
    parser.add_argument("--dtypes", default=",".join(GGML_TYPES))
    parser.add_argument("--gpt2-tokenizer", type=Path, metavar="DIR", help="vocab.json, merges.txt")
    parser.add_argument("--llama-quantize", type=Path, metavar="FILE")
    given = parser.parse_args()
    for model in given.models.split(","):
        places = Places(given.work / model)
        places.folder.mkdir(parents=True, exist_ok=True)
        _checkpoint(places, checkpoints.RECIPES[model], given.gpt2_tokenizer)
        for dtype in given.dtypes.split(","):
            _gguf(places, dtype, checkpoints.RECIPES[model].pre, given.llama_quantize)


def _checkpoint(places: Places, recipe: checkpoints.Recipe, tokenizer: Path | None) -> None:
    if not places.checkpoint.exists():
        if recipe.config is None:
            checkpoints.default_model(places.checkpoint)
        elif tokenizer is None:
            sys.exit("random weights need --gpt2-tokenizer")
        else:
            checkpoints.random_model(places.checkpoint, recipe.config(), tokenizer)
    _say(places.checkpoint)


def _gguf(places: Places, dtype: str, pre: str, llama_quantize: Path | None) -> None:
    path = places.gguf(dtype)
    if not path.exists():
        if dtype in ("float32", "bfloat16"):
            gguf_files.write(places, dtype, pre)
        elif llama_quantize is None:
            print(f"{path}: needs --llama-quantize", file=sys.stderr)
            return
        else:
            if not places.gguf("bfloat16").exists():
                gguf_files.write(places, "bfloat16", pre)
            gguf_files.quantise(places, dtype, llama_quantize)
    _say(path)


def _say(path: Path) -> None:
    print(path, flush=True)


if __name__ == "__main__":
    main()
