"""What dtypes cost, as it is shown."""

from __future__ import annotations

import io
import json
import math

import pytest

from gptcli.types.dtype_comparison import DtypeComparison
from gptcli.types.token import Source
from gptcli.ui.views import dtype_comparison as view
from tests.ui.screens import seen, written

EXACT = Source("tiny", "cpu", "float32")


def compared(dtype: str, activations: str | None, **numbers: float) -> DtypeComparison:
    known = {
        "divergence": 0.00345,
        "divergence_99": 0.0151,
        "exact_perplexity": 27.33,
        "perplexity": 27.38,
        "agreement": 0.959,
    }
    source = Source("tiny", "cpu", dtype, (), activations)
    return DtypeComparison(EXACT, source, 5813, 0, 3, 64, 32, **(known | numbers))


FOUND = [compared("bfloat16", None), compared("int4", "int8", divergence=9.3e-5, agreement=1.0)]


@pytest.mark.parametrize("width", [20, 27, 40, 60, 200])
def test_rows_fit_the_terminal(width):
    """Catches a row that breaks, and a dtype or its divergence that is lost on a narrow screen."""
    text = written(lambda stream: view.show(stream, FOUND), width)
    rows = seen(text.split("\n\n")[0] + "\n", width)
    assert len(rows) == 4
    for row, name, divergence in zip(
        rows[1:], ("float32", "bfloat16", "int4"), ("", "0.00345", "9.3e-05"), strict=True
    ):
        assert row.startswith(name) and divergence in row
    assert ("activations" in rows[0]) == (width >= 80)


def test_what_is_impossible_is_no_number_of_json():
    """Catches an infinity that makes JSON no JSON, and one that a row leaves out."""
    forbidden = compared(
        "int4", "int8", divergence=math.inf, divergence_99=math.inf, perplexity=math.inf
    )
    found = view.as_json([forbidden])["dtypes"][0]
    assert json.loads(json.dumps(found, allow_nan=False))["kl_mean"] is None
    assert (found["kl_99"], found["perplexity"]) == (None, None)
    stream = io.StringIO()
    view.show(stream, [forbidden])
    head, row = (line.split("\t") for line in stream.getvalue().splitlines())
    assert dict(zip(head, row, strict=True))["kl_mean"] == "inf"
