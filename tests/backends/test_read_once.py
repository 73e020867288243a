"""What is read of a model's directory at a start, and how often."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from gptcli.formats import json as jsonfile
from tests.cli.flags.test_adapters import make_adapter
from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
TORCH = ("--device", "cpu", "--cpu-features", "none", "--dtype", "float32")
KERNELS = ("--device", "cpu", "--dtype", "float32")
SHOW = ("models", "show")

_opened: list[Path] | None = None


def _hook(event: str, given: tuple[object, ...]) -> None:
    # A hook stays for good: it must cost nothing where nobody listens.
    if _opened is not None and event == "open" and isinstance(given[0], str | os.PathLike):
        _opened.append(Path(given[0]))


@pytest.fixture(scope="session", autouse=True)
def listening() -> None:
    sys.addaudithook(_hook)


class Reads:
    """How often each file of a directory was opened, and parsed as JSON, by its name."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.parsed: Counter[str] = Counter()


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model in two shards, with every other file that a start may ask for."""
    directory = tmp_path / "model"
    directory.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (directory / name).symlink_to(tiny_model / name)
    settings = json.loads((tiny_model / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{{ messages[0].content }}"
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    (directory / "generation_config.json").write_text("{}")
    tensors = sorted(load_file(tiny_model / "model.safetensors").items())
    where = {name: SHARDS[at % 2] for at, (name, _) in enumerate(tensors)}
    for shard in SHARDS:
        save_file({n: t for n, t in tensors if where[n] == shard}, directory / shard)
    (directory / INDEX).write_text(json.dumps({"weight_map": where}))
    return directory


@pytest.fixture
def reads(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Of the model, and of an adapter beside it."""
    found, parse = Reads(), jsonfile.parse

    def counted(text: bytes, subject: str) -> dict[str, object]:
        found.parsed[Path(subject).name] += 1
        return parse(text, subject)

    monkeypatch.setattr(jsonfile, "parse", counted)
    global _opened
    _opened = []
    yield found
    _opened = None


def start(model: Path, reads: Reads, *argv: str) -> None:
    """Run a command line of the model, and count."""
    assert _opened is not None
    _opened.clear()
    reads.parsed.clear()
    command = [*argv, str(model)] if argv[0] == "models" else [*argv, "-m", str(model), "the cat"]
    done = run(*command)
    assert done.code == 0, done.err
    reads.opened = Counter(path.name for path in _opened if path.parent.parent == model.parent)


@pytest.mark.parametrize(
    ("argv", "times"),
    [
        (("complete", "-n", "1", *TORCH), 3),
        (("attention", *TORCH), 3),
        (("chat", "-n", "1", *TORCH), 3),
        (SHOW, 2),
        (("models", "verify"), 1),
        pytest.param((*SHOW, "--dtype", "int8"), 2, marks=needs_kernels),
        pytest.param(("complete", "-n", "1", *KERNELS), 6, marks=needs_kernels),
        pytest.param(("attention", "--dtype", "int4"), (7, 6), marks=needs_kernels),
        pytest.param(("score", "--dtype", "bfloat16"), 6, marks=needs_kernels),
    ],
)
def test_every_file_is_read_once(model, reads, argv, times):
    """Catches config.json parsed by each part that needs it, and headers read to be read again.

    Weights are opened a second time for their stamp and a third time to be mapped; where they are
    packed their stamp is looked at before and after, and what is packed knows their digest. For
    int4 what is in the first layer is looked at before.
    """
    start(model, reads, *argv)
    assert set(reads.parsed) >= {"config.json", INDEX, *SHARDS}
    assert max(reads.parsed.values()) == 1, reads.parsed
    each = times if isinstance(times, tuple) else (times,) * len(SHARDS)
    more = dict(zip(SHARDS, each, strict=True)) if times != 1 else {}
    assert {name: n for name, n in reads.opened.items() if n > 1} == more


@needs_kernels
def test_packed_weights_need_no_more_than_the_headers(model, reads):
    """Catches weights that are mapped, or looked into, although they were packed before."""
    start(model, reads, "complete", "-n", "1", *KERNELS)
    start(model, reads, "complete", "-n", "1", *KERNELS)
    assert max(reads.parsed.values()) == 1, reads.parsed
    assert {n: times for n, times in reads.opened.items() if times > 1} == dict.fromkeys(SHARDS, 2)


def test_adapters_are_read_once(model, reads, tmp_path):
    """Catches an adapter's header that is read to be checked, and again to be read."""
    adapter = make_adapter(tmp_path / "adapter", seed=1)
    start(model, reads, "complete", "-n", "1", "--adapter", str(adapter), *TORCH)
    assert reads.parsed["adapter_config.json"] == reads.parsed["adapter_model.safetensors"] == 1
    assert max(reads.parsed.values()) == 1, reads.parsed
    start(model, reads, "models", "merge", "--adapter", str(adapter), "-o", str(tmp_path / "made"))
    assert max(reads.parsed.values()) == 1, reads.parsed


def test_tokens_need_no_weights(model, reads):
    """Catches a question about text alone that waits for headers, or fails for lack of them."""
    for shard in SHARDS:
        (model / shard).unlink()
    assert _opened is not None
    assert run("tokens", "-m", str(model), "the cat").code == 0
    assert not reads.parsed.keys() & {"config.json", *SHARDS}
