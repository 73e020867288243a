"""`--steer`, on a tiny model and directions of random numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gptcli.backends.local.steered import steered
from gptcli.backends.served import place
from gptcli.cli.batching.settings import content
from gptcli.engine.arrays import host, log_softmax
from gptcli.engine.probes.streams import Streams
from gptcli.formats.gguf import control_vector
from gptcli.formats.gguf.control_vector import ControlVector
from gptcli.server.status import in_words
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.compute import Compute
from gptcli.types.models import SteerRef
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import load, open_runner

PROMPT = "the cat sat"
BOTH = pytest.mark.parametrize("through", [(), ("--cpu-features", "none")], ids=["cpu", "torch"])


def write(path: Path, *layers: int, seed: int = 0, width: int = 32) -> dict[int, np.ndarray]:
    """A control vector with random directions behind some layers."""
    rows = np.random.default_rng(seed).standard_normal((len(layers), width)).astype(np.float32)
    found = dict(zip(layers, rows * 30, strict=True))
    path.write_bytes(control_vector.encode(ControlVector("llama", found)))
    return found


@pytest.fixture
def vector(tmp_path: Path) -> Path:
    write(tmp_path / "v.gguf", 1)
    return tmp_path / "v.gguf"


def top(model: Path, *argv: str) -> dict[str, Any]:
    done = run("top-k", "-m", str(model), "--json", "-k", "287", *argv, PROMPT)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.text)
    return found


def logprobs(found: dict[str, Any]) -> np.ndarray:
    by_id = {each["id"]: each["logprob"] for each in found["top_logprobs"]}
    return np.array([by_id[token] for token in sorted(by_id)])


@BOTH
def test_the_direction_is_added_behind_its_layer(tiny_model, tmp_path, through):
    """Catches one that is added before the layer, behind another, at the last token alone, or times
    another number: what is read out must be the stream with it."""
    (row,) = write(tmp_path / "v.gguf", 1).values()
    found = top(tiny_model, "--steer", f"{tmp_path / 'v.gguf'}=-0.5", *through)
    runner = load(tiny_model, device="cpu", dtype="float32")
    ids = Tokenizer(tiny_model).encode(PROMPT)
    streams = Streams(range(len(ids)))
    runner.prefill([ids], runner.new_state(), probe=streams)
    logits = runner.logits_of_streams(streams.after(1)[-1:] + torch.from_numpy(row * -0.5))
    np.testing.assert_allclose(logprobs(found), host(log_softmax(logits))[0], atol=1e-4)


def test_several_add_up_and_ranges_choose(tiny_model, tmp_path):
    """Catches a second file that replaces the first, ends of a range that are left out, and layers
    that are steered although nobody wants it. llama.cpp's ranges have both ends."""
    deep = open_runner(tiny_model, device="cpu", dtype="float32")
    assert deep.spec.layers == 2
    one, two = tmp_path / "a@1:1.gguf", tmp_path / "b=2.gguf"
    rows = write(one, 1)[1], write(two, 1, seed=1)[1]
    both = steered(deep, [SteerRef.parse(str(one)), SteerRef.parse(f"{two}=3@1:1")])
    (edit,) = both.edits
    assert (edit.point, edit.layer, edit.factor) == ("stream", 1, 1.0)
    np.testing.assert_array_equal(edit.add, rows[0] + rows[1] * np.float32(3))
    assert steered(deep, []) is deep
    # Nothing is added: nothing is edited, and no bit is another.
    none = steered(deep, [SteerRef(one), SteerRef(one, -1.0)])
    assert not none.edits and none.fingerprint == deep.fingerprint
    assert both.fingerprint != deep.fingerprint
    plain = top(tiny_model)["top_logprobs"]
    assert top(tiny_model, "--steer", f"{one}=0")["top_logprobs"] == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v.gguf", ("v.gguf", 1.0, None, None)),
        ("v.gguf=0.25", ("v.gguf", 0.25, None, None)),
        ("v.gguf@3:7", ("v.gguf", 1.0, 3, 7)),
        ("v.gguf=-2@:7", ("v.gguf", -2.0, None, 7)),
        ("v.gguf@3:", ("v.gguf", 1.0, 3, None)),
        ("a=b/v@c.gguf=1e-3", ("a=b/v@c.gguf", 0.001, None, None)),
    ],
)
def test_a_name_is_read_and_told_again(text, expected):
    """Catches a scale or a range that is part of the name, and a name that means something else
    when it is read again, as a session does."""
    path, scale, first, last = expected
    found = SteerRef.parse(text)
    assert found == SteerRef(Path(path), scale, first, last)
    assert SteerRef.parse(found.name) == found


@pytest.mark.parametrize("text", ["v=x", "v=nan", "=2", "v@7:3", "v=1e99"])
def test_what_is_no_name_is_refused(text):
    """Catches a number that is none."""
    with pytest.raises(ValueError, match="must be FILE"):
        SteerRef.parse(text)


