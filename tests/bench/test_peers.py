"""The sides of the peers' benchmark, without peers: what they are asked, what is read of them."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import gguf
import pytest

from tests.bench.peers import bounds, in_python, llama_cpp, ours
from tests.bench.peers.cases import Case, MeasureError
from tests.bench.peers.libraries import LIBRARIES
from tests.bench.peers.process import Finished, run
from tests.bench.peers.targets import target
from tests.bench.peers.workers.job import Job, ids, measured
from tests.bench.weights import sizes
from tests.bench.weights.places import Places
from tests.engine.helpers import GOLDENS
from tests.models.gguf_export import export
from tests.models.test_gguf_goldens import add_tokenizer

ROOT = str(Path(__file__).parents[2])
#: What llama-bench of b11434 prints for -n 16 -p 0 -d 16 -t 2 -r 1 -o json.
LLAMA_BENCH = """[
  {
    "build_commit": "unknown",
    "build_number": 0,
    "cpu_info": "AMD EPYC",
    "gpu_info": "",
    "backends": "CPU",
    "model_filename": "Q4_0.gguf",
    "model_type": "llama 256M Q4_0",
    "model_size": 89941248,
    "model_n_params": 134515008,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_threads": 2,
    "cpu_mask": "0x0",
    "cpu_strict": false,
    "poll": 50,
    "type_k": "f16",
    "type_v": "f16",
    "n_gpu_layers": -1,
    "split_mode": "layer",
    "flash_attn": -1,
    "devices": "auto",
    "tensor_split": "0.00",
    "repack": true,
    "n_prompt": 0,
    "n_gen": 16,
    "n_depth": 16,
    "test_time": "2026-11-24T19:13:51Z",
    "avg_ns": 3366546762,
    "stddev_ns": 0,
    "avg_ts": 4.752645,
    "stddev_ts": 0.000000,
    "samples_ns": [ 3366546762 ],
    "samples_ts": [ 4.75264 ]
  }
]
"""
#: What llama-batched-bench prints beside its log.
BATCHED = (
    '{"n_kv_max": 4096, "n_batch": 2048, "n_ubatch": 512, "flash_attn": -1, "is_pp_shared": 0, '
    '"n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 16, "tg": 64, "pl": 16, '
    '"n_kv": 1280, "t_pp": 1.5, "speed_pp": 170.6, "t_tg": 2.5, "speed_tg": 409.6, "t": 4.0, '
    '"speed": 320.0}'
)


def test_the_rate_of_llama_bench():
    """Catches a field of another meaning: samples, nanoseconds, or the other test of two."""
    assert llama_cpp.rate(LLAMA_BENCH) == 4.752645
    two = json.dumps(json.loads(LLAMA_BENCH) * 2)
    for output in (two, "[]", "", "error: unable to load model", '[{"avg_ns": 1}]', "{}"):
        with pytest.raises(MeasureError):
            llama_cpp.rate(output)


def test_the_rate_of_a_batch_is_that_of_the_whole_call():
    """Catches a rate of generation alone, which leaves out the prompts."""
    assert llama_cpp.batch_rate(f"main: n_kv_max = 4096\n\n{BATCHED}\n") == 16 * 64 / 4.0
    with pytest.raises(MeasureError):
        llama_cpp.batch_rate("main: n_kv_max = 4096\n")


def test_a_process_is_measured_by_itself():
    """Catches the peak of all children so far, and a failure that passes for a figure."""
    # Pytest itself is too large to measure from: see `run`.
    code = """
import sys
from tests.bench.peers import __main__
from tests.bench.peers.process import run
large = run([sys.executable, "-c", "print(len(b'x' * 300_000_000))"])
small = run([sys.executable, "-c", "import time; time.sleep(0.2); print('done')"])
assert (large.output, small.output) == ("300000000\\n", "done\\n")
print(large.peak, small.peak, small.seconds)
"""
    command = [sys.executable, "-c", code]
    large, small, seconds = map(float, run(command, {"PYTHONPATH": ROOT}).output.split())
    assert large > 300e6 and 5e6 < small < 60e6
    assert 0.2 <= seconds < 60
    with pytest.raises(MeasureError, match="ended with 3: no model"):
        run([sys.executable, "-c", "import sys; print('no model', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(MeasureError, match="No such file"):
        run(["/nowhere/llama-bench"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that gptcli was called with; each answers with a rate of 50."""
    calls: list[tuple[list[str], dict[str, str]]] = []

    def fake(command: list[str], variables: dict[str, str]) -> Finished:
        calls.append((command, variables))
        names = ("decode", "prefill", "batch")
        line = json.dumps({f"{name}_tokens_per_second": 50.0 for name in names})
        return Finished(f"a word before\n{line}\n", 1.25, 7 << 20)

    monkeypatch.setattr(ours, "run", fake)
    return calls


