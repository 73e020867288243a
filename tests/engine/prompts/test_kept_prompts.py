"""Prompts on the disk: the same bits as from nothing, less that is run, and bounds that hold."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.prompts import bounds
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.prompts.kept import CASES, HYBRID, A, B, asked, fresh, runner, store

pytestmark = needs_kernels
PLAIN = "llama/tied"
every_case = pytest.mark.parametrize(
    ("case", "dtype"), [*((case, "float32") for case in CASES), (PLAIN, "bfloat16")]
)


def files(place: Path) -> list[Path]:
    return sorted(place.iterdir())


@every_case
def test_what_is_read_goes_on_as_from_nothing(case, dtype, tmp_path):
    """Catches a head, a layer or a state that is left out, misplaced or rounded, and a place in a
    text at which another one ended.
    """
    of = runner(case, dtype)
    first = store(of, tmp_path)
    assert asked(of, first, A[:30]) == fresh(case, A[:30], dtype)
    assert (first.used().read, len(files(tmp_path))) == (0, 1)
    for prompt, most in (
        (A[:30], 29),
        ((*A[:30], *B[:3], 7, 8), 33),
        ((*A[:23], *B[:5]), 23),
        (A[:14], 13),
    ):
        kept = store(of, tmp_path)
        assert asked(of, kept, prompt) == fresh(case, tuple(prompt), dtype)
        read = kept.used().read
        assert read == most if of.new_state().rewinds else 8 < read <= most, prompt


@pytest.mark.parametrize("case", [PLAIN, HYBRID])
def test_conversations_and_copies(case, tmp_path):
    """Catches a state of the disk that takes the place of one that holds more, rows that share
    memory, and tokens that are told as reused though they were not here.
    """
    of = runner(case)
    asked(of, store(of, tmp_path), A[:20])
    kept = store(of, tmp_path)
    prefix = PrefixCache(of, kept=kept)
    state = prefix.copies(A[:20], 2)
    assert prefix.reused == 0 and kept.used().read >= 18
    logits = of.prefill([A[20:24], B[20:24]], state)
    for row, ids in enumerate(((*A[:24],), (*A[:20], *B[20:24]))):
        alone = of.prefill([ids], of.new_state())
        assert logits[row].tobytes() == alone.tobytes()
    prefix.prefill((*A[:20], *B[:9]))
    assert prefix.reused >= 18 and kept.used().read == 0


def test_a_text_that_goes_apart_leaves_a_place(tmp_path):
    """Catches a hybrid that reads again what follows its last place, each time, for ever."""
    of = runner(HYBRID)
    asked(of, store(of, tmp_path), (*A[:17], *B[:13]))
    reads = []
    for number in range(3):
        kept, prompt = store(of, tmp_path), (*A[:17], *B[20 + number : 28 + number])
        assert asked(of, kept, prompt) == fresh(HYBRID, prompt)
        reads.append(kept.used().read)
    # The first of them stops where the two go apart, and leaves a place there.
    assert reads == [9, 17, 17]


def test_what_is_worth_it(tmp_path):
    """Catches short prompts that fill the disk, a file for each question about one text, and files
    all of which is in another.
    """
    of = runner(PLAIN)
    asked(of, store(of, tmp_path), A[:2])
    assert files(tmp_path) == []
    asked(of, store(of, tmp_path), A[:12])
    (first,) = files(tmp_path)
    kept = store(of, tmp_path)
    asked(of, kept, (*A[:12], 3), tokens=2)
    assert files(tmp_path) == [first] and kept.used().kept == 0
    # Both the prompt and what was drawn after it.
    kept = store(of, tmp_path)
    asked(of, kept, (*A[:12], *B[:3], *A[:10]))
    (second,) = files(tmp_path)
    used = kept.used()
    assert (used.read, used.kept, used.bytes) == (15, 28, second.stat().st_size)
    assert second != first


def test_only_its_owner_reads_it(tmp_path):
    """Catches prompts that others on the machine can read."""
    of, place = runner(PLAIN), tmp_path / "prompts"
    before = os.umask(0)
    try:
        asked(of, store(of, place), A[:12])
        asked(of, store(of, place, file=tmp_path / "file"), A[:12])
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for path in (*files(place), tmp_path / "file"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_one_that_was_not_used_for_longest_goes(tmp_path, monkeypatch):
    """Catches a disk that fills up, and a prompt of every day that goes before one of last year."""
    of = runner(PLAIN)
    prompts = [(A[0] + 1 + n, *A[1:20]) for n in range(4)]
    for number, prompt in enumerate(prompts[:3]):
        asked(of, store(of, tmp_path), prompt)
        for path in files(tmp_path):
            if path.stat().st_mtime > 3:
                os.utime(path, (number, number))
    asked(of, store(of, tmp_path), prompts[0])  # a use
    size = files(tmp_path)[0].stat().st_size
    asked(of, store(of, tmp_path, most=3 * size), prompts[3])
    assert len(files(tmp_path)) == 3
    assert [store(of, tmp_path).recall(prompt, 19, 0).length for prompt in prompts] == [
        *(19, 0, 19, 19)
    ]
    # Too large for all of it; too many.
    small = store(of, tmp_path, most=size - 1)
    asked(of, small, (*B[:20],))
    used = small.used()
    assert used.kept == 0 and str(used.lost).endswith(" are more than --prompt-cache-size")
    assert len(files(tmp_path)) == 3
    monkeypatch.setattr(bounds, "MOST_FILES", 2)
    asked(of, store(of, tmp_path), (*B[:20],))
    assert len(files(tmp_path)) == 2


def test_a_file_of_the_user_s(tmp_path):
    """Catches a file that is written each time, or not even the first time, and one beside it."""
    of, path = runner(PLAIN), tmp_path / "mine"

    def ask(prompt) -> tuple[int, int]:
        kept = store(of, tmp_path / "no", file=path)
        assert asked(of, kept, prompt, tokens=1) == fresh(PLAIN, tuple(prompt), tokens=1)
        used = kept.used()
        return used.read, used.kept

    assert ask(A[:3]) == (0, 4)
    assert ask(A[:4]) == (3, 0)
    assert ask(A[:20]) == (3, 21)
    assert ask((*A[:18], 7)) == (18, 0)
    assert ask(B[:3]) == (0, 0)
    assert ask(B[:20]) == (0, 21)
    assert files(tmp_path) == [path]
