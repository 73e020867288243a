"""The journal: what is torn is cut off, what is whole is known again, and nobody else writes it."""

from __future__ import annotations

import os
import zlib

import pytest

from gptcli import config
from gptcli.batches import made_with
from gptcli.batches.journal import Journal
from gptcli.batches.keys import mark_of
from gptcli.batches.resuming import open_journal
from gptcli.errors import InputError, ResourceError, UsageError

SETTINGS = {"command": "complete", "--temperature": 0.5}
KEYS = [f"{n:016x}" for n in (1, 2**63, 2**64 - 1)]
MARK = mark_of(SETTINGS, None)
RESULTS = ['{"key": "0000000000000001"}', '{"é": "a b  c"}', '{"x": "\\u2028"}']


def opened(out, *, resume=False, seed=None, settings=SETTINGS) -> Journal:
    return open_journal(out, settings, seed, 77, resume=resume)


def filled(out) -> bytes:
    """The bytes of a journal of three rows, added out of order."""
    journal = opened(out)
    for place in (2, 0, 1):
        journal.add(place, KEYS[place], RESULTS[place], failed=False)
    journal.close()
    return journal.path.read_bytes()


def known(journal: Journal) -> list[bool]:
    return [journal.has(place, key) for place, key in enumerate(KEYS)]


def test_results_are_in_the_order_of_rows(tmp_path):
    """Catches results in the order in which they came, and a journal that stays."""
    out = tmp_path / "o"
    filled(out)
    journal = opened(out, resume=True)
    assert known(journal) == [True, True, True]
    assert (journal.seed, journal.found) == (77, 3)
    journal.finish(3)
    journal.close()
    assert out.read_text("utf-8").split("\n") == [*RESULTS, ""]
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_whatever_is_left_of_it_is_gone_on_with(tmp_path):
    """Catches a torn record, or one of zeros, that is taken for a row, or takes others with it."""
    out, whole = tmp_path / "o", filled(tmp_path / "o")
    path = tmp_path / "o.journal"
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for cut in sorted({*range(0, len(whole), 9), *ends, *(end - 1 for end in ends)}):
        for rest in (b"", bytes(len(whole) - cut)):
            path.write_bytes(whole[:cut] + rest)
            journal = opened(out, resume=True, seed=77)
            left = sum(end <= cut for end in ends[1:])
            assert sum(known(journal)) == left
            assert journal.seed == 77
            for place in range(3):
                if not known(journal)[place]:
                    journal.add(place, KEYS[place], RESULTS[place], failed=False)
            journal.finish(3)
            assert out.read_text("utf-8").split("\n") == [*RESULTS, ""]
            out.unlink()


def test_a_byte_that_is_another_is_no_result(tmp_path):
    """Catches a result that a disk has changed, told for an answer."""
    out, whole = tmp_path / "o", filled(tmp_path / "o")
    second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for at in range(second, len(whole), 7):
        (tmp_path / "o.journal").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        journal = opened(out, resume=True)
        # What stands before it is whole; it itself is cut off.
        assert journal.has(2, KEYS[2])
        assert not all(known(journal))
        journal.close()


def test_errors_and_other_rows_are_run_again(tmp_path):
    """Catches an error that is kept for good, and an answer to what was asked before."""
    out = tmp_path / "o"
    journal = opened(out)
    journal.add(0, "", '{"error": 1}', failed=True)
    journal.add(1, KEYS[1], RESULTS[1], failed=False)
    journal.close()
    journal = opened(out, resume=True)
    assert (journal.found, journal.changed) == (1, 0)
    assert not journal.has(0, "")
    assert not journal.has(1, KEYS[2])
    assert journal.changed == 1
    journal.add(0, KEYS[0], RESULTS[0], failed=False)
    journal.add(1, KEYS[2], RESULTS[2], failed=False)
    journal.finish(2)
    assert out.read_text("utf-8").split("\n") == [RESULTS[0], RESULTS[2], ""]


def test_what_is_not_to_be_gone_on_with(tmp_path):
    """Catches a run that is overwritten, or that goes on with other settings."""
    out = tmp_path / "o"
    filled(out)
    with pytest.raises(UsageError, match=r"was not finished, and has left o\.journal"):
        opened(out)
    with pytest.raises(UsageError, match=r"was begun with --temperature 0\.5, not 0\.6"):
        opened(out, resume=True, settings=SETTINGS | {"--temperature": 0.6})
    with pytest.raises(UsageError, match="was begun with --seed 77, not 5"):
        opened(out, resume=True, seed=5)
    with pytest.raises(UsageError, match="was begun with --new unset, not 1"):
        opened(out, resume=True, settings=SETTINGS | {"--new": 1})
    opened(out, resume=True, seed=77).close()
    (tmp_path / "o.journal").write_text("somebody's notes\n")
    with pytest.raises(InputError, match="is no journal"):
        opened(out, resume=True)
    assert (tmp_path / "o.journal").read_text() == "somebody's notes\n"


def test_one_writes_it(tmp_path):
    """Catches two processes that write one output."""
    out = tmp_path / "o"
    journal = opened(out)
    with pytest.raises(ResourceError, match="is being written by another process"):
        opened(out, resume=True)
    journal.close()
    opened(out, resume=True).close()


