"""`--logit-bias FILE`: pairs in a JSON file, as if each were given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.helpers import run


def biases(tiny_model: Path, *flags: str):
    done = run("complete", "-m", str(tiny_model), "-n", "1", "--json", *flags, "the cat")
    assert done.code == 0, done.err
    return json.loads(done.out)["sampling"]["logit_bias"]


def test_a_file_says_what_flags_would(tiny_model, tmp_path):
    """Catches a pair of the file that is lost, and a file that takes the place of other flags."""
    file = tmp_path / "bias.json"
    file.write_text('{"3": -1.5, "4": "-inf", "5": 2}')
    flags = ("--logit-bias", "3=-1.5", "--logit-bias", "4=-inf", "--logit-bias", "5=2")
    expected = biases(tiny_model, *flags, "--logit-bias", "6=1")
    assert expected == {"3": -1.5, "4": "-inf", "5": 2.0, "6": 1.0}
    assert biases(tiny_model, "--logit-bias", str(file), "--logit-bias", "6=1") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "is not a JSON object"),
        ("{", "is not valid JSON"),
        ('{"3": "much"}', "'3' must have a number"),
        ('{"3": true}', "'3' must have a number"),
        ('{"3": 1e31}', "must be TOKEN=NUMBER"),
        ('{"3": 1, "3": 2}', "is not valid JSON"),
    ],
)
def test_what_is_no_file_of_biases(tmp_path, text, reason):
    """Catches a traceback, and a file that is half obeyed."""
    file = tmp_path / "bias.json"
    file.write_text(text)
    done = run("complete", "-m", "echo", "--logit-bias", str(file), "a")
    assert done.code == 4 and reason in done.err and str(file) in done.err
    missing = run("complete", "-m", "echo", "--logit-bias", str(tmp_path / "no.json"), "a")
    assert missing.code == 2 and "--logit-bias: must be TOKEN=NUMBER or a JSON file" in missing.err
