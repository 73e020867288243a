"""A described model → a Runner: by the kernels where they can, else by torch.

The only place that chooses. A model that the kernels run never imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.engine.cpu.opening import open_kernels
from gptcli.engine.describe import Described
from gptcli.engine.host import gpu
from gptcli.engine.runner import Runner
from gptcli.errors import UsageError
from gptcli.types.compute import QUANTISED, Compute


def open_runner(
    described: Described, compute: Compute, texts: Sequence[Sequence[int]] = ()
) -> Runner:
    """The model, ready to run as `compute` says. Raises the errors of the two ways to open it.

    texts: pieces of the calibration text of `compute`, as ids.
    """
    on_cpu = is_cpu(compute.device)
    if on_cpu and not compute.adapter:
        found = open_kernels(described, compute, texts)
        if found is not None:
            return found
    of_kernels = {
        # A GPU has kernels of its own, where torch has.
        "--dtype": compute.dtype if on_cpu and compute.dtype in QUANTISED else None,
        "--calibration": None if compute.calibration is None else str(compute.calibration),
        "--kv-dtype": compute.kv_dtype if compute.kv_dtype != "auto" else None,
    }
    for flag, name in of_kernels.items():
        if name is not None:
            what = "adapters are added" if compute.adapter else "the model runs on a GPU"
            reason = f"{name} needs the CPU kernels, which do not serve where {what}"
            raise UsageError(flag, reason)
    import torch

    from gptcli.engine.torch.loader import load

    if compute.threads is not None:
        torch.set_num_threads(compute.threads)
    return load(described, compute)


def is_cpu(device: str) -> bool:
    """Whether a device, as --device names it, is the CPU; only one that may not be asks torch."""
    if device != "auto":
        return device == "cpu"
    if not gpu.may_be_there():
        return True
    from gptcli.engine.torch.loader import pick_device

    return pick_device(device).type == "cpu"
