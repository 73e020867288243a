"""Commands use a server that runs by themselves, and nobody can tell but by the clock."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gptcli.backends.served import place
from gptcli.cli import opening
from gptcli.types.compute import Compute
from tests.cli.helpers import Done, run
from tests.served import Server

PROMPT = "the cat sat on"
#: Every command that computes something, in the forms that matter; -m comes to it.
COMMANDS = [
    ["complete", "--temp", "0", "-n", "12", PROMPT],
    *(["complete", "--seed", seed, "-n", "12", PROMPT] for seed in ("1", "2", "3")),
    ["complete", "--seed", "4", "-n", "20", "--stop", "e", "--stop", "at", PROMPT],
    ["complete", "--seed", "5", "-n", "9", "--json", "--logprobs", "3", PROMPT],
    ["complete", "--seed", "6", "-n", "9", "--samples", "3", "--json", "--stream", PROMPT],
    ["complete", "--seed", "6", "-n", "9", "--samples", "2", "-0", PROMPT],
    ["complete", "--seed", "7", "-n", "5", "--fail-below", "0.9", PROMPT],
    ["complete", "--seed", "7", "-n", "5", "--heal", "the ca"],
    ["complete", "--seed", "7", "-n", "5", "the cat "],
    ["complete", "--seed", "7", "-n", "600", "--repeat-penalty", "1.3", PROMPT],
    ["complete", "--seed", "7", "-n", "5", "the cat <|end|>"],
    ["complete", "-n", "5", "--logit-bias", "no such token=1", PROMPT],
    ["complete", "-n", "5", "cat " * 2000],
    ["chat", "--seed", "1", "-n", "12", "Hi"],
    ["chat", "--seed", "1", "-n", "12", "--json", "--logprobs", "2", "-s", "Be brief.", "Hi"],
    ["chat", "--show-prompt", "Hi"],
    ["chat", "--seed", "1", "-n", "5", "Hi " * 900],
    ["score", PROMPT],
    ["score", "--json", PROMPT],
    ["score", "--totals", "--context", "the dog", PROMPT],
    ["score", "--totals", "the cat sat on the mat " * 200],
    ["score", "--stride", "10000", PROMPT],
    ["top-k", PROMPT],
    ["top-k", "--stages", "--top-p", "0.9", "--json", PROMPT],
    ["top-k", "--rows", "100000", PROMPT],
    ["top-k", "--compare", "the dog sat on", PROMPT],
    ["top-k", "--lines", "the cat\nthe dog\n"],
    ["top-k", "--steps", "4", "--seed", "1", PROMPT],
    ["choose", PROMPT, "--choice", " the mat", "--choice", " a log"],
    ["choose", "--json", "--calibrate", "N/A", PROMPT, "--choice", " mat", "--choice", " log"],
    ["tree", PROMPT],
    ["tree", "--json", "--depth", "2", PROMPT],
    ["tokens", PROMPT],
    ["tokens", "--json", PROMPT],
    ["tokens", "--decode", "100,200"],
    ["tokens", "--decode", "100000"],
    ["few-shot", "--seed", "1", "--example", "cat", "cats", "--json", "mat"],
    [
        "few-shot",
        "--example",
        "cat",
        "a",
        "--example",
        "dog",
        "b",
        "--label",
        "a",
        "--label",
        "b",
        "mat",
    ],
    ["few-shot", "--example", "cat", "cats", "--show-prompt", "mat"],
    ["explain", "--seed", "1", PROMPT],
    ["explain", "--json", "--seed", "1", PROMPT],
    ["explain", "--shapes", PROMPT],
    ["attention", PROMPT],
    ["attention", "--json", "--layer", "1", PROMPT],
    ["attention", "--layer", "99", PROMPT],
    ["neighbors", "cat"],
    ["neighbors", "--json", "cat"],
    ["lens", PROMPT],
    ["lens", "--json", "--track", " the", PROMPT],
    ["why", "--by", "word", PROMPT],
    ["ablate", "--each", "mlp", PROMPT],
    ["ablate", "--off", "0.1,mlp:1", "-n", "4", "--temp", "0", PROMPT],
    ["patch", "--json", "--at", "head", "--clean", "the cat", "--corrupt", "a cat"],
    ["why", "--json", "--pairs", "--target", " sat", "the cat"],
]
#: Those of which some or all is asked in this process.
HERE = {"--steps"}


@pytest.fixture(scope="module")
def server(chat_model: Path) -> Iterator[Server]:
    found = Server.of(Compute(model=str(chat_model)))
    yield found
    found.close()


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are; names of sockets have to be short."""
    found = Path(tempfile.mkdtemp(prefix="gptcli-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found))
    yield found
    shutil.rmtree(found)


@pytest.fixture
def served(server: Server, chat_model: Path, runtime: Path) -> Iterator[Server]:
    """A server for the model, found by whoever looks."""
    server.open(place.make(Compute(model=str(chat_model))))
    yield server
    server.shut()


@pytest.fixture
def gpt(chat_model: Path) -> Callable[..., Done]:
    def call(command: str, *argv: str, **more: bytes) -> Done:
        return run(command, "-m", str(chat_model), *argv, **more)

    return call


def never(*_args: object, **_more: object) -> None:
    raise AssertionError("the model was opened here")


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: " ".join(argv)[:50])
def test_answers_are_the_same_bytes(argv, served, gpt, monkeypatch):
    """Catches whatever a server loses, adds or says otherwise: text, JSON, hints, errors, codes."""
    here = gpt(argv[0], "--no-server", *argv[1:])
    before = served.asked
    if not HERE & {*argv}:
        monkeypatch.setattr(opening, "open_backend", never)
    there = gpt(*argv)
    assert (there.code, there.out, there.err) == (here.code, here.out, here.err)
    assert "the model was opened here" not in here.err
    assert served.asked > before or HERE & {*argv}
