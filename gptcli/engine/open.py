"""A described model → a Runner: by the kernels where they can, else by torch.

The only place that chooses. A model that the kernels run never imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from gptcli import signals
from gptcli.engine.cpu.opening import QUANTISED, open_kernels
from gptcli.engine.describe import Described
from gptcli.engine.host import gpu
from gptcli.engine.runner import Runner, context_in_use
from gptcli.errors import UsageError
from gptcli.types.models import AdapterRef


def open_runner(
    described: Described,
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    exact_activations: bool = False,
    cpu_features: str = "auto",
    limit: int | None = None,
    adapters: Sequence[AdapterRef] = (),
    apart: bool = False,
) -> Runner:
    """The model, ready to run; `threads` are those of a CPU. Raises the errors of `load.load`.

    exact_activations: see KernelModel; cpu_features: one of types.compute.CPU_FEATURES.
    """
    if not adapters and is_cpu(device):
        found = open_kernels(
            described,
            dtype,
            threads,
            context_in_use(described.spec, limit),
            exact_activations=exact_activations,
            features=cpu_features,
        )
        if found is not None:
            return found
    if dtype in QUANTISED:
        what = "adapters are added" if adapters else "the model runs on a GPU"
        raise UsageError(
            "--dtype", f"{dtype} needs the CPU kernels, which do not serve where {what}"
        )
    with signals.held():
        import torch

        from gptcli.engine.torch.loader import load
    if threads is not None:
        torch.set_num_threads(threads)
    return load(described, device=device, dtype=dtype, limit=limit, adapters=adapters, apart=apart)


def is_cpu(device: str) -> bool:
    """Whether a device, as --device names it, is the CPU; only one that may not be asks torch."""
    if device != "auto":
        return device == "cpu"
    if not gpu.may_be_there():
        return True
    with signals.held():
        from gptcli.engine.torch.loader import pick_device
    return pick_device(device).type == "cpu"