def test_an_output_that_is_whole(tmp_path):
    """Catches one that is overwritten, and one of other rows that is taken for these rows'."""
    out = tmp_path / "o"
    text = (
        f'{{"line": 1, "key": "{MARK}{KEYS[0]}"}}\n'
        '{"line": 2, "error": {"message": "m"}}\n'
        f'{{"id": "batch_req_{MARK}{KEYS[2]}", "response": {{"status_code": 200}},'
        ' "error": null}\n'
        '{"id": "batch_req_line_4", "response": {"status_code": 400}, "error": null}\n'
    )
    out.write_text(text)
    with pytest.raises(UsageError, match="is there already"):
        opened(out)
    journal = opened(out, resume=True)
    assert [journal.has(0, KEYS[0]), journal.has(1, ""), journal.has(2, KEYS[2])] == [
        True,
        False,
        True,
    ]
    assert not journal.has(3, "")
    with pytest.raises(UsageError, match="is finished, with 4 results, of an input of 3 rows"):
        journal.finish(3)
    assert (journal.kept, journal.needless) == (2, True)
    assert not journal.has(0, KEYS[1]) and not journal.has(0, KEYS[1])
    assert (journal.kept, journal.changed) == (1, 1)
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["o"]
    assert out.read_text() == text
    journal = opened(out, resume=True)
    journal.add(1, KEYS[1], RESULTS[1], failed=False)
    journal.finish(4)
    assert out.read_text().split("\n")[1] == RESULTS[1]
    out.write_text("a text\n")
    with pytest.raises(UsageError, match="is no output of a batch"):
        opened(out, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_an_output_of_other_settings(tmp_path):
    """Catches results of which some were made otherwise than the rest, and nobody is told how."""
    out = tmp_path / "o"
    mark = mark_of(SETTINGS | {"--top-k": 3}, None)
    out.write_text(f'{{"line": 1, "key": "{MARK}{KEYS[0]}"}}\n{{"key": "{mark}{KEYS[1]}"}}\n')
    with pytest.raises(UsageError, match="was made with other settings"):
        opened(out, resume=True)
    made_with.remember(mark, SETTINGS | {"--top-k": 3}, None)
    with pytest.raises(UsageError, match="was made with --top-k 3, not unset"):
        opened(out, resume=True)
    with pytest.raises(UsageError, match="was made with other settings"):
        opened(out, resume=True, seed=4)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_settings_that_are_known_are_some(monkeypatch):
    """Catches a directory that grows with every run, and a file of it that is none."""
    monkeypatch.setattr(made_with, "_MOST", 3)
    marks = [f"{n:08x}" for n in range(5)]
    for n, mark in enumerate(marks):
        made_with.remember(mark, {"n": n}, 7)
        os.utime(config.data_dir() / "batches" / f"{mark}.json", (n, n))
    assert [made_with.recalled(mark) for mark in marks[:2]] == [None, None]
    assert made_with.recalled(marks[4]) == {"n": 4, "--seed": 7}
    for text in ("", "{", "[]", "[" * 100_000):
        (config.data_dir() / "batches" / f"{marks[4]}.json").write_text(text)
        assert made_with.recalled(marks[4]) is None


def test_no_record_of_a_stranger_is_a_bug(tmp_path):
    """Catches numbers that are believed: a place that takes all memory, a key that is no digest."""
    out, whole = tmp_path / "o", filled(tmp_path / "o")
    path = tmp_path / "o.journal"
    for head in (
        f"-1 + {KEYS[0]}",
        f"+3 + {KEYS[0]}",
        f"{10**10} + {KEYS[0]}",
        f"{10**30} + {KEYS[0]}",
        f"3 + {'f' * 20}",
        "3 + -5",
    ):
        check = zlib.crc32(head.encode() + b"{}")
        path.write_bytes(whole + f"{head} {check:08x} {{}}\n".encode())
        journal = opened(out, resume=True)
        assert known(journal) == [True, True, True]
        journal.close()
        assert path.read_bytes() == whole
    path.unlink()
    for key in ("f" * 40, "-5", "0x1"):
        out.write_text(f'{{"line": 1, "key": "{key}"}}\n')
        with pytest.raises(UsageError, match="is no output of a batch"):
            opened(out, resume=True)
        assert not path.exists()


@pytest.mark.parametrize("text", ["notes", "{", '{"gptcli_batch": 2', "\0a"])
def test_a_file_of_a_journal_s_name(tmp_path, text):
    """Catches somebody's file without an end of line, taken for a journal that was torn."""
    path = tmp_path / "o.journal"
    path.write_text(text)
    if text == "{":
        opened(tmp_path / "o").close()
        return
    with pytest.raises(InputError, match="is no journal"):
        opened(tmp_path / "o")
    assert path.read_text() == text


def test_an_output_that_was_being_taken_over(tmp_path):
    """Catches answers that are lost where a run that completes an output is stopped at once."""
    out, path = tmp_path / "o", tmp_path / "o.journal"
    lines = [f'{{"line": {n}, "key": "{MARK}{key}"}}' for n, key in enumerate(KEYS)]
    # Editors leave the last end of line out.
    out.write_text("\n".join(['{"line": 9, "error": {"message": "m"}}', *lines]))
    journal = opened(out, resume=True)
    journal.add(0, KEYS[1], RESULTS[1], failed=False)
    journal.close()
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*whole[:3], whole[-1]]))
    journal = opened(out, resume=True)
    assert journal.has(0, KEYS[1]) and all(journal.has(n + 1, key) for n, key in enumerate(KEYS))
    journal.finish(4)
    assert out.read_text().split("\n") == [RESULTS[1], *lines, ""]
    assert not path.exists()
