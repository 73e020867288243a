"""`gptcli bench`, on a tiny model: what it prints, refuses and starts. Speeds are not looked at."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptcli import children
from gptcli.backends.local import stopwatch
from gptcli.errors import ResourceError
from gptcli.evaluation import bench_process
from gptcli.types.bench import (
    MEASURES,
    Benchmark,
    BenchRequest,
    DecodeSpeed,
    Processes,
    Rounds,
    Speeds,
)
from gptcli.types.compute import Compute
from gptcli.types.token import Source
from gptcli.ui.views import bench as view
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.cli.test_without_torch import HEAVY, SCRIPT
from tests.conftest import with_context
from tests.engine.cpu.helpers import needs_kernels
from tests.faults.processes import GPTCLI, wait_for
from tests.ui.screens import assert_unbroken, seen, written

ROOT = Path(__file__).parents[3]
QUICK = ("--rounds", "1", "--prompt-tokens", "20", "--depth", "5,20", "-n", "3", "--batch", "2")
FIGURES = {
    "prefill": {"prefill_tokens_per_second"},
    "decode": {
        "decode_tokens_per_second",
        "read_bandwidth_bytes_per_second",
        "read_bandwidth_share",
    },
    "batch": {"batch_tokens_per_second"},
    "start": {"first_token_seconds"},
    "memory": {"peak_rss_bytes"},
}
EVERY = set().union(*FIGURES.values())


@pytest.fixture
def roomy(tiny_model: Path, tmp_path: Path, monkeypatch) -> Path:
    """The tiny model with room for a batch, and little memory read for the bandwidth."""
    monkeypatch.setattr(stopwatch, "READ", 1 << 16)
    return with_context(tiny_model, tmp_path / "roomy", 100, None)


@pytest.fixture
def bench(roomy: Path):
    """`bench` on it, a moment of each measure."""
    return lambda *argv, **more: run("bench", "-m", str(roomy), *QUICK, *argv, **more)


def test_json_has_every_figure(bench, roomy):
    """Catches a field that peers' benchmarks read and that is not there, or has no number."""
    done = bench("--json", "--dtype", "float32", "--threads", "1")
    assert (done.code, done.err, done.text.count("\n")) == (0, "", 1)
    found = json.loads(done.text)
    assert all(found[name] > 0 for name in EVERY)
    told = ("model", "dtype", "device", "threads", "rounds", "prompt_tokens", "new_tokens", "batch")
    assert [found[name] for name in told] == [str(roomy), "float32", "cpu", 1, 1, 20, 3, 2]
    assert [each["depth"] for each in found["decode"]] == [5, 20]
    first = found["decode"][0]
    assert first["tokens_per_second"] == found["decode_tokens_per_second"]
    assert first["read_bandwidth_share"] == found["read_bandwidth_share"]
    took = first["read_bytes_per_token"] * first["tokens_per_second"]
    share = took / found["read_bandwidth_bytes_per_second"]
    assert first["read_bandwidth_share"] == pytest.approx(share, rel=1e-3)
    for name, (least, most) in found["spread"].items():
        assert least <= found[name] <= most
    assert set(found["spread"]) == EVERY - {"read_bandwidth_share"}
    # A Python with numpy or torch; what this process holds is more.
    assert 20e6 < found["peak_rss_bytes"] < 2e9


@pytest.mark.parametrize(
    ("measures", "dtype", "features"),
    [
        ("prefill", "float32", "auto"),
        ("batch", "float32", "auto"),
        ("batch,prefill", "float32", "auto"),
        *(("decode", dtype, "auto") for dtype in ("float32", "bfloat16")),
        *(("decode", dtype, "none") for dtype in ("float32", "bfloat16")),
    ],
)
def test_each_measure_alone(bench, measures, dtype, features, monkeypatch):
    """Catches a measure that cannot be had alone, or that brings others with it."""
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", features)
    found = json.loads(bench("--json", "--measure", measures, "--dtype", dtype).text)
    wanted = set().union(*(FIGURES[name] for name in measures.split(",")))
    assert {name for name in EVERY if found[name] is not None} == wanted
    assert len(found["decode"]) == (2 if measures == "decode" else 0)
    assert found["dtype"] == dtype
    if features == "none":
        assert found["kernels"] is None and found["threads"] > 0


@needs_kernels
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_quantised_weights(bench, dtype):
    """Catches a dtype that only kernels have and that bench does not hand on."""
    found = json.loads(bench("--json", "--measure", "decode", "--dtype", dtype).text)
    assert (found["dtype"], found["kernels"] is None) == (dtype, False)