def test_gptcli_is_asked_for_one_figure_at_a_time(asked, tmp_path):
    """Catches a measurement of something else than its row says."""
    gptcli, places = ours.Gptcli(tmp_path, new_tokens=9), Places(tmp_path)
    assert gptcli.measure(Case("decode", "int8", 1, 1000), places)() == 50
    command, variables = asked[-1]
    assert command[1:4] == ["-m", "gptcli", "bench"]
    assert " ".join(command).endswith("--rounds 1 --measure decode --depth 1000 -n 9")
    assert command[command.index("--threads") + 1] == "1"
    assert command[command.index("--dtype") + 1] == "int8"
    # Compiled, as pip installs it.
    assert variables == {"GPTCLI_DATA_DIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    assert gptcli.measure(Case("avx2", "int8", 2, 16), places)() == 50
    assert asked[-1][1]["GPTCLI_CPU_FEATURES"] == "avx2"
    assert gptcli.measure(Case("long", "int8", 2, 8000), places)() == 1 / 50
    assert gptcli.measure(Case("start", "int8", 2), places)() == 1.25
    assert asked[-1][0][3] == "complete" and "--no-server" in asked[-1][0]
    assert gptcli.measure(Case("warm", "int8", 2), places)() == 1.25
    served = [command for command, _ in asked[-3:]]
    assert [command[3] for command in served] == ["serve", "complete", "complete"]
    # The same settings, by which the server is found.
    assert all(" ".join(served[0][-6:]) in " ".join(command) for command in served[1:])
    assert gptcli.measure(Case("memory", "int8", 2), places)() == 7 << 20


def test_a_type_of_files_is_run_from_the_file(asked, tmp_path):
    """Catches a dtype that gptcli quantises to by itself, beside a llama.cpp that keeps blocks."""
    gptcli, places = ours.Gptcli(tmp_path), Places(tmp_path)
    assert gptcli.measure(Case("decode", "Q4_K_M", 2, 16), places)() == 50
    command = asked[-1][0]
    assert command[command.index("-m", 3) + 1] == str(tmp_path / "Q4_K_M.gguf")
    assert "--dtype" not in command
    gptcli.warm(places, "Q6_K")
    assert str(tmp_path / "Q6_K.gguf") in asked[-1][0] and "--dtype" not in asked[-1][0]


def test_what_is_read_is_held_to_the_bandwidth(monkeypatch, tmp_path):
    """Catches bytes of weights alone, or of another depth, and a share of itself."""
    line = {"decode_tokens_per_second": 50.0, "read_bandwidth_bytes_per_second": 3e10}
    line["decode"] = [{"depth": 16, "read_bytes_per_token": 5 * 10**8}]
    monkeypatch.setattr(ours, "run", lambda *given: Finished(json.dumps(line), 1.0, 1))
    case, gptcli, places = Case("read", "Q4_K_M", 2, 16), ours.Gptcli(tmp_path), Places(tmp_path)
    (side,) = bounds.sides(case, places, gptcli)
    with pytest.raises(MeasureError, match="nothing was measured"):
        side.measure()
    assert gptcli.measure(case, places)() == 2.5e10
    assert side.measure() == 3e10 and str(target("llama-1b", case, side.name)) == "≥ 0.85"
    for measure, model, least in (("decode", "gemma", "≥ 1.25"), ("avx2", "qwen3-4b", "≥ 1.15")):
        assert str(target(model, Case(measure, "Q6_K", 2, 1000), "llama.cpp")) == least


@pytest.mark.parametrize(
    ("case", "cached"),
    [
        ("gemma4_text/told", 2 * (8 + 12)),
        ("lfm2/plain", 2 * 2 * 4),
        ("qwen3_5_text/plain", 2 * 2 * 8),
    ],
)
def test_sizes_of_layers_that_differ(tmp_path, case, cached):
    """Catches caches of layers that have none, or that read another's, and heads of one size."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "checkpoint").symlink_to(GOLDENS / case)
    export(GOLDENS / case, tmp_path / "Q8_0.gguf", add_tokenizer)
    found = sizes.read(Places(tmp_path))
    assert found == sizes.read(Places(tmp_path / "a")) == sizes.Sizes(48, cached)


def test_sizes_are_those_of_the_checkpoint(tiny_model, tmp_path):
    """Catches heads of queries taken for those of keys, and a context of another model."""
    (tmp_path / "a" / "checkpoint").parent.mkdir()
    (tmp_path / "a" / "checkpoint").symlink_to(tiny_model)
    config = json.loads((tiny_model / "config.json").read_text())
    writer = gguf.GGUFWriter(tmp_path / "Q8_0.gguf", "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = sizes.read(Places(tmp_path))
    assert found == sizes.read(Places(tmp_path / "a")) == sizes.Sizes(64, 2 * 2 * 2 * 8)
    wanted = (tmp_path / "Q8_0.gguf").stat().st_size + 2 * found.cached * 80 + 120e6
    assert bounds.allowed(Places(tmp_path), "Q8_0") == wanted


def test_a_line_without_a_rate_is_a_failure(monkeypatch, tmp_path):
    """Catches null, which is what was not measured, taken for a figure."""
    line = json.dumps({"decode_tokens_per_second": None})
    monkeypatch.setattr(ours, "run", lambda *given: Finished(line, 1.0, 1))
    with pytest.raises(MeasureError, match="no rate of decode at 16, int8, 2 threads"):
        ours.Gptcli(tmp_path).measure(Case("decode", "int8", 2, 16), Places(tmp_path))()


def test_what_memory_is_held_to(tiny_model, tmp_path):
    """Catches weights that are counted twice or not at all, and bits of another dtype."""
    from safetensors.numpy import load_file

    (tmp_path / "checkpoint").symlink_to(tiny_model)
    weights = load_file(tiny_model / "model.safetensors")
    count = sum(array.size for array in weights.values())
    cache = 2 * 2 * 2 * 2 * 8 * 80
    for dtype, bits in (("float32", 32), ("bfloat16", 16), ("int8", 8.5), ("int4", 5)):
        wanted = count * bits / 8 + cache + 150e6
        assert math.isclose(bounds.allowed(Places(tmp_path), dtype), wanted, rel_tol=1e-12)


class Timed:
    """A model that generates a token in a tenth of a second, after one that takes a whole one."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[list[int]], int]] = []

    def encode(self, text: str) -> list[int]:
        return [1]

    def generate(self, prompts: list[list[int]], new_tokens: int) -> list[float]:
        self.calls.append((prompts, new_tokens))
        return [1 + at / 10 for at in range(new_tokens)]


def test_workers_time_decoding_after_the_first_token():
    """Catches a rate that has reading the prompt in it, and a prompt that is still in a cache."""
    library = Timed()
    job = Job("decode", "model", "tokenizer", "int8", 2, 1, 16, 128, "")
    assert measured(job, library) == pytest.approx(10)
    (warm, _), (prompts, new_tokens) = library.calls
    assert new_tokens == 129 and [len(prompt) for prompt in prompts] == [16]
    assert not set(warm[0]) & set(prompts[0])
    rows = [tuple(ids(16, row)) for row in range(200)]
    assert len(set(rows)) == 200 and max(map(max, rows)) < 49152


def test_workers_time_the_whole_call_of_a_batch(monkeypatch):
    """Catches a rate of one row, or of the prompts' tokens."""
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)
    job = Job("batch", "model", "tokenizer", "int8", 2, 16, 16, 64, "")
    assert measured(job, Timed()) == pytest.approx(16 * 64 / 7.3)
    job = Job("prefill", "model", "tokenizer", "int8", 2, 1, 512, 1, "")
    assert measured(job, Timed()) == pytest.approx(512)


