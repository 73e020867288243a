"""Servers with the default model's weights in float32, up for as long as tests ask."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backends.remote.serving import free_port
from tests.servers import places

#: What the servers call the model.
NAME = "smollm2-f32"
#: A control vector, how often it is added, and behind which layers, the last one too.
STEERED = Path(__file__).parents[1] / "steering" / "joy.gguf", 0.4, (10, 18)
#: Seconds until a server has to be ready; vLLM's CPU build imports for a minute.
_READY = 300


@pytest.fixture(scope="session")
def float32_gguf(default_gguf: Path) -> Path:
    """The default model's numbers as a GGUF file of float32."""
    to = default_gguf.with_name("smollm2-F32.gguf")
    if not to.exists():
        quantize = places.llama("llama-quantize")
        scratch = to.with_suffix(".part")
        command = [quantize, "--allow-requantize", default_gguf, scratch, "F32"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        scratch.replace(to)
    return to


@pytest.fixture(scope="session")
def vllm(plain_default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM in float32: its base URL."""
    with _vllm(plain_default_model, "float32", tmp_path_factory.mktemp("vllm")) as url:
        yield url


@pytest.fixture(scope="session")
def vllm_bfloat16(
    plain_default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same in bfloat16."""
    with _vllm(plain_default_model, "bfloat16", tmp_path_factory.mktemp("vllm16")) as url:
        yield url


@pytest.fixture(scope="session")
def llama_server(float32_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama-server in float32, its keys and values as well: its base URL."""
    with _llama_server(float32_gguf, tmp_path_factory.mktemp("llama")) as url:
        yield url


@pytest.fixture(scope="session")
def steered_llama_server(
    float32_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same, with a control vector behind some layers."""
    vector, scale, (first, last) = STEERED
    flags = ("--control-vector-scaled", f"{vector}:{scale}")
    flags += ("--control-vector-layer-range", str(first), str(last))
    with _llama_server(float32_gguf, tmp_path_factory.mktemp("llama-steered"), *flags) as url:
        yield url


@pytest.fixture(scope="session")
def own(plain_default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """gptcli's own in float32: its base URL."""
    port, home = free_port(), tmp_path_factory.mktemp("own")
    # Called as the others call it.
    (home / NAME).symlink_to(plain_default_model)
    command = [sys.executable, "-m", "gptcli", "serve", "-m", str(home / NAME)]
    command += ["--dtype", "float32", "--port", str(port)]
    with _running(command, port, home, {"GPTCLI_DATA_DIR": str(home / "data")}) as url:
        yield url


@contextmanager
def _llama_server(gguf: Path, home: Path, *flags: str) -> Iterator[str]:
    port = free_port()
    command = [
        *(str(places.llama("llama-server")), "-m", str(gguf), "-a", NAME),
        *("--port", str(port), "-c", "8192", "-np", "4", "--no-webui"),
        *("-ctk", "f32", "-ctv", "f32", "-fa", "off", *flags),
    ]
    with _running(command, port, home, {}) as url:
        yield url


@contextmanager
def _vllm(model: Path, dtype: str, home: Path) -> Iterator[str]:
    port = free_port()
    command = [
        *(str(places.vllm()), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", NAME, "--dtype", dtype),
        *("--port", str(port), "--max-model-len", "2048", "--enforce-eager"),
    ]
    variables = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    with _running(command, port, home, variables) as url:
        yield url


@contextmanager
def _running(command: list[str], port: int, home: Path, variables: dict[str, str]) -> Iterator[str]:
    """A server that is ready, and is gone afterwards."""
    log = home / "log"
    environment = {**os.environ, **variables, "HOME": str(home)}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=home, env=environment)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _READY
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(log.read_text(errors="replace")[-4000:])