def test_measures_of_processes_alone(bench, monkeypatch):
    """Catches a measure that starts processes for nothing, or more of them than rounds and one."""
    started = []

    def launch(command):
        started.append(command)
        return {"code": 0, "seconds": float(len(started)), "peak": 5 * len(started), "errors": ""}

    monkeypatch.setattr(bench_process, "_launch", launch)
    found = json.loads(bench("--json", "--measure", "start", "--rounds", "3").text)
    assert len(started) == 4
    # The first one, which warms up, does not count.
    assert found["first_token_seconds"] == 3 and found["spread"]["first_token_seconds"] == [2, 4]
    assert {name for name in EVERY if found[name] is not None} == {"first_token_seconds"}
    started.clear()
    found = json.loads(bench("--json", "--measure", "memory", "--rounds", "3").text)
    assert len(started) == 4 and found["peak_rss_bytes"] == 15
    assert isinstance(found["peak_rss_bytes"], int) and found["first_token_seconds"] is None
    started.clear()
    bench("--measure", "prefill")
    assert started == []


def test_the_process_is_the_same_model_in_the_same_way():
    """Catches a start that is measured with another model, dtype or number of threads."""
    compute = Compute(model="some where", device="cpu", dtype="int8", threads=3, ctx_size=70)
    command = bench_process.completion(compute)
    assert command[:5] == [sys.executable, "-P", "-m", "gptcli", "complete"]
    wanted = {"--model=some where", "--device=cpu", "--dtype=int8", "--threads=3", "--ctx-size=70"}
    assert wanted | {"--max-new-tokens=1", "--temperature=0"} <= set(command)
    assert not any("=None" in part for part in bench_process.completion(Compute()))


def test_the_process_computes_as_exactly_as_was_asked_for(bench, monkeypatch):
    """Catches a child to which a variable says what a flag had taken back for its parent."""
    started = []
    told = {"code": 0, "seconds": 1.0, "peak": 5, "errors": ""}
    monkeypatch.setattr(bench_process, "_launch", lambda command: started.append(command) or told)
    monkeypatch.setenv("GPTCLI_EXACT_ACTIVATIONS", "1")
    for flags, wanted in (
        ([], "--activations=float32"),
        (["--no-exact-activations"], "--activations=int8"),
        (["--activations", "int16"], "--activations=int16"),
    ):
        bench("--measure", "start", "--rounds", "1", *flags)
        assert {each for each in started[-1] if "activations" in each} == {wanted}


def test_the_peak_is_that_of_the_process_alone():
    """Catches a peak that a child has from its parent: this process, which holds torch."""
    import torch

    held = torch.ones(50_000_000)
    told = bench_process._launch([sys.executable, "-c", "pass"])
    assert 1e6 < told["peak"] < 60e6 < held.nbytes
    told = bench_process._launch([sys.executable, "-c", "b = b'x' * 150_000_000"])
    assert 150e6 < told["peak"] < 220e6
    assert told["seconds"] > 0 and told["code"] == 0


def test_a_process_that_fails_is_an_error():
    """Catches the time of a process that ended early, taken for a fast start."""
    code = "import sys; sys.exit('gptcli: error: a/b: is broken')"
    with pytest.raises(ResourceError, match="gptcli complete: ended with 1: a/b: is broken"):
        bench_process._launch([sys.executable, "-c", code])


