"""What the hub offers, on terminals and for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from gptcli.types.models import Offer, OfferedVariant
from gptcli.ui.views import offers as view
from tests.ui.screens import assert_unbroken, seen, written

OFFER = Offer(
    name="org/some-model-with-a-name-GGUF",
    family="llama",
    parameters=4_000_000_000,
    downloads=123_456,
    licence="apache-2.0",
    gated=True,
    variants=(
        OfferedVariant("Q2_K", 1, 1_000_000_000, 1_200_000_000),
        OfferedVariant("Q4_K_M", 1, 2_500_000_000, 2_700_000_000),
        OfferedVariant("Q6_K", 2, None, None),
        OfferedVariant("Q8_0", 1, 4_000_000_000, 4_200_000_000),
    ),
    default="Q4_K_M",
    here=("Q2_K",),
)


def test_rows_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes that are rounded where a program reads them, or a column without its head."""
    view.show_found([OFFER], 2_000_000_000, sys.stdout)
    heads, row = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert dict(zip(heads, row, strict=True)) == {
        "model": OFFER.name,
        "variant": "Q4_K_M",
        "size": "2500000000",
        "runs here": "2700000000",
        "downloads": "123456",
        "licence": "apache-2.0, gated",
        "parameters": "4000000000",
        "variants": "Q2_K,Q4_K_M,Q6_K,Q8_0",
    }
    view.show_variants(OFFER, 2_000_000_000, sys.stdout)
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == [f"{OFFER.name}:Q2_K", "1000000000", "1200000000", "yes", "1"]
    assert rows[3] == [f"{OFFER.name}:Q6_K", "", "", "no", "2"] and len(rows) == 5


def test_json() -> None:
    """Names that --model does not take, or fits where nobody knows."""
    found = json.loads(json.dumps(view.as_json(OFFER, 2_000_000_000)))
    assert found["default"] == "Q4_K_M" and found["gated"] is True
    assert [each["fits"] for each in found["variants"]] == [True, False, None, False]
    assert found["variants"][1]["name"] == f"{OFFER.name}:Q4_K_M"
    assert {each["fits"] for each in view.as_json(OFFER, None)["variants"]} == {None}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    """A table that breaks, or one that lost the name or what it takes to run."""
    found = written(lambda stream: view.show_found([OFFER], 2_000_000_000, stream), width)
    assert_unbroken(found, width)
    (row,) = seen(found, width)[1:]
    assert row.startswith("org/some-model-") and "needs 2.7 GB" in row and "2.5 GB" in row
    listed = written(lambda stream: view.show_variants(OFFER, 2_000_000_000, stream), width)
    assert_unbroken(listed, width)
    rows = seen(listed, width)
    assert [word in "".join(rows) for word in ("fits", "unknown", "yes", "gated")] == [True] * 4


def test_a_name_that_drives_the_terminal() -> None:
    """A hub's answer that clears the screen."""
    offer = replace(OFFER, licence="\x1b[2Jmit", family="\x1b]0;x\x07llama")
    for show in (
        lambda stream: view.show_found([offer], None, stream),
        lambda stream: view.show_variants(offer, None, stream),
    ):
        assert "\x1b[2J" not in (text := written(show, 200)) and "\x1b]" not in text
