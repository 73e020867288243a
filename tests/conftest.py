"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model's directory, made once by `models.obtain` and kept between runs."""
    from gptcli import models

    cache = os.environ.get("GPTCLI_TEST_CACHE") or Path(tempfile.gettempdir()) / "gptcli-tests"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(Path(cache) / "data"))
        steps = models.obtain("smollm2")
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return Path(end.value.path)
