"""Whatever stands where a prompt was kept: the answer is that of nothing kept."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.prompts.prompt_file import Whose, head_of
from gptcli.formats import packed_header
from gptcli.formats.packed_header import BEGIN, PROMPT
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.prompts.kept import HYBRID, A, B, asked, fresh, runner, store

pytestmark = needs_kernels
both = pytest.mark.parametrize("case", ["llama/tied", HYBRID])


def kept(case: str, path: Path) -> bytes:
    """The bytes of what is kept of a prompt of 20 tokens, with 3 more."""
    asked(runner(case), store(runner(case), path.parent, file=path), A[:20])
    return path.read_bytes()


def miss(case: str, tmp_path: Path, data: bytes) -> str:
    """Why nothing of a file is used that holds this; the answer is as it should be.

    Both where the user names the file, and among those that gptcli keeps by itself.
    """
    of, why = runner(case), set()
    with tempfile.TemporaryDirectory(dir=tmp_path) as directory:
        place = Path(directory)
        asked(of, store(of, place), A[:20])
        (path,) = place.iterdir()
        for kept_ in (store(of, place), store(of, place, file=path)):
            path.write_bytes(data)
            assert asked(of, kept_, A[:22]) == fresh(case, A[:22])
            used = kept_.used()
            assert (used.read, used.kept) == (0, 25) and used.why
            why.add(used.why)
            for each in place.iterdir():
                each.unlink()
    (found,) = why
    return found


@both
def test_a_flipped_bit(case, tmp_path):
    """Catches a part of the file that no checksum covers."""
    path = tmp_path / "kept"
    data, prompt = kept(case, path), (*A[:20], *B[:3], 5)
    for at in (9, 40, *range(BEGIN, len(data), len(data) // 40), len(data) - 1):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        of = runner(case)
        held = store(of, tmp_path, file=path)
        assert asked(of, held, prompt) == fresh(case, prompt)
        assert held.used().read == 0, at


@both
def test_torn_and_foreign_files(case, tmp_path):
    """Catches half a file, one with something behind it, zeros that a crash left, and files of
    another kind, which stay as they are.
    """
    path = tmp_path / "kept"
    data = kept(case, path)
    for broken in (data[:-1], data + b"\0", data[:BEGIN], data[:30], b"", data[:12] + bytes(9000)):
        path.write_bytes(broken)
        miss(case, tmp_path, broken)
    for foreign in (b"Dear diary", bytes(100_000), b"GPTPACK\0" + data[8:]):
        path.write_bytes(foreign)
        of = runner(case)
        held = store(of, tmp_path, file=path)
        prefix = PrefixCache(of, kept=held)
        prefix.prefill(A[:22])
        notice = prefix.keep()
        assert notice is not None and notice.text == "holds something else, and is left as it is"
        assert path.read_bytes() == foreign and held.used().kept == 0


@pytest.mark.parametrize("claim", ["link", "directory", "pipe", "gone", "forbidden"])
def test_what_is_no_file(claim, tmp_path):
    """Catches a wait at a pipe, a link that is followed to where it is written, and a traceback."""
    path, case = tmp_path / "kept", "llama/tied"
    data = kept(case, tmp_path / "real")
    make: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(tmp_path / "real"),
        "directory": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "gone": lambda: path.symlink_to(tmp_path / "nothing"),
        "forbidden": lambda: (tmp_path / "file").write_text(""),
    }
    make[claim]()
    if claim == "forbidden":
        path = tmp_path / "file" / "kept"
    of = runner(case)
    held = store(of, tmp_path, file=path)
    prefix = PrefixCache(of, kept=held)
    assert prefix.prefill(A[:22]).tobytes() == of.prefill([A[:22]], of.new_state()).tobytes()
    assert prefix.keep() is not None
    used = held.used()
    assert (used.read, used.kept) == (0, 0) and used.why
    assert (tmp_path / "real").read_bytes() == data


def test_links_in_the_directory_are_none_of_ours(tmp_path):
    """Catches a link among what is kept that is read, or whose aim goes."""
    of, place = runner("llama/tied"), tmp_path / "prompts"
    asked(of, store(of, place), A[:20])
    (path,) = place.iterdir()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    held = store(of, place)
    assert held.recall(A[:22], 21, 0).length == 0
    assert path.is_symlink() and (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "claim",
    [
        {"tokens": "4000000000"},
        {"tokens": "9" * 4000},
        {"tokens": "-1"},
        {"tokens": "0"},
        {"tokens": "41"},
        {"tokens": "x"},
        {"places": "1 2 3"},
        {"places": "5 5"},
        {"places": " ".join(map(str, range(1, 3000)))},
        {"places": "99999999999999"},
        {"fingerprint": "0" * 64},
        {"digest": ""},
    ],
    ids=lambda claim: "-".join(f"{name}={value:.12}" for name, value in claim.items()),
)
@both
def test_claims_are_held_to_the_file(case, claim, tmp_path):
    """Catches memory that is taken for what a stranger's file only says it holds."""
    path = tmp_path / "kept"
    data = kept(case, path)
    with path.open("rb") as file:
        said = packed_header.read(file, PROMPT)
    assert said is not None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    miss(case, tmp_path, packed_header.encode(said | claim, PROMPT) + data[BEGIN:])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_another_model_of_the_same_shape(tmp_path):
    """Catches states of other weights that are taken for these."""
    path, of = tmp_path / "kept", runner("llama/tied")
    asked(of, store(of, tmp_path, fingerprint="f" * 64, file=path), A[:20])
    why = miss("llama/tied", tmp_path, path.read_bytes())
    assert why == "it is of another model, or of other settings"


def test_more_tokens_than_the_context_in_use(tmp_path):
    """Catches room that is reserved for tokens that the context has none for."""
    path, of = tmp_path / "kept", runner("llama/tied")
    kept("llama/tied", path)
    whose = Whose(str(of.fingerprint), tmp_path)
    with path.open("rb") as file:
        assert head_of(file, whose, of.new_state(), 22) == "it is broken"
        file.seek(0)
        assert not isinstance(head_of(file, whose, of.new_state(), 23), str)
