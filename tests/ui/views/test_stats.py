"""Numbers as people read them."""

from __future__ import annotations

import pytest

from gptcli import units
from gptcli.types.completion import Usage
from gptcli.types.drafts import STATES, Drafts
from gptcli.types.sampling import Sampling
from gptcli.types.token import Source
from gptcli.ui.views import stats


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (269e6, "269 MB"), (1.2e9, "1.2 GB")],
)
def test_sizes(count, text):
    """Catches binary units under decimal names, and four digits before a unit."""
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.085, "85 ms"), (1.239, "1.24 s"), (125, "2 min 5 s")]
)
def test_seconds(value, text):
    """Catches a unit that is off by a thousand."""
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(134515008, "134.5 M"), (8.03e9, "8.03 B"), (12, "12")]
)
def test_parameters(count, text):
    """Catches millions told as billions."""
    assert units.millions(count) == text


def usage(**fields: object) -> Usage:
    given = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "source": Source("m", "cpu", "float32"),
        "seed": 3,
        "samples": 1,
        "sampling": Sampling(),
        "prompt_seconds": 0.5,
        "decode_seconds": 2.0,
    }
    return Usage(**(given | fields))  # type: ignore[arg-type]


def test_rates_count_what_was_computed():
    """Catches the first token, which the prompt's logits gave, being counted as decoded."""
    text = "\n".join(stats.lines(usage(), 1.0))
    assert "(20.0 tokens/s)" in text
    assert "(2.0 tokens/s)" in text
    several = "\n".join(stats.lines(usage(samples=3), 1.0))
    assert "(1.0 tokens/s)" in several


def test_nothing_generated_has_no_rate():
    """Catches a division by zero, or a rate of nothing."""
    text = "\n".join(stats.lines(usage(completion_tokens=0, decode_seconds=0.0), 1.0))
    assert "tokens/s" not in text


def test_drafts():
    """Catches kept told as drafted, a reason that is not told, and a line where none was asked."""
    assert "drafts" not in "\n".join(stats.lines(usage()))
    found = stats.lines(usage(drafts=Drafts(12, 7) + Drafts(1, 1)))
    assert "drafts: 13 tokens, 8 of them kept" in found
    assert f"drafts: none, since {STATES}" in stats.lines(usage(drafts=Drafts(why_not=STATES)))
