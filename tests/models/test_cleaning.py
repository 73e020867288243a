"""What gptcli keeps of models: told, and gone when nobody needs it."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Kind

from gptcli import config, models
from gptcli.errors import UsageError
from gptcli.models import packed, prompts, store
from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import copy_case
from tests.models.test_gguf_blocks import in_place
from tests.opening import open_kernels

pytestmark = needs_kernels
DAY = 24 * 3600


@pytest.fixture
def gguf(tmp_path: Path, write_llama) -> Path:
    path = tmp_path / "x.gguf"
    write_llama(path, Kind.Q8_0)
    return path


def opened(directory: Path) -> None:
    assert open_kernels(directory, threads=1, ctx_size=16) is not None


def kept() -> list[Path]:
    return [copy.path for copy in packed.copies()]


def unused(days: float) -> None:
    """Nothing was run for so long."""
    then = time.time() - days * DAY
    for path in config.packed_dir().iterdir():
        os.utime(path, (then, then))


def listed(name: str) -> dict[str, object]:
    done = run("models", "list", "--json")
    return next(each for each in json.loads(done.out) if each["name"] == name)


def test_a_use_is_noted(gguf: Path) -> None:
    """Catches a list that calls a model unused which runs every day."""
    directory = in_place(gguf)
    opened(directory)
    unused(40)
    (before,) = packed.copies()
    assert before.used == pytest.approx(time.time() - 40 * DAY, abs=60)
    # As if the file were of then; its own time is a part of its stamp.
    opened(directory)
    (after,) = packed.copies()
    assert after.used == pytest.approx(time.time(), abs=60)
    assert after.directory == directory.resolve() and not after.orphan


def test_what_is_packed_is_listed(gguf: Path, tmp_path: Path) -> None:
    """Catches gigabytes that `models list` never shows, a user's own above all."""
    directory, own = in_place(gguf), copy_case("llama/tied", tmp_path / "mine")
    assert listed(directory.name)["packed_bytes"] == 0
    assert listed(directory.name)["last_used"] is None
    opened(directory)
    opened(own)
    one, two = listed(directory.name), listed(str(own))
    sizes = {copy.directory: copy.size for copy in packed.copies()}
    assert one["packed_bytes"] == sizes[directory] and two["packed_bytes"] == sizes[own]
    used = datetime.strptime(str(two["last_used"]), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(used.timestamp() - time.time()) < 60
    assert two["source"] == "your own directory" and two["path"] == str(own)
    heads, *plain = run("models", "list").out.decode().splitlines()
    assert heads == "model\tbytes\tsource\tpath\tpacked bytes\tlast use"
    assert any(line.split("\t")[0] == str(own) and len(line.split("\t")) == 6 for line in plain)


def test_a_directory_of_the_user_s_stays(tmp_path: Path) -> None:
    """Catches weights of the user's that are gone, and packed ones that are left for ever."""
    own = copy_case("llama/tied", tmp_path / "mine")
    before = sorted(path.name for path in own.iterdir())
    with pytest.raises(UsageError, match="your own directory"):
        models.remove(str(own))
    opened(own)
    size = sum(copy.size for copy in packed.copies())
    assert size > 0
    done = run("models", "rm", str(own))
    assert done.code == 0 and done.err.endswith(f"kept of {own}; the directory stays\n")
    assert kept() == [] and sorted(path.name for path in own.iterdir()) == before


def test_a_gguf_file_stays(gguf: Path) -> None:
    """Catches the same of a file, and packed weights that its model leaves."""
    opened(in_place(gguf))
    done = run("models", "rm", str(gguf))
    assert done.code == 0 and done.err.endswith(f"kept of {gguf}; the file stays\n")
    assert kept() == [] and store.names() == [] and gguf.exists()


def test_orphans_go(gguf: Path, tmp_path: Path) -> None:
    """Catches packed weights of a model that is gone, and those of one that is there gone, too."""
    gone, stays = (copy_case("llama/tied", tmp_path / name) for name in ("gone", "stays"))
    directory = in_place(gguf)
    for each in (gone, stays, directory):
        opened(each)
    assert models.clean() == [] and len(kept()) == 3
    gone.rename(tmp_path / "elsewhere")
    gguf.unlink()
    (config.packed_dir() / "old-0123.int8").write_bytes(b"GPTPACK\0" + bytes(5000))
    told = models.clean(dry=True)
    assert len(kept()) == 4 and store.names() == [directory.name]
    assert run("models", "clean", "--dry-run").out.count(b"\n") == len(told) == 4
    reasons = " ".join(each.reason for each in told)
    for words in (f"{gguf} is missing", f"{gone}, which is gone", "another version of gptcli"):
        assert words in reasons
    done = run("models", "clean")
    assert done.code == 0 and "removed" in done.err and "in 4 places" in done.err
    (left,) = packed.copies()
    assert left.directory == stays and store.names() == []
    assert models.clean() == []


def test_what_nobody_used_goes(tmp_path: Path) -> None:
    """Catches days that are counted as hours, and a model that was used yesterday gone."""
    own, other = (copy_case("llama/tied", tmp_path / name) for name in ("own", "other"))
    opened(own)
    unused(10.5)
    opened(other)
    assert models.clean() == [] and models.clean(older_than=11) == []
    (found,) = models.clean(older_than=10)
    assert found.reason.endswith(f"{own}, not used for 10 days") and not found.path.exists()
    (left,) = packed.copies()
    assert left.directory == other
    opened(own)
    assert len(kept()) == 2


def test_tokenizers_go_with_their_model(tmp_path: Path) -> None:
    """Catches a tokenizer left behind, and one gone whose directory has no packed weights yet."""
    own = copy_case("llama/tied", tmp_path / "own")
    opened(own)
    for directory in (own, tmp_path / "other"):
        config.kept_tokenizer(directory).write_bytes(b"a tokenizer")
    assert models.clean() == []
    own.rename(tmp_path / "elsewhere")
    assert {each.path.suffix for each in models.clean()} == {".float32", ".tokenizer"}
    assert kept() == [config.kept_tokenizer(tmp_path / "other")]
    assert not any(str(tmp_path / "other") in str(each.path) for each in models.listing())
    unused(3)
    (found,) = models.clean(older_than=2)
    assert found.reason == "a tokenizer that was kept 3 days ago" and kept() == []


def test_days_are_a_number() -> None:
    """Catches a time that clears everything."""
    for days in ("-1", "soon", "1e9999"):
        assert run("models", "clean", "--older-than", days).code == 2


def test_prompts_go_with_their_model(tmp_path: Path, base_model: Path) -> None:
    """Catches what somebody asked that stays on the disk when the model is gone, or he wants it
    gone, and prompts of another model that go.
    """
    one, two = (tmp_path / name for name in ("one", "two"))
    text = "0123456789" * 33
    for directory in (one, two):
        shutil.copytree(base_model, directory)
        done = run("complete", "-m", str(directory), "-n", "1", "--prompt-cache", "auto", text)
        assert done.code == 0
    found = {each.directory for each in prompts.kept()}
    assert found == {one.resolve(), two.resolve()} and models.clean() == []
    assert run("models", "rm", str(one)).code == 0
    assert [each.directory for each in prompts.kept()] == [two.resolve()]
    (last,) = prompts.kept()
    then = time.time() - 40 * DAY
    os.utime(last.path, (then, then))
    assert [each.path for each in models.clean(older_than=39, dry=True)] == [last.path]
    two.rename(tmp_path / "elsewhere")
    assert last.path in {each.path for each in models.clean(dry=True)}
    done = run("models", "clean", "--prompts")
    assert done.code == 0 and str(last.path) in done.text and prompts.kept() == []
