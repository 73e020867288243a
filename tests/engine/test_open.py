"""Which runner opens a model, and that the way to the kernels does without torch."""

from __future__ import annotations

import pytest

from gptcli.engine import open as opening
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.describe import describe
from gptcli.engine.host import gpu
from gptcli.engine.torch import loader as load
from gptcli.engine.torch.runner import TorchRunner
from gptcli.errors import UsageError
from tests.engine import numpy_llama
from tests.engine.helpers import GOLDENS

DESCRIBED = describe(GOLDENS / "llama" / "tied")


@pytest.mark.parametrize(
    ("name", "machine", "files", "expected"),
    [
        ("linux", "x86_64", [], False),
        ("linux", "x86_64", ["null", "nvme0", "dri"], False),
        ("linux", "x86_64", ["nvidia0", "nvidiactl"], True),
        ("linux", "x86_64", ["nvidia-caps"], True),
        ("linux", "aarch64", ["nvhost-gpu"], True),
        ("linux", "x86_64", ["kfd"], True),
        ("linux", "x86_64", ["dxg"], True),
        ("darwin", "arm64", [], True),
        ("darwin", "x86_64", [], False),
        ("freebsd14", "amd64", [], True),
    ],
)
def test_a_gpu_may_be_there(tmp_path, name, machine, files, expected):
    """Catches a machine with a GPU whose models run on its CPU."""
    for file in files:
        (tmp_path / file).touch()
    assert gpu.may_be_there(name, machine, tmp_path) is expected


def test_windows_has_one_where_the_driver_is(tmp_path, monkeypatch):
    """Catches a driver that is looked for in another place than where it installs itself."""
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert not gpu.may_be_there("win32")
    (tmp_path / "System32").mkdir()
    (tmp_path / "System32" / "nvcuda.dll").touch()
    assert gpu.may_be_there("win32")


def test_torch_has_no_gpu_where_none_may_be():
    """Catches a kind of GPU that torch knows of and we do not, on the machine that tests."""
    assert gpu.may_be_there() or load.pick_device("auto").type == "cpu"


@pytest.mark.parametrize(
    ("device", "may_be", "is_there", "kernels"),
    [
        ("auto", False, None, True),
        ("auto", True, False, True),
        ("auto", True, True, False),
        ("cpu", True, True, True),
        ("cuda", False, None, False),
        ("mps", True, True, False),
    ],
)
def test_kernels_are_for_the_cpu(monkeypatch, device, may_be, is_there, kernels):
    """Catches a GPU that is left idle, and torch asked where nothing is to be asked."""

    def pick(name):
        assert is_there is not None and name == "auto"
        return load.torch.device("cuda" if is_there else "cpu")

    monkeypatch.setattr(gpu, "may_be_there", lambda: may_be)
    monkeypatch.setattr(load, "pick_device", pick)
    monkeypatch.setattr(load, "load", lambda *given, **flags: (given, flags))
    monkeypatch.setattr(opening, "open_kernels", numpy_llama.open_kernels)
    found = opening.open_runner(DESCRIBED, device=device, limit=20)
    assert isinstance(found, KernelRunner) == kernels
    if kernels:
        assert found.limit == 20
    else:
        flags = {"device": device, "dtype": "auto", "limit": 20, "adapters": (), "apart": False}
        assert found == ((DESCRIBED,), flags)


def test_what_the_kernels_do_not_cover_goes_to_torch(monkeypatch):
    """Catches a model that is refused since it is not one of the kernels'."""
    monkeypatch.setattr(opening, "open_kernels", lambda *given, **flags: None)
    assert isinstance(opening.open_runner(DESCRIBED, device="cpu"), TorchRunner)


def test_a_limit_beyond_the_context_is_refused_before_the_kernels(monkeypatch):
    """Catches positions for which the kernels have no angles."""
    monkeypatch.setattr(opening, "open_kernels", numpy_llama.open_kernels)
    with pytest.raises(UsageError, match="more than the model's context"):
        opening.open_runner(DESCRIBED, device="cpu", limit=10_000)