def test_the_launcher_needs_nothing_but_python():
    """Catches an import in the launcher that its -I -S has no way to find."""
    done = subprocess.run(
        children.command("gptcli.evaluation.launcher", sys.executable, "-c", "print(1)"),
        capture_output=True,
        check=True,
        cwd="/",
    )
    assert set(json.loads(done.stdout)) == {"code", "seconds", "peak", "errors"}


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_ctrl_c_ends_the_process_that_is_measured(roomy):
    """Catches a completion that goes on after its bench was interrupted."""
    command = [*GPTCLI, "bench", "-m", str(roomy), "--measure", "start"]
    process = subprocess.Popen(
        [*command, "--rounds", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert wait_for(lambda: len(running(roomy, "complete")) == 1, 60)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == -signal.SIGINT and time.monotonic() - begun < 20
    assert wait_for(lambda: not running(roomy, "complete"))


def running(model: Path, command: str) -> list[str]:
    """Ids of processes that run a command of gptcli on a model, but not its launcher."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        is_ours = command.encode() in words and any(str(model).encode() in word for word in words)
        if is_ours and b"gptcli.evaluation.launcher" not in words:
            found.append(entry.name)
    return found


@pytest.mark.slow
@needs_kernels
def test_the_kernels_need_no_torch(tiny_model):
    """Catches an import of torch on the way of what is measured on the kernels."""
    flags = ["bench", "-m", str(tiny_model), "--dtype", "float32", *QUICK]
    # Weights are packed with torch's help, once.
    assert run("complete", "-m", str(tiny_model), "--dtype", "float32", "-n", "1", "a").code == 0
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *flags, "--measure", "prefill,decode,start,memory"],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stderr.decode().splitlines()[-1].split())


FOUND = Benchmark(
    BenchRequest(depths=(16, 1000)),
    Speeds(
        Source("smollm2", "cpu", "bfloat16"),
        threads=2,
        kernels="avx512bf16",
        weight_bytes=200,
        prefill=Rounds((123_456.0, 101_000.0, 130_000.0)),
        decode=(
            DecodeSpeed(16, Rounds((93.25,)), 250.0),
            DecodeSpeed(1000, Rounds((80.0, 81.0)), 300.0),
        ),
        batch=Rounds((450.0,)),
        bandwidth=Rounds((31e9,)),
    ),
    Processes(Rounds((0.794,)), Rounds((198e6,))),
)


@pytest.mark.parametrize("width", [30, 40, 60, 200])
def test_the_table_fits(width):
    """Catches a row that breaks, and a figure that is lost where there is room for it."""
    text = written(lambda stream: view.show(FOUND, stream), width)
    assert_unbroken(text, width)
    lines = seen(text, width)
    assert len(lines) >= 10
    if width >= 60:
        heads = ["measure", "median", "min", "max", "unit", "share"]
        assert lines[0].split() == heads
        prefill = ["prefill", "512", "123,456", "101,000", "130,000", "tokens/s"]
        assert lines[1].split() == prefill
        share = f"{250 * 93.25 / 31e9:.0%}"
        decode = ["decode", "at", "16", "93.2", "93.2", "93.2", "tokens/s", share]
        assert lines[2].split() == decode
        assert lines[4].split()[:4] == ["batch", "16", "×", "64"]
        assert lines[5].split() == ["first", "token", "0.794", "0.794", "0.794", "s"]
        assert lines[6].split()[2:] == ["198", "198", "198", "MB"]
        assert lines[7].split()[2:] == ["31.0", "31.0", "31.0", "GB/s"]
    assert "2 threads, kernels for avx512bf16" in " ".join(lines)


def test_rows_are_exact(capsys):
    """Catches rounded numbers, or units for people, in what programs read."""
    view.show(FOUND, sys.stdout)
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["measure", "median", "min", "max", "unit", "share"]
    assert rows[1] == ["prefill 512", "123456", "101000", "130000", "tokens/s", ""]
    assert rows[6] == ["peak memory", "198000000", "198000000", "198000000", "B", ""]
    assert rows[7][4:] == ["B/s", ""]
    assert len(rows) == 8


def test_a_table_of_a_run(bench):
    """Catches a table that says what was not measured."""
    lines = bench("--measure", "prefill,decode").text.splitlines()
    names = [line.split("\t")[0] for line in lines[1:]]
    assert names == ["prefill 20", "decode at 5", "decode at 20", "read bandwidth"]


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--measure", "speed"), 2, f"--measure: must be one of {', '.join(MEASURES)}"),
        (("--measure", "decode,"), 2, "--measure"),
        (("--depth", "x"), 2, "--depth: must be whole numbers"),
        (("--depth", "1,,2"), 2, "--depth"),
        (("--depth", "0"), 2, "--depth: must be from 1"),
        (("--depth", "-4"), 2, "--depth"),
        (("--depth", "5,98"), 5, "--depth: 98 tokens and 3 new make 101, more than the context of"),
        (("--prompt-tokens", "100"), 5, "--prompt-tokens: 100 tokens and 1 new make 101"),
        (("--ctx-size", "79"), 5, "--measure batch: 16 tokens and 64 new make 80"),
        (("--prompt-tokens", "0"), 2, "--prompt-tokens"),
        (("-n", "0"), 2, "--max-new-tokens"),
        (("--batch", "0"), 2, "--batch"),
        (("--rounds", "0"), 2, "--rounds"),
        (("--dtype", "int3"), 2, "--dtype"),
        (("-m", "echo"), 2, "echo: cannot be measured"),
        (("prompt",), 2, "unexpected extra argument"),
    ],
)
def test_bad_input(bench, argv, code, part):
    """Catches a wrong flag that is passed over, and one that is told after minutes."""
    assert_one_line(bench(*argv), code, part)
