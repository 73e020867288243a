"""Weights that hold NaN or infinities: code 8 and one line, whatever is asked."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.cli.helpers import run

#: Every command that runs a model, and what it is given after the model.
COMMANDS: dict[str, list[str]] = {
    "complete": ["complete", "-n", "2", "the cat"],
    "complete --temp 0": ["complete", "-n", "2", "--temp", "0", "the cat"],
    "complete --json": ["complete", "-n", "2", "--json", "--logprobs", "2", "the cat"],
    "top-k": ["top-k", "the cat"],
    "top-k --json": ["top-k", "--json", "the cat"],
    "score": ["score", "the cat sat"],
    "score --json": ["score", "--json", "the cat sat"],
    "choose": ["choose", "the cat", "--choice", " sat", "--choice", " log"],
    "ask": ["ask", "--type", "bool", "the cat"],
    "ask a number": ["ask", "--type", "int", "the cat"],
    "complete in a form": ["complete", "-n", "2", "--one-of", "a", "the cat"],
    "tree": ["tree", "the cat"],
    "explain": ["explain", "the cat"],
    "attention": ["attention", "the cat sat"],
    "lens": ["lens", "the cat sat"],
    "lens --parts": ["lens", "--parts", "head", "the cat sat"],
    "attention --weigh": ["attention", "--weigh", "values", "the cat sat"],
    "lens --json": ["lens", "--json", "the cat sat"],
    "activations": ["activations", "--prompts", "-", "-o", f"{tempfile.gettempdir()}/x.npz"],
    "why": ["why", "the cat sat"],
    "attention --json": ["attention", "--json", "the cat sat"],
    "few-shot": ["few-shot", "--example", "a", "b", "-n", "2", "c"],
    "few-shot --label": ["few-shot", "--example", "a", "b", "--label", "b", "--label", "a", "c"],
    "neighbors --in": ["neighbors", " cat", "--in", "the cat sat"],
    "top-k --steps": ["top-k", "--steps", "2", "the cat"],
    "top-k --lines": ["top-k", "--lines", "the cat"],
    "top-k --compare": ["top-k", "--compare", "the log", "the cat"],
    "score --compare-dtype": ["score", "-q", "--compare-dtype", "float32"],
    "bench": ["bench", "--measure", "prefill", "--prompt-tokens", "4", "--rounds", "1"],
}
BAD = {"nan": float("nan"), "inf": float("inf")}


@pytest.fixture(scope="module", params=sorted(BAD))
def damaged(request: pytest.FixtureRequest, base_model: Path, tmp_path_factory) -> Path:
    """The tiny model with one weight in a hundred of its first MLP that is no number."""
    directory = tmp_path_factory.mktemp("damaged") / "m"
    shutil.copytree(base_model, directory)
    path = directory / "model.safetensors"
    tensors = load_file(path)
    name = next(each for each in sorted(tensors) if "mlp" in each)
    tensors[name].view(-1)[::100] = BAD[request.param]
    save_file(tensors, path)
    assert not torch.isfinite(load_file(path)[name]).all(), "the fault itself"
    return directory


#: By torch, whose logits go through the same questions: one of each way to come by them.
TORCH = ["complete", "score", "tree", "attention", "lens", "why", "top-k --lines"]
CASES = [*((what, "kernels") for what in COMMANDS), *((what, "torch") for what in TORCH)]


@pytest.mark.parametrize(("what", "by"), CASES)
def test_weights_that_are_no_numbers(damaged: Path, what: str, by: str) -> None:
    """A table of NaN, a traceback of numpy's, eight warnings, or an answer as if all were well."""
    name, *rest = COMMANDS[what]
    features = [] if by == "kernels" else ["--cpu-features", "none"]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        done = run(name, "-m", str(damaged), *features, *rest, stdin=b"the cat sat on the log")
    lines = done.err.strip().splitlines()
    assert (done.code, len(lines)) == (8, 1), (done.code, done.err, done.out[:200])
    assert lines[0].startswith("gptcli: error: ") and "NaN or infinite" in lines[0], done.err
    assert not said and not done.out
