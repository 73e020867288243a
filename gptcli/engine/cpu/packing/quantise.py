"""Floats → ggml's blocks, by the search of source/quantise/."""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import calls
from gptcli.engine.cpu.binding.abi import Form
from gptcli.engine.cpu.binding.library import Library
from gptcli.formats import ggml_blocks
from gptcli.plain import dataclass

#: The forms that there is a search for.
SEARCHED = (
    *(Form.Q4_0, Form.Q4_1, Form.IQ4_NL, Form.Q5_0, Form.Q5_1, Form.Q8_0),
    *(Form.Q4_K, Form.Q5_K, Form.Q6_K),
)
_REFUSED = {
    2: "has numbers that are not finite",
    3: "has numbers beyond 65504, for which blocks have no scale",
}


@dataclass(frozen=True)
class Quantised:
    """Rows of blocks, (rows, bytes), the last of a row filled up with zeros.

    errors: Σ weight · (what is left)² of each row.
    """

    rows: NDArray[np.uint8]
    errors: NDArray[np.float64]


def quantise(
    numbers: NDArray[np.float32],
    form: Form,
    library: Library,
    *,
    weights: NDArray[np.float32] | None = None,
    threads: int = 1,
    quick: bool = False,
) -> Quantised:
    """(rows, columns) → blocks of a form, one of SEARCHED.

    weights: how much an error in each column weighs, (columns); by default all alike. quick: a
    search that ends early, some steps from the best. The bytes are the same with any number of
    threads and on every processor. Raises ValueError for numbers that cannot be quantised, saying
    why in a few words.
    """
    rows, columns = numbers.shape
    numbers = np.ascontiguousarray(numbers)
    per, size = ggml_blocks.NUMBERS[form.name], ggml_blocks.SIZES[form.name]
    out = np.empty((rows, -(-columns // per) * size), dtype=np.uint8)
    errors = np.zeros(rows)
    if weights is not None:
        weights = np.ascontiguousarray(weights, dtype=np.float32)
        if weights.shape != (columns,):
            raise ValueError(f"{weights.shape} are no weights for {columns} columns")
    job = calls.Quantising(
        form.name.lower().encode(),
        numbers.ctypes.data,
        rows,
        columns,
        None if weights is None else weights.ctypes.data,
        out.ctypes.data,
        errors.ctypes.data,
        quick,
    )
    refused = library.functions.kernels_quantise(
        library.instructions.encode(), c.byref(job), threads
    )
    if refused:
        raise ValueError(_REFUSED.get(refused, f"cannot become {form.name}"))
    return Quantised(out, errors)


@dataclass
class Rounding:
    """How floats become blocks while a model is packed, and what that has cost so far.

    weights: for sections, by name, how much an error in each column weighs. quick: see `quantise`.
    error: Σ weight · (what is left)²; size: the same of the numbers themselves.
    """

    weights: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    quick: bool = False
    error: float = 0.0
    size: float = 0.0

    def rows(
        self,
        section: str,
        numbers: NDArray[np.float32],
        form: Form,
        library: Library,
        threads: int,
    ) -> NDArray[np.uint8]:
        """Some rows of a section as blocks. Raises as `quantise`."""
        weights = self.weights.get(section)
        found = quantise(numbers, form, library, weights=weights, threads=threads, quick=self.quick)
        squares = np.einsum("rc,rc->c", numbers, numbers, dtype=np.float64)
        self.error += float(found.errors.sum())
        self.size += float(squares.sum() if weights is None else squares @ weights)
        return found.rows

    @property
    def changed(self) -> float:
        """How large what is left is beside the numbers: the root of the ratio of mean squares."""
        return float(np.sqrt(self.error / self.size)) if self.size else 0.0
