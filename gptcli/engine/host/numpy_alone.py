"""numpy without threads of its own.

Nothing here multiplies matrices by numpy, but the BLAS that it brings starts a thread for each core
when it is loaded, which look for work for a while, on the cores that the kernels have.
"""

from __future__ import annotations

import os
import sys

_THREADS = "OPENBLAS_NUM_THREADS"


def load() -> None:
    """Import numpy, if nobody has; the environment is as it was, for others with such a BLAS."""
    if "numpy" in sys.modules or _THREADS in os.environ:
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_THREADS]
