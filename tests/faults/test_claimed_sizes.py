"""Files that hold little and claim much: refused before the work, in time and memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.safetensors import header

#: Texts of JSON, each of which would be gigabytes, or minutes, once it is read.
BOMBS = {
    "empty lists": lambda: b'{"a":[' + b"[]," * (8 << 20) + b"[]]}",
    "empty objects": lambda: b'{"a":[' + b"{}," * (8 << 20) + b"{}]}",
    "numbers": lambda: b'{"a":[' + b"1," * (16 << 20) + b"1]}",
    "long numbers": lambda: b'{"a":[' + (b"1" * 4299 + b",") * 5000 + b"1]}",
    "deep lists": lambda: b'{"a":' + b"[" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_of_json(bomb: str) -> None:
    """95 MB of `[],[],` took 15 seconds and 2.5 GB; a reader after the other did it again."""
    text = BOMBS[bomb]()
    begun = time.process_time()
    with pytest.raises(ModelError, match=r"more values|too many digits|too deeply"):
        jsonfile.parse(text, "x.json")
    assert time.process_time() - begun < 2


@pytest.mark.slow
def test_what_real_files_hold_is_read() -> None:
    """A limit that the largest tokenizer comes near: half a million merges in lists of two."""
    vocabulary = {f"t{i}": i for i in range(300_000)}
    text = json.dumps({"merges": [["a", "b"]] * 520_000, "vocab": vocabulary})
    assert len(jsonfile.parse(text.encode(), "x")["merges"]) == 520_000


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ([10**300] * 64, "impossible shape"),
        ([9] * 400_000, "impossible shape"),
        ([0, 2**62], "impossible shape"),
        ([2**31, 2**31, 2**31], "impossible shape"),
    ],
    ids=["long numbers", "many axes", "an endless axis of nothing", "a product"],
)
def test_shapes_are_not_multiplied_before_they_are_looked_at(
    tmp_path: Path, shape: list[int], reason: str
) -> None:
    """1.6 MB of digits: seven seconds, growing with the square."""
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    text = json.dumps({"a": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    begun = time.process_time()
    with pytest.raises(ModelError, match=reason):
        header.read(tmp_path / "x.safetensors")
    assert time.process_time() - begun < 1


def _sparse_model(tiny_model: Path, to: Path, size: int) -> None:
    """A Llama whose weights are a hole of so many bytes, with a head like its embedding."""
    to.mkdir()
    shutil.copy(tiny_model / "tokenizer.json", to)
    width, hidden = 4096, 11008
    config = json.loads((tiny_model / "config.json").read_text())
    config |= {"hidden_size": width, "intermediate_size": hidden, "num_attention_heads": 32}
    config |= {"num_key_value_heads": 32, "tie_word_embeddings": True}
    entries, end = {}, 0

    def add(name: str, *shape: int) -> None:
        nonlocal end
        begin, end = end, end + 4 * (shape[0] * shape[1] if len(shape) > 1 else shape[0])
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}

    add("model.embed_tokens.weight", config["vocab_size"], width)
    add("lm_head.weight", config["vocab_size"], width)
    add("model.norm.weight", width)
    layer = 0
    while end < size:
        at = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            add(f"{at}.{norm}.weight", width)
        for part in "qkvo":
            add(f"{at}.self_attn.{part}_proj.weight", width, width)
        for part in ("gate", "up"):
            add(f"{at}.mlp.{part}_proj.weight", hidden, width)
        add(f"{at}.mlp.down_proj.weight", width, hidden)
        layer += 1
    (to / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layer}))
    text = json.dumps(entries).encode()
    with (to / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


@pytest.mark.slow
def test_a_sparse_model_that_fits_no_memory(tiny_model: Path, tmp_path: Path) -> None:
    """40 GB for 20 kB on disk, read or mapped whole before anyone asks whether it fits."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _sparse_model(tiny_model, tmp_path / "m", max(40 << 30, 2 * memory))
    assert (tmp_path / "m" / "model.safetensors").stat().st_blocks * 512 < 1 << 20
    # Through a process of its own, which tells what its one child took.
    code = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(code, used.ru_maxrss, used.ru_utime + used.ru_stime)"
    )
    tool = [sys.executable, "-P", "-m", "gptcli", "complete", "-n", "1", "a", "-m"]
    done = subprocess.run(
        [sys.executable, "-c", code, *tool, str(tmp_path / "m")],
        env={**os.environ, "GPTCLI_DATA_DIR": str(tmp_path / "data")},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    exit_code, kilobytes, seconds = done.stdout.split()
    assert exit_code == "6" and "of memory" in done.stderr, done.stderr
    assert int(kilobytes) < 500 << 10 and float(seconds) < 5, done.stdout
