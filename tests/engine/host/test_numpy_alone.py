"""numpy is imported without threads of its own, and nobody else is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("said", [None, "3"])
def test_the_environment_is_as_it_was(said: str | None) -> None:
    """Catches a setting that torch, or a process that is begun, would obey too, and one that
    takes the place of the user's own."""
    code = (
        "import os, sys\nfrom gptcli.engine.host import numpy_alone\nbefore = dict(os.environ)\n"
        "numpy_alone.load()\nassert dict(os.environ) == before\n"
        f"assert ('numpy' in sys.modules) == {said is None}"
    )
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    env |= {} if said is None else {"OPENBLAS_NUM_THREADS": said}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=env)
