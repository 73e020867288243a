"""What the CPU kernels are asked for, by flag, environment and file, and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.cpu.helpers import SETS, needs_kernels

#: Every command that runs on the kernels and tells its precision, as JSON.
COMMANDS = {
    "complete": ("complete", "--json", "-n", "2", "--seed", "1", "the cat"),
    "chat": ("chat", "--json", "-n", "2", "--seed", "1", "the cat"),
    "few-shot": ("few-shot", "--json", "--evaluate", "ROWS", "-n", "2", "--example", "a", "b"),
    "top-k": ("top-k", "--json", "the cat"),
    "choose": ("choose", "--json", "the cat", "--choice", " sat", "--choice", " ran"),
    "score": ("score", "--json", "the cat sat"),
    "why": ("why", "--json", "the cat"),
    "ablate": ("ablate", "--json", "the cat"),
    "tree": ("tree", "--json", "--depth", "1", "the cat"),
}


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model at a place of its own."""
    directory = tmp_path_factory.mktemp("model") / "tiny"
    shutil.copytree(tiny_model, directory)
    return directory


def argv_of(model: Path, name: str, *flags: str) -> list[str]:
    """A command of COMMANDS on this model, with further flags."""
    command, *rest = COMMANDS[name]
    rows = model.parent / "rows.jsonl"
    rows.write_text('{"input": "c", "output": "d"}\n')
    rest = [str(rows) if each == "ROWS" else each for each in rest]
    return [command, "-m", str(model), *flags, *rest]


def said(model: Path, name: str, *flags: str) -> dict:
    """The object in which a command tells what it computed with."""
    done = run(*argv_of(model, name, *flags))
    assert done.code == 0, done.err
    found = json.loads(done.text.splitlines()[-1])
    return found["usage"] if name == "few-shot" else found


@needs_kernels
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_flags_and_tells_its_precision(model, name):
    """Catches a command that takes a flag and drops it, or numbers of an unknown precision."""
    plain = said(model, name, "--dtype", "float32")
    assert plain["dtype"] == "float32" and "activations" not in plain
    rounded = said(model, name, "--dtype", "int8")
    assert (rounded["dtype"], rounded["activations"]) == ("int8", "int16")
    for met in ("int8", "float32"):
        found = said(model, name, "--dtype", "int8", "--activations", met)
        assert (found["dtype"], found["activations"]) == ("int8", met)
    refused = run(*argv_of(model, name, "--dtype", "int8", "--cpu-features", "none"))
    assert_one_line(refused, 2, "--dtype", "int8 needs the CPU kernels: --cpu-features none")


