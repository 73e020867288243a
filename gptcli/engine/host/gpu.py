"""Whether torch might find a GPU, told without importing torch."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

#: Device files of the drivers that torch computes through on Linux: NVIDIA's (on servers and
#: desktops, and on Jetson boards), AMD's, and Windows' own inside WSL.
_DEVICES = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "kfd", "dxg")


def may_be_there(
    system: str = sys.platform, machine: str | None = None, devices: Path = Path("/dev")
) -> bool:
    """False only where torch cannot have a GPU either; whether it does, torch knows.

    A driver makes device files (Linux) or installs a library (Windows), whether or not this
    process may use the GPU. torch computes on the GPUs of Macs with Apple's processors only. An
    unknown system may have anything.
    """
    if system == "linux":
        return any(next(devices.glob(name), None) is not None for name in _DEVICES)
    if system == "darwin":
        return (machine or platform.machine()) == "arm64"
    if system == "win32":
        windows = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"))
        return (windows / "System32" / "nvcuda.dll").exists()
    return True
