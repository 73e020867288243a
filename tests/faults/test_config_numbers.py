"""Numbers of a config that Python or numpy would have had something to say about."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from gptcli.engine.describe import describe
from gptcli.errors import ModelError
from tests.engine.helpers import GOLDENS
from tests.opening import load, open_runner

_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
#: What a config says → what is said of it: nothing where it can be run.
CASES: dict[str, tuple[dict[str, Any], str | None]] = {
    "yarn with a base of 1": ({"rope_scaling": _YARN, "rope_theta": 1.0}, "more than 1 with yarn"),
    "yarn of endless turns": ({"rope_scaling": {**_YARN, "beta_fast": 1e308}}, "number of turns"),
    "yarn of no turns": ({"rope_scaling": {**_YARN, "beta_slow": 1e-320}}, "number of turns"),
    "yarn beyond all": ({"rope_scaling": {**_YARN, "factor": 1e308}}, "'factor' must be"),
    "dynamic beyond all": (
        {"rope_scaling": {"rope_type": "dynamic", "factor": 1e308}}, "'factor' must be"),
    "a tiny base": ({"rope_theta": 1e-300}, None),
    "a huge base": ({"rope_theta": 1e300}, None),
    "llama3 of extremes": (  # its formula divides by both
        {"rope_scaling": {"rope_type": "llama3", "factor": 1e-300, "low_freq_factor": 1e-300,
                          "high_freq_factor": 1e300, "original_max_position_embeddings": 16}},
        None,
    ),
    "features beyond the file": ({"hidden_size": 2**24, "num_attention_heads": 2**20}, "has shape"),
    "a vocabulary beyond the file": ({"vocab_size": 2**24}, "has shape"),
    "true for one": ({"num_hidden_layers": True}, "must be a whole number"),
    "less than nothing": ({"num_key_value_heads": -1}, "must be a whole number"),
}  # fmt: skip


def _changed(to: Path, fields: dict[str, Any], text: str | None = None) -> Path:
    shutil.copytree(GOLDENS / "llama/tied", to)
    config = json.loads((to / "config.json").read_text())
    for name in ("rope_parameters", "rope_scaling", "rope_theta"):
        config.pop(name, None)
    written = json.dumps(config | fields)
    (to / "config.json").write_text(written[:-1] + (text or "") + "}")
    return to


@pytest.mark.parametrize("opened", [load, open_runner])
@pytest.mark.parametrize("what", CASES)
def test_numbers_of_a_config(tmp_path: Path, what: str, opened: Any) -> None:
    """A ZeroDivisionError of a logarithm, an OverflowError, numpy's warnings on stderr."""
    fields, reason = CASES[what]
    directory = _changed(tmp_path / "m", fields)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if reason is None:
            runner = opened(directory)
            runner.prefill([[1, 2, 3]], runner.new_state(1))
            return
        with pytest.raises(ModelError, match=reason):
            opened(directory)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f', "x": {"1" * 5000}', "a number has too many digits"),
        (f', "x": 0.{"1" * 5000}', "a number has too many digits"),
        (', "x": ' + "[" * 100_000, "nested too deeply"),
        (', "x": "\\ud800"', "half a character"),
        (', "x": 1, "x": 2', "a key appears twice"),
        (', "rope_theta": 1e400', "must be finite"),
        (', "rope_theta": -0', "must be finite and more than 0"),
        (', "rope_theta": NaN', "must be finite"),
    ],
)
def test_numbers_of_json(tmp_path: Path, text: str, reason: str) -> None:
    """What the interpreter says to programmers, told to people."""
    with pytest.raises(ModelError, match=reason):
        describe(_changed(tmp_path / "m", {}, text))


def test_kinds_of_layers_that_are_lists(tmp_path: Path) -> None:
    """A committed case: a kind that cannot stand in a set, and one that fills the memory."""
    (case, *_) = sorted((GOLDENS / "gpt_neo").iterdir())
    for kinds in ([[[[]], 2]], [["g" * 1_000_000, 10**9]], [[["global"], 1]] * 100_000):
        shutil.rmtree(tmp_path / "m", ignore_errors=True)
        shutil.copytree(case, tmp_path / "m")
        config = json.loads((case / "config.json").read_text())
        config["attention_types"] = kinds
        (tmp_path / "m" / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="'attention_types' must make"):
            describe(tmp_path / "m")
