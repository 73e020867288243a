"""`--calibration`: the text by which columns are weighed where weights are rounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli import config
from gptcli.backends.local import calibration
from gptcli.evaluation.bench_process import completion
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.compute import Compute
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.cpu.small import SPEC

WORDS = "the cat sat on the mat and the dog ate the rat, "


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "some text"
    file.write_text(WORDS * 20)
    return file


def packed(model: Path) -> dict[str, bytes]:
    """Files of packed weights, by what their names end in."""
    place = config.packed_weights(model)
    found = place.parent.glob(f"{place.name}.int4*")
    return {path.suffix: path.read_bytes() for path in found if path.suffix != ".seen"}


@needs_kernels
def test_each_text_has_weights_of_its_own(tiny_model, text, tmp_path):
    """Catches a text that rounding does not heed, and weights of another text taken for its own."""
    flags = ("complete", "-m", str(tiny_model), "-n", "1", "--dtype", "int4")
    calibrated = (*flags, "--calibration", str(text))
    assert run(*flags, "the cat").code == 0
    assert run(*calibrated, "the cat").code == 0
    first = packed(tiny_model)
    assert len(first) == 2
    # By what it says, not by its name.
    text.rename(tmp_path / "other")
    done = run(*flags, "--calibration", str(tmp_path / "other"), "the cat")
    assert done.code == 0 and packed(tiny_model) == first
    (tmp_path / "other").write_text("0123456789 " * 40)
    assert run(*flags, "--calibration", str(tmp_path / "other"), "the cat").code == 0
    assert packed(tiny_model).items() > first.items()
    one, *rest = (each[1 << 15 :] for each in packed(tiny_model).values())
    assert len(rest) == 2 and one != rest[0] != rest[1] != one


@needs_kernels
def test_dtypes_are_compared_as_they_are_calibrated(tiny_model, text):
    """Catches a flag that a comparison refuses, or drops."""
    flags = ("score", "-m", str(tiny_model), "--json", "--compare-dtype", "bfloat16,int4")
    plain = run(*flags, str(text))
    done = run(*flags, "--calibration", str(text), str(text))
    assert done.code == 0, done.err
    rows, before = (json.loads(each.text)["dtypes"] for each in (done, plain))
    assert rows[0] == before[0] and rows[1] != before[1]


@pytest.mark.parametrize(
    ("flags", "content", "code", "wanted"),
    [
        ((), WORDS * 20, 2, "--calibration: needs --dtype int4 or int8"),
        (("--dtype", "float32"), WORDS * 20, 2, "--calibration: needs --dtype int4 or int8"),
        (("--dtype", "int4"), WORDS, 4, "is too short to weigh columns by"),
        (("--dtype", "int4"), "", 4, "0 tokens, of which 128 are needed"),
        (("--dtype", "int8"), b"the \xff cat", 4, "is not UTF-8: byte 0xff at offset 4"),
        (("--dtype", "int4"), None, 4, "No such file"),
    ],
)
@needs_kernels
def test_what_cannot_be_done(tiny_model, tmp_path, flags, content, code, wanted):
    """Catches a flag that does nothing, and a traceback for a file that is no text."""
    file = tmp_path / "text"
    if isinstance(content, str):
        file.write_text(content)
    elif content is not None:
        file.write_bytes(content)
    done = run(
        *("complete", "-m", str(tiny_model), "-n", "1", "--calibration", str(file), *flags, "the")
    )
    assert_one_line(done, code, wanted)


def test_no_more_is_read_than_counts(tiny_model, tmp_path):
    """Catches a file of any size that is read whole, and a character that is cut in two."""
    tokenizer, file = Tokenizer(tiny_model), tmp_path / "text"
    file.write_bytes(b"a" + "é".encode() * calibration._BYTES)
    found = calibration.pieces(file, tokenizer, SPEC)
    assert sum(map(len, found)) == calibration.MOST
    assert {len(each) for each in found} == {min(calibration.PIECE, SPEC.context)}
    with file.open("ab") as opened:
        opened.truncate(1 << 40)
    assert calibration.pieces(file, tokenizer, SPEC) == found


def test_a_process_that_is_measured_gets_it(text):
    """Catches a benchmark whose processes run other weights."""
    assert f"--calibration={text}" in completion(Compute(dtype="int4", calibration=text))
