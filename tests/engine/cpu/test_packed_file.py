"""Packed weights in a file: the same numbers again, or none at all."""

from __future__ import annotations

import dataclasses
import errno
import os

import numpy as np
import pytest

from gptcli import identity
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing import made_file, moving, packed_file
from gptcli.engine.cpu.packing import pack as packing
from gptcli.engine.cpu.packing.origin import Origin
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.run import model
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.errors import ModelError
from gptcli.formats.packed_header import BEGIN
from tests.engine.cpu.helpers import Session, needs_kernels, parameters_of
from tests.engine.helpers import rows_of, runner_of

pytestmark = needs_kernels
CASE = "llama/tied"
SETTLED = 16
KINDS = Kinds(Kind.Q4_1, Kind.Q8_0, Kind.BFLOAT16)


@pytest.fixture
def packed():
    decoder = runner_of(CASE).decoder
    return pack(decoder.spec, KINDS, parameters_of(decoder), open_library())


@pytest.fixture
def origin(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"numbers")
    return Origin(tmp_path, [file], identity.settled([file]), "as they are")


def make(path, origin, *, hashed=True):
    decoder = runner_of(CASE).decoder
    parameters = parameters_of(decoder)
    made_file.make(path, decoder.spec, KINDS, open_library(), origin, parameters, hashed=hashed)


@pytest.fixture
def loaded(packed, origin, tmp_path):
    path = tmp_path / "packed"
    make(path, origin)
    assert {path.name for path in tmp_path.iterdir()} == {"packed", "packed.seen", "weights"}
    return packed_file.load(path, packed.spec, KINDS, open_library(), origin)


@pytest.mark.parametrize("rows", [1, 64, 1 << 22])
def test_a_file_has_the_bytes_of_memory(packed, origin, tmp_path, monkeypatch, rows):
    """Catches what a piece of memory still holds of other rows, or a gap that is left out."""
    monkeypatch.setattr(packing, "_AT_ONCE", rows)
    make(tmp_path / "packed", origin)
    assert (tmp_path / "packed").read_bytes()[BEGIN:] == packed.memory[: packed.size].tobytes()


def test_a_file_gives_the_same_logits(packed, loaded):
    """Catches sections read from other places than they were written to."""
    row = rows_of(CASE)[0]
    library = open_library()
    ours = [Session(KernelModel(each, library)).run([row])[0] for each in (packed, loaded)]
    np.testing.assert_array_equal(*ours)


@pytest.mark.parametrize("pays", [True, False])
def test_weights_that_move_stay_the_same(packed, loaded, pays, monkeypatch):
    """Catches a section that is used before it is there, or from where it no longer is."""
    monkeypatch.setattr(moving, "_pays", lambda _size: pays)
    monkeypatch.setattr(moving, "STEP", 1)
    monkeypatch.setattr(moving, "FORWARDS", 1 << 40)
    monkeypatch.setattr(model, "SETTLED", SETTLED)
    monkeypatch.setattr(moving, "LEAST", 0)
    row = rows_of(CASE)[0]
    still, going = (Session(KernelModel(each, open_library())) for each in (packed, loaded))
    seen = []
    for token in (row * 2)[:44]:
        np.testing.assert_array_equal(going.run([[token]])[0], still.run([[token]])[0])
        seen.append(len(loaded.moved))
    # The embedding is in another kind than the head: rows of it are taken.
    still_there = {"embedding.weight", "positions.weight"}
    movable = packed.places.keys() - still_there
    assert seen[:SETTLED] == [0] * SETTLED
    assert seen[SETTLED : SETTLED + 2] == ([1, 2] if pays else [0, 0])
    assert seen[-1] == (len(movable) if pays else 0)
    assert packed.address("embedding.weight") == packed.memory.ctypes.data
    assert loaded.address("embedding.weight") == loaded.memory.ctypes.data


def test_weights_of_any_size_move_soon(loaded, monkeypatch):
    """Catches a large model that has ended before what it gains by has begun."""
    monkeypatch.setattr(moving, "_pays", lambda _size: True)
    monkeypatch.setattr(moving, "STEP", 1)
    monkeypatch.setattr(moving, "FORWARDS", 4)
    monkeypatch.setattr(moving, "LEAST", 0)
    steps = list(iter(loaded.mover.step, []))
    assert 2 <= len(steps) <= 4
    assert loaded.moved.keys() == {name for names in steps for name in names}


