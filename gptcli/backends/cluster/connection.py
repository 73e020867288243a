"""Coming to a Ray cluster, or beginning one."""

from __future__ import annotations

import os
import socket
from typing import Any

from gptcli.errors import NetworkError, UsageError

_SECONDS = 10.0
#: Ray asks nobody whether it may tell its makers how it is used; this tells it not to.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def connected(address: str) -> Any:
    """The ray library, connected. Raises UsageError and NetworkError."""
    os.environ.update(_ENVIRONMENT)
    try:
        import ray
    except ImportError:
        raise UsageError("--ray", "needs pip install 'gptcli[ray]'") from None
    _check_there(address)
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address == "local":
        quiet["include_dashboard"] = False
    try:
        ray.init(address=address, ignore_reinit_error=True, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = f"no cluster: {str(error).splitlines()[0][:200]}"
        raise NetworkError(f"--ray {address}", reason) from None
    return ray


def _check_there(address: str) -> None:
    """Raise NetworkError where nobody listens: Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NetworkError(f"--ray {address}", f"nobody answers: {reason}") from None