def test_a_worker_gets_the_job_it_was_sent(monkeypatch, tmp_path):
    """Catches a job that the worker cannot read, and a library asked for a dtype it lacks."""
    sent: list[list[str]] = []

    def fake(command: list[str], variables: dict[str, str]) -> Finished:
        sent.append(command)
        return Finished('{"tokens_per_second": 12.5}\n', 3.0, 1 << 20)

    monkeypatch.setattr(in_python, "run", fake)
    places = Places(tmp_path)
    places.ctranslate2("int8").mkdir()
    (library,) = (each for each in LIBRARIES if each.name == "ctranslate2")
    peer = in_python.PythonPeer(library, Path("python"), new_tokens=5)
    assert peer.measure(Case("decode", "bfloat16", 2, 16), places) is None
    assert peer.measure(Case("decode", "float32", 2, 16), places) is None
    measure = peer.measure(Case("decode", "int8", 2, 16), places)
    assert measure is not None and measure() == 12.5
    job = Job(**json.loads(sent[0][-1]))
    assert (job.kind, job.threads, job.prompt_tokens, job.new_tokens) == ("decode", 2, 16, 5)
    start = peer.measure(Case("start", "int8", 2), places)
    assert start is not None and start() == 3.0
    assert Job(**json.loads(sent[1][-1])).kind == "complete"