def test_other_weights_other_models_and_broken_files_are_not_used(packed, origin, tmp_path):
    """Catches using weights of before a model was changed, or half a file."""
    path, library, spec = tmp_path / "packed", open_library(), packed.spec

    def load(spec=spec, kinds=KINDS, origin=origin):
        return packed_file.load(path, spec, kinds, library, origin)

    assert load() is None
    make(path, origin)
    assert load() is not None
    assert load(origin=dataclasses.replace(origin, reading="in another order")) is None
    assert load(origin=dataclasses.replace(origin, stamp="another")) is None
    assert load(kinds=Kinds(Kind.Q4_1, Kind.Q4_1, Kind.BFLOAT16)) is None
    assert load(spec=dataclasses.replace(spec, hidden=spec.hidden + 1)) is None
    whole = path.read_bytes()
    middle = BEGIN + packed.size // 2
    hole = whole[:middle] + bytes(64) + whole[middle + 64 :]
    assert hole != whole
    for broken in (whole[:-1], whole + b"\0", b"", b"x" + whole[1:], whole[:5000], hole):
        path.write_bytes(broken)
        assert load() is None
    path.write_bytes(whole)
    assert load() is not None
    path.unlink()
    path.mkdir()
    assert load() is None


def test_what_no_stamp_vouches_for(packed, origin, tmp_path):
    """Catches a file that was moved, which is read whole where its digest is known, and run where
    it is not.
    """
    for hashed in (True, False):
        make(tmp_path / "packed", origin, hashed=hashed)
        (tmp_path / "packed").rename(tmp_path / "kept")
        (tmp_path / "packed").write_bytes((tmp_path / "kept").read_bytes())

        def load(*, unseen, origin=origin):
            path, library = tmp_path / "packed", open_library()
            return packed_file.load(path, packed.spec, KINDS, library, origin, unseen=unseen)

        assert load(unseen=False) is None
        assert (load(unseen=True) is not None) == hashed
        assert (load(unseen=False) is not None) == hashed


def test_weights_that_may_not_be_on_the_disk(packed, origin, tmp_path, monkeypatch):
    """Catches zeros that are taken for weights after a power failure, and a wait for the disk.

    A note holds until the machine is started anew, or for good once all was written.
    """
    path, flushed = tmp_path / "packed", []
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append(path.exists()))

    def loads(started: str | None, *, after: float = 0) -> bool:
        monkeypatch.setattr(identity, "boot", lambda: started)
        monkeypatch.setattr(packed_file, "_ON_DISK_SECONDS", -after)
        spec, library = packed.spec, open_library()
        return packed_file.load(path, spec, KINDS, library, origin) is not None

    monkeypatch.setattr(identity, "boot", lambda: "first")
    make(path, origin, hashed=False)
    assert loads("first", after=-60) and False not in flushed
    assert not loads("second", after=-60) and not loads(None, after=-60)
    assert loads("first", after=60)
    assert loads("second") and loads(None)
    path.unlink()
    monkeypatch.setattr(identity, "boot", lambda: None)
    make(path, origin, hashed=False)
    assert False in flushed and loads(None)


def test_a_disk_that_lost_them(packed, origin, tmp_path, monkeypatch):
    """Catches weights that are used although the system could not write them."""
    make(tmp_path / "packed", origin, hashed=False)

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fsync", fails)
    monkeypatch.setattr(packed_file, "_ON_DISK_SECONDS", -60)
    spec, library = packed.spec, open_library()
    assert packed_file.load(tmp_path / "packed", spec, KINDS, library, origin) is None


def test_an_origin_that_changes_meanwhile(origin, tmp_path, monkeypatch):
    """Catches weights of two files, kept under the stamp of one."""
    before = made_file.pack_into

    def changing(*args, **options):
        before(*args, **options)
        (tmp_path / "weights").write_bytes(b"others!")

    monkeypatch.setattr(made_file, "pack_into", changing)
    with pytest.raises(ModelError, match="was changed while it was being read"):
        make(tmp_path / "packed", origin)
    assert {path.name for path in tmp_path.iterdir()} == {"weights"}


def test_a_directory_that_cannot_be_written_to_leaves_nothing(packed, origin, tmp_path):
    """Catches half a file left where no room was."""
    with pytest.raises(OSError):
        make(tmp_path / "missing" / "packed", origin)
    (tmp_path / "packed").mkdir()
    with pytest.raises(OSError):
        make(tmp_path / "packed", origin)
    assert {path.name for path in tmp_path.iterdir()} == {"packed", "weights"}


def test_weights_stay_where_moving_takes_long(packed, loaded, monkeypatch):
    """Catches hundreds of tokens held up for what a few tokens less would have cost."""
    monkeypatch.setattr(moving, "_pays", lambda _size: True)
    monkeypatch.setattr(moving, "LEAST", 1 << 60)
    monkeypatch.setattr(moving, "STEP", 1)
    monkeypatch.setattr(moving, "FORWARDS", 1 << 40)
    monkeypatch.setattr(model, "SETTLED", SETTLED)
    row = rows_of(CASE)[0]
    still, going = (Session(KernelModel(each, open_library())) for each in (packed, loaded))
    for token in (row * 2)[:40]:
        np.testing.assert_array_equal(going.run([[token]])[0], still.run([[token]])[0])
    assert len(loaded.moved) == 1
