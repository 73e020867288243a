"""Hatchling's hook: compile the kernels when gptcli is installed or a wheel is made.

Where that does not work the install goes on without them, and says so: everything then runs
through torch. GPTCLI_KERNELS=0 leaves them out, GPTCLI_KERNELS=1 makes it an error if they fail.
"""

from __future__ import annotations

import importlib.util
import os
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface):  # type: ignore[misc]
    """Builds the library into its place in the source tree, and ships it in the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel (`version` "standard" or "editable") is put together."""
        if self.target_name != "wheel" or os.environ.get("GPTCLI_KERNELS") == "0":
            return
        here = Path(self.root, "gptcli", "engine", "cpu")
        build = _load(here / "build.py")
        try:
            library = build.build(here)
        except build.BuildError as error:
            if os.environ.get("GPTCLI_KERNELS") == "1":
                raise
            (here / build.LIBRARY).unlink(missing_ok=True)
            self.app.display_warning(f"gptcli: no CPU kernels, torch will do their work: {error}")
            return
        # Any Python 3 can use it, as it knows nothing of Python; only the machine counts.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())


def _load(path: Path) -> ModuleType:
    """build.py by its path: gptcli cannot be imported while it is being built."""
    spec = importlib.util.spec_from_file_location("gptcli_kernels_build", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
