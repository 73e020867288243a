"""Beginning a batch, or going on with one that was stopped, where that is what it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gptcli import atomic
from gptcli.batches import made_with
from gptcli.batches.journal import Journal, told
from gptcli.batches.keys import MARK, mark_of
from gptcli.errors import ResourceError, UsageError

_KEY = re.compile("[0-9a-f]{24}")


def open_journal(
    out: Path,
    settings: Mapping[str, Any],
    seed: int | None,
    new_seed: int,
    *,
    resume: bool,
    shard: str = "",
) -> Journal:
    """The journal of an output, new or to go on with.

    seed: the run's, where it was said; new_seed: else that of a new run. shard: which of the rows
    are in it, whose results are those of a whole run, at other places. Raises UsageError where
    the output or a journal is there and is not to be resumed, or was made with other settings;
    ResourceError where another process writes it, or it cannot be written.
    """
    if out.exists() and not resume:
        raise UsageError(str(out), "is there already", "--resume checks and completes it")
    path = out.with_name(f"{out.name}.journal")
    with told(path):
        try:
            file = atomic.take(path)
        except BlockingIOError:
            raise ResourceError(str(out), "is being written by another process") from None
    journal = Journal(out, file, path)
    try:
        _open(journal, settings, seed, new_seed, shard, resume=resume)
    except BaseException:
        journal.close()
        raise
    return journal


def _open(
    journal: Journal,
    settings: Mapping[str, Any],
    seed: int | None,
    new_seed: int,
    shard: str,
    *,
    resume: bool,
) -> None:
    before, told_of = journal.recover(), {**settings, "--shard": shard}
    if before is None:
        journal.begin(new_seed if seed is None else seed, told_of, said=seed is not None)
        if journal.out.exists():
            # It came while the journal was taken, or is to be checked and completed.
            if not resume:
                journal.remove()
                raise UsageError(str(journal.out), "is there already")
            try:
                journal.adopt(_adopted(journal.out, settings, seed))
            except BaseException:
                journal.remove()
                raise
        return
    name = str(journal.out)
    if not resume:
        reason = f"a run of it was not finished, and has left {journal.path.name}"
        raise UsageError(name, reason, "--resume goes on with it; removing that begins anew")
    if seed is not None and seed != journal.seed:
        reason = f"was begun with --seed {journal.seed}, not {seed}"
        raise UsageError(name, reason, f"removing {journal.path.name} begins anew")
    other = _other(before, told_of)
    if other is not None:
        raise UsageError(
            name, f"was begun with {other}", f"removing {journal.path.name} begins anew"
        )
    if journal.out.exists():
        # Its results were being taken over, or it was just written.
        said = journal.seed if journal.said else None
        journal.adopt(_adopted(journal.out, settings, said))


def _other(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting that is another now, with both values; None where all are the same."""
    for setting in dict.fromkeys((*before, *now)):
        old, new = before.get(setting), now.get(setting)
        if old != new:
            return f"{setting} {_shown(old)}, not {_shown(new)}"
    return None


def _shown(value: Any) -> str:
    text = "unset" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _adopted(
    out: Path, settings: Mapping[str, Any], seed: int | None
) -> Iterator[tuple[int, str, str, bool]]:
    """(place, key, result, whether it is an error) of each row of an output that was finished.

    Raises UsageError where one was made with other settings.
    """
    mark = mark_of(settings, seed)
    try:
        with out.open("rb") as file:
            for place, line in enumerate(file):
                found = json.loads(line)
                answer = found.get("response") or {}
                failed = bool(found.get("error")) or answer.get("status_code", 200) != 200
                key = found["id"].removeprefix("batch_req_") if answer else found.get("key")
                if not failed and not _KEY.fullmatch(key):
                    raise ValueError
                if not failed and key[:MARK] != mark:
                    raise _otherwise(out, key[:MARK], {**settings, "--seed": seed})
                yield place, "" if failed else key[MARK:], line.decode().rstrip("\n"), failed
    except OSError as error:
        raise ResourceError(str(out), error.strerror or str(error)) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(str(out), "is no output of a batch, to be resumed") from None


def _otherwise(out: Path, mark: str, now: Mapping[str, Any]) -> UsageError:
    before = made_with.recalled(mark)
    other = None if before is None else _other(before, now)
    reason = f"was made with {other or 'other settings'}"
    return UsageError(str(out), reason, "another -o, or removing it, begins anew")