@needs_kernels
@pytest.mark.parametrize(
    ("argv", "terminal_says"),
    [
        (("top-k", "the cat"), "tiny, int4 with int16 activations on cpu"),
        (("top-k", "--lines", "-p", "the cat\nthe dog"), "tiny, int4 with int16 activations"),
        (("top-k", "--steps", "1", "the cat"), "tiny, int4 with int16 activations on cpu"),
        (("top-k", "--compare", "a", "the cat"), "tiny, int4 with int16 activations on cpu"),
        (("score", "the cat"), "tiny (int4 with int16 activations on cpu)"),
        (("score", "the cat", "--diff", "the dog"), "tiny (int4 with int16 activations on cpu)"),
        (
            ("choose", "the cat", "--choice", " sat", "--choice", " ran"),
            "tiny, int4 with int16 activations on cpu",
        ),
        (("tree", "the cat"), "tiny, int4 with int16 activations on cpu"),
        (("tree", "--dot", "the cat"), 'tiny, int4 with int16 activations on cpu";'),
        (("complete", "--stats", "-n", "1", "a"), "tiny (int4 with int16 activations on cpu)"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else "",
)
def test_a_terminal_is_told_the_precision(model, argv, terminal_says, monkeypatch):
    """Catches numbers on a screen of which nobody knows how exact they are."""
    monkeypatch.setenv("COLUMNS", "200")
    done = run(argv[0], "-m", str(model), "--dtype", "int4", *argv[1:], terminal=True)
    shown = " ".join((done.text + done.err).split())
    assert terminal_says in shown.replace(str(model), "tiny")


@needs_kernels
def test_a_flag_outweighs_the_environment_which_outweighs_the_file(model, own_home, monkeypatch):
    """Catches a setting that is read in another order than all others are."""
    flags = ("--dtype", "int8")
    file = own_home / "config" / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('exact-activations = true\ncpu-features = "none"\n')
    assert_one_line(run("score", "-m", str(model), *flags, "the cat"), 2, "--cpu-features none")
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "auto")
    assert said(model, "score", *flags)["activations"] == "float32"
    monkeypatch.setenv("GPTCLI_EXACT_ACTIVATIONS", "no")
    assert said(model, "score", *flags)["activations"] == "int8"
    assert said(model, "score", *flags, "--exact-activations")["activations"] == "float32"
    monkeypatch.setenv("GPTCLI_EXACT_ACTIVATIONS", "1")
    found = said(model, "score", *flags, "--no-exact-activations")
    assert found["activations"] == "int8"
    # The older names are of the same setting.
    monkeypatch.setenv("GPTCLI_ACTIVATIONS", "int16")
    assert said(model, "score", *flags)["activations"] == "int16"
    assert said(model, "score", *flags, "--exact-activations")["activations"] == "float32"
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    assert said(model, "score", *flags, "--cpu-features", SETS[-1])["dtype"] == "int8"


def test_words_that_mean_nothing_are_refused(own_home, monkeypatch):
    """Catches a wish that is taken for its default in silence."""
    assert_one_line(run("complete", "-m", "echo", "--cpu-features", "sse", "a"), 2,
                    "--cpu-features: must be one of auto, avx512bf16", "not 'sse'")  # fmt: skip
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "sse")
    assert_one_line(run("complete", "-m", "echo", "a"), 2, "GPTCLI_CPU_FEATURES", "not 'sse'")
    monkeypatch.delenv("GPTCLI_CPU_FEATURES")
    monkeypatch.setenv("GPTCLI_EXACT_ACTIVATIONS", "maybe")
    assert_one_line(run("complete", "-m", "echo", "a"), 2, "must be true or false, not 'maybe'")
    monkeypatch.delenv("GPTCLI_EXACT_ACTIVATIONS")
    file = own_home / "config" / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("exact-activations = 1\n")
    assert_one_line(run("complete", "-m", "echo", "a"), 2, "must be true or false, not 1")


@needs_kernels
def test_instructions_that_are_not_there_are_an_error(model):
    """Catches going through torch, or through other instructions, in silence."""
    missing = next(n for n in ("neon", "avxvnni", "avx512bf16", "avx512") if n not in SETS)
    done = run("score", "-m", str(model), "--cpu-features", missing, "the cat")
    assert_one_line(done, 2, f"--cpu-features: {missing} cannot be used", f"has no {missing}")


@needs_kernels
def test_exact_activations_change_nothing_where_none_are_rounded(model):
    """Catches a flag that makes float32 an error, or another thing."""
    plain = said(model, "score", "--dtype", "float32")
    assert said(model, "score", "--dtype", "float32", "--exact-activations") == plain


@needs_kernels
def test_version_tells_the_instructions_that_are_set(monkeypatch):
    """Catches a line about the CPU that is not about how commands would run."""
    assert f"kernels for {SETS[0]}," in run("--version", "--verbose").text
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "portable")
    assert "kernels for portable," in run("--version", "--verbose").text
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    assert "torch, since there are no kernels: --cpu-features none" in run(
        "--version", "--verbose"
    ).text  # fmt: skip


@needs_kernels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "int4"])
def test_a_seed_draws_the_same_text_at_any_number_of_threads(model, dtype):
    """Catches a text that depends on how many cores a machine has."""
    flags = ("-m", str(model), "--dtype", dtype, "--seed", "3", "--temp", "1.5", "-n", "20")
    prompt = "the cat sat on the mat and the dog"
    texts = {run("complete", *flags, "--threads", str(n), prompt).out for n in (1, 2, 3)}
    assert len(texts) == 1 and texts != {b""}
