"""What memory there is for a model, in containers too."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gptcli.engine.host import memory
from gptcli.engine.host.cgroup import memory_left
from gptcli.errors import ResourceError
from tests.engine.cpu.small import SPEC

MB = 1 << 20
V1 = "12:memory:/a/b\n5:cpu,cpuacct:/a/b\n"


def made(root: Path, cgroup: str, **files: object) -> int | None:
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(text))
    return memory_left(root)


def of_v2(place: str, limit: object, used: int, cached: int = 0, high: object = "max"):
    return {
        f"sys/fs/cgroup/{place}memory.max": limit,
        f"sys/fs/cgroup/{place}memory.high": high,
        f"sys/fs/cgroup/{place}memory.current": used,
        f"sys/fs/cgroup/{place}memory.stat": f"anon 5\nactive_file {cached}\ninactive_file 0\n",
    }


def of_v1(place: str, limit: int, used: int, cached: int = 0):
    return {
        f"sys/fs/cgroup/memory/{place}memory.limit_in_bytes": limit,
        f"sys/fs/cgroup/memory/{place}memory.usage_in_bytes": used,
        f"sys/fs/cgroup/memory/{place}memory.stat": f"total_inactive_file {cached}\nshmem 9\n",
    }


def test_v2(tmp_path):
    """Catches a container of 512 MB that is taken for the machine of 64 GB around it."""
    assert made(tmp_path, "0::/a/b\n", **of_v2("a/b/", 512 * MB, 100 * MB)) == 412 * MB


def test_what_files_take_can_be_taken_back(tmp_path):
    """Catches a model that is refused since its own file is in the cache."""
    assert made(tmp_path, "0::/\n", **of_v2("", 512 * MB, 500 * MB, cached=300 * MB)) == 312 * MB


def test_the_tightest_limit_counts(tmp_path):
    """Catches a parent's limit that is not seen, and that above which a container is throttled."""
    files = of_v2("a/b/", "max", 10 * MB) | of_v2("a/", 200 * MB, 50 * MB)
    assert made(tmp_path, "0::/a/b\n", **files) == 150 * MB
    files |= of_v2("a/b/", "max", 10 * MB, high=60 * MB)
    assert made(tmp_path, "0::/a/b\n", **files) == 50 * MB


def test_v1(tmp_path):
    """Catches the older files not being read, and their way to say that there is no limit."""
    files = of_v1("a/b/", 256 * MB, 100 * MB, cached=20 * MB) | of_v1("", 2**63 - 4096, 10**9)
    assert made(tmp_path, V1, **files) == 176 * MB


@pytest.mark.parametrize("limit", ["max", "", "x", "1 2"])
def test_no_limit(tmp_path, limit):
    """Catches a traceback where a file says something else, and where there is none."""
    assert made(tmp_path, "0::/a\n", **of_v2("a/", limit, 100)) is None
    assert memory_left(tmp_path / "elsewhere") is None


def test_over_the_limit_nothing_is_left(tmp_path):
    """Catches less than no memory, of which the tool would speak."""
    assert made(tmp_path, "0::/\n", **of_v2("", 10 * MB, 12 * MB)) == 0


def test_the_lesser_of_both_is_available(monkeypatch):
    """Catches a container's limit that is found and not used."""
    whole = memory.available_bytes("cpu")
    monkeypatch.setattr(memory, "memory_left", lambda: 5 * MB)
    assert memory.available_bytes("cpu") == (5 * MB if whole is not None else None)


def test_what_is_computed_with_counts(monkeypatch):
    """Catches a model that is let in with no byte left for its first forward."""
    context = 512
    cache = SPEC.cache_bytes(memory.LEAST_TOKENS, 4)
    scratch = memory.scratch_bytes(SPEC, memory.LEAST_TOKENS, 4)
    assert scratch > 4 * memory.LEAST_TOKENS * 3 * SPEC.width
    capped = dataclasses.replace(SPEC, attention_softcap=30.0)
    scores = 4 * SPEC.heads * memory.LEAST_TOKENS**2
    assert memory.scratch_bytes(capped, memory.LEAST_TOKENS, 4) == scratch + scores

    def check(free: int) -> None:
        monkeypatch.setattr(memory, "available_bytes", lambda _: free)
        given = {"dtype": "float32", "item": 4, "context": context, "device": "cpu"}
        memory.check("m", SPEC, MB, scratch=scratch, **given)

    check(MB + cache + scratch)
    with pytest.raises(
        ResourceError, match=r"1\.0 MB of memory for its weights in float32 and \S+"
    ):
        check(MB + cache + scratch - 1)
