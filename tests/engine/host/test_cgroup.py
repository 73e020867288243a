"""The limits of cgroups, on files that are made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from gptcli.engine.host.cgroup import cpu_limit

V2 = "0::/a/b\n"
V1 = "12:memory:/a/b\n5:cpu,cpuacct:/a/b\n4:cpuset:/a/b\n1:name=systemd:/a\n"


@pytest.fixture
def limited(tmp_path: Path):
    """The limit that processes see whose /proc/self/cgroup and other files are these."""

    def limit(cgroup: str | None, **files: str) -> int | None:
        if cgroup is not None:
            files["proc/self/cgroup"] = cgroup
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return cpu_limit(tmp_path)

    return limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000\n", 2),
        ("max 100000\n", None),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("800000 50000\n", 16),
        ("", None),
        ("nonsense", None),
        ("100000 0\n", None),
        ("-1 100000\n", None),
        ("200000 100000 7\n", None),
    ],
)
def test_v2(limited, text, expected):
    """Catches a limit that is not seen, or one made of a file that says something else."""
    assert limited(V2, **{"sys/fs/cgroup/a/b/cpu.max": text}) == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [("300000", 3), ("-1", None), ("250000", 3), ("0", None), ("x", None)]
)
@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_v1(limited, quota, expected, mount):
    """Catches the older files not being read, or -1, which is no limit, being taken for one."""
    place = f"sys/fs/cgroup/{mount}/a/b"
    files = {f"{place}/cpu.cfs_quota_us": quota, f"{place}/cpu.cfs_period_us": "100000\n"}
    assert limited(V1, **files) == expected


def test_the_tightest_limit_above_us_counts(limited):
    """Catches looking at our own cgroup alone: a parent's limit holds for all below it."""
    files = {
        "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        "sys/fs/cgroup/a/cpu.max": "300000 100000",
        "sys/fs/cgroup/cpu.max": "400000 100000",
    }
    assert limited(V2, **files) == 3


def test_a_container_sees_the_end_of_the_path_only(limited):
    """Catches a path of the machine that is looked for in vain where only its end is mounted."""
    mounted = {"sys/fs/cgroup/cpu.max": "200000 100000"}
    assert limited("0::/docker/0123/init.scope\n", **mounted) == 2
    assert limited("0::/../other\n", **mounted) == 2
    assert limited("0::/\n", **mounted) == 2


def test_both_versions_at_once(limited):
    """Catches v2's files being looked for at v1's place."""
    files = {"sys/fs/cgroup/unified/a/b/cpu.max": "200000 100000"}
    assert limited(V1 + V2, **files) == 2


def test_another_system(limited, tmp_path):
    """Catches a traceback where there are no cgroups."""
    assert limited(None) is None
    assert limited("garbage without colons\n\n:::\n") is None
    (tmp_path / "proc/self/cgroup").write_bytes(b"\xff\xfe")
    assert cpu_limit(tmp_path) is None


def test_a_path_stays_within_the_mount(limited):
    """Catches a path that climbs out of the place where cgroups are."""
    files = {"sys/cpu.max": "100000 100000", "sys/fs/cgroup/cpu.max": "500000 100000"}
    assert limited("0::/../..\n", **files) == 5