@pytest.mark.parametrize(
    "argv",
    [
        ("complete", "--json", "-n", "2"),
        ("top-k", "--json"),
        ("top-k", "--json", "--steps", "2"),
        ("tree", "--json", "--depth", "1"),
        ("score", "--json"),
        ("choose", "--json", "--choice", " a", "--choice", " b"),
        ("chat", "--json", "-n", "2"),
        ("ask", "--json", "--type", "choice:a,b"),
        ("embed", "--json"),
        ("explain", "--json"),
        ("attention", "--json"),
        ("lens", "--json"),
    ],
)
def test_json_names_what_steers(tiny_model, chat_model, vector, argv):
    """Catches a command that is not steered, and numbers of which nobody can tell later how they
    came about."""
    model = chat_model if argv[0] in ("chat", "ask") else tiny_model
    flags = ("-m", str(model), "--steer", f"{vector}=0.5", "--steer", f"{vector}@1:")
    done = run(*argv, *flags, PROMPT)
    assert done.code == 0, done.err
    found = json.loads(done.text)
    assert found["steering"] == [f"{vector}=0.5", f"{vector}@1:"]
    plain = json.loads(run(*argv, "-m", str(model), PROMPT).text)
    assert "steering" not in plain and plain != {**found, "steering": None}


@BOTH
def test_a_row_of_a_batch_is_the_text_alone(tiny_model, vector, tmp_path, through):
    """Catches rows that run beside others and are not steered, or each by a part of it."""
    rows = ["the cat", "a dog sat on", "mat"]
    (tmp_path / "rows.txt").write_text("\n".join(rows))
    flags = ("-m", str(tiny_model), "--steer", str(vector), "--temp", "0", "-n", "6", *through)
    done = run("complete", "--batch", str(tmp_path / "rows.txt"), *flags)
    found = [json.loads(line)["choices"][0]["text"] for line in done.text.splitlines()]
    assert found == [run("complete", *flags, row).text.removesuffix("\n") for row in rows]
    plain = [run("complete", "-m", str(tiny_model), "--temp", "0", "-n", "6", row) for row in rows]
    assert found != [each.text.removesuffix("\n") for each in plain]


def test_what_is_kept_knows_of_it(tiny_model, vector, tmp_path):
    """Catches a server, a batch or a session that goes on unsteered, or with another file of the
    same name."""
    plain, ref = Compute(model=str(tiny_model)), SteerRef(vector, 2.0)
    compute = Compute(model=str(tiny_model), steer=(ref,))
    assert place.name_of(plain) != place.name_of(compute)
    assert in_words(compute).endswith(f"--steer {vector}=2")
    assert compute.alone == plain and compute.added == [vector]
    before = content(compute)
    assert before[:-1] == content(plain)
    write(vector, 1, seed=5)
    assert content(compute)[-1] != before[-1]


def test_a_run_cannot_go_on_otherwise(tiny_model, vector, tmp_path):
    """Catches rows of one file that are steered by two files."""
    (tmp_path / "rows.txt").write_text("the cat\na dog\n")
    base = ("complete", "-m", str(tiny_model), "--batch", str(tmp_path / "rows.txt"), "-n", "1")
    to = ("-o", str(tmp_path / "out.jsonl"), "--seed", "1")
    assert run(*base, *to, "--steer", str(vector)).code == 0
    assert_one_line(run(*base, *to, "--resume"), 2, "out.jsonl: was made with --steer")


@pytest.mark.parametrize(
    ("flags", "code", "part"),
    [
        (("--steer", "{}=x"), 2, "--steer: must be FILE[=SCALE][@FROM:TO], not"),
        (("--steer", "{}@5:9"), 2, "leaves nothing: its layers are from 1 to 1"),
        (("--steer", "no.gguf"), 3, "no.gguf: cannot be read: No such file"),
        (("--steer", "{narrow}"), 3, "has directions of 8 numbers, and the stream of this model"),
        (("--steer", "{deep}"), 3, "has a direction behind layer 7, and this model's last is 1"),
        (("--steer", "{}", "-m", "echo"), 2, "--steer: echo computes nothing"),
        (
            ("--steer", "{}", "--base-url", "http://127.0.0.1:1/v1"),
            2,
            "--steer: is about this machine",
        ),
    ],
)
def test_bad_input(tiny_model, vector, tmp_path, flags, code, part):
    """Catches a model that runs unsteered where it was to be steered."""
    named = {"narrow": tmp_path / "narrow.gguf", "deep": tmp_path / "deep.gguf"}
    write(named["narrow"], 1, width=8)
    write(named["deep"], 1, 7)
    words = [word.format(vector, **named) for word in flags]
    assert_one_line(run("complete", "-m", str(tiny_model), *words, PROMPT), code, part)
