"""Threads: the same bytes with any number of them, and what happens around them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.run.model import KernelModel
from tests.engine.cpu.helpers import (
    SETS,
    Session,
    every_set,
    model_of,
    needs_kernels,
    parameters_of,
)
from tests.engine.cpu.small import SPEC, small_model
from tests.engine.helpers import every_way, rows_of, runner_of

pytestmark = [needs_kernels, pytest.mark.slow]
INT4 = Kinds(Kind.Q4_1, Kind.Q8_0, Kind.FLOAT32)


@every_way
def test_any_number_of_threads_gives_the_same_bytes(case):
    """Catches a sum whose order depends on how rows or positions are shared out."""
    decoder = runner_of(case).decoder
    a, b = rows_of(case)
    parameters, found = parameters_of(decoder), []
    for threads in (1, 2, 3, 7):
        run = Session(model_of(decoder.spec, parameters, SETS[0], threads=threads), batch=2)
        steps = [run.run([a[:20], b[:9]]), run.run([a[20:21], b[9:10]]), run.run([a[21:30], []])]
        found.append(np.concatenate([each for step in steps for each in step]))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@every_set
@pytest.mark.parametrize("kinds", [Kinds.all(Kind.FLOAT32), INT4], ids=["float32", "int4"])
def test_a_long_context_gives_the_same_bytes(kinds, instructions):
    """Catches partial softmaxes that are merged in another order where threads share a query."""
    found = []
    for threads in (1, 2, 5):
        model = small_model(instructions, kinds, threads=threads)
        run = Session(model, capacity=400)
        ids = [i * 7 % model.spec.vocab for i in range(300)]
        run.run([ids])
        found.append(np.concatenate([run.run([[token]])[0] for token in ids[:5]]))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_threads_of_python_take_turns():
    """Catches two calls that share the pool or a model's memory at once."""
    model = small_model(SETS[0], threads=2)
    ids = [i * 5 % model.spec.vocab for i in range(60)]
    (expected,) = Session(model, capacity=64).run([ids])
    sessions = [small_model(SETS[0], threads=2) for _ in range(3)]
    wrong = []

    def work(own: KernelModel) -> None:
        for _ in range(20):
            (ours,) = Session(own, capacity=64).run([ids])
            if not np.array_equal(ours, expected):
                wrong.append(own)

    threads = [threading.Thread(target=work, args=(own,)) for own in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_gets_threads_of_its_own():
    """Catches a child that waits for ever for threads that only its parent has."""
    model = small_model(SETS[0], threads=3)
    ids = [3, 1, 4, 1, 5]
    (expected,) = Session(model).run([ids])
    child = os.fork()
    if child == 0:
        (ours,) = Session(model).run([ids])
        os._exit(0 if np.array_equal(ours, expected) else 1)
    end = time.monotonic() + 60
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert done[1] == 0
    (again,) = Session(model).run([ids])
    np.testing.assert_array_equal(again, expected)


def test_ctrl_c_is_heard_within_a_call(tmp_path):
    """Catches kernels that take signals, or that never give Python a turn."""
    script = (
        "from tests.engine.cpu.small import small_model\n"
        "from tests.engine.cpu.helpers import SETS, Session\n"
        "model = small_model(SETS[0], threads=2)\n"
        "run = Session(model, capacity=512)\n"
        "print('ready', flush=True)\n"
        # Not for ever: whoever waits for it may have been killed.
        "for _ in range(100_000):\n"
        "    run.lengths = [0]\n"
        "    run.run([[1] * 40])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_closing_ends_the_threads_and_frees_the_memory():
    """Catches threads and workspaces that pile up with every model that was opened."""
    library = open_library(SETS[0])

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    library.close()
    before = threads()
    for _ in range(3):
        model = small_model(SETS[0], threads=4)
        Session(model).run([[1, 2, 3]])
        assert threads() == before + 3
        model.close()
        library.close()
        assert threads() == before


@pytest.mark.parametrize("kinds", [Kinds.all(Kind.FLOAT32), INT4], ids=["float32", "int4"])
def test_a_model_that_is_let_go_and_opened_again_gives_the_same_bytes(kinds):
    """Catches memory of a closed model that another one still reads, or that it left behind."""
    ids = [i * 5 % SPEC.vocab for i in range(40)]
    first = small_model(SETS[0], kinds, threads=2)
    other = small_model(SETS[0], kinds, threads=3)
    (expected,) = Session(first).run([ids])
    first.close()
    (meanwhile,) = Session(other).run([ids])
    np.testing.assert_array_equal(meanwhile, expected)
    with pytest.raises(ValueError, match="closed"):
        Session(first).run([ids])
    first.close()
    other.library.close()
    again = small_model(SETS[0], kinds, threads=2)
    for model in (again, other):
        (found,) = Session(model).run([ids])
        np.testing.assert_array_equal(found, expected)


def test_what_does_not_fit_is_refused():
    """Catches an index that would read or write outside of the model or of the cache."""
    model = small_model(SETS[0])
    run = Session(model, batch=2, capacity=16)

    def forward(tokens, rows, positions, wanted=(0,)):
        return model.forward(tokens, rows, positions, run.layers, wanted)

    vocab = model.spec.vocab
    for tokens, rows, positions, wanted in (
        ([vocab], [0], [0], [0]),
        ([-1], [0], [0], [0]),
        ([1], [2], [0], [0]),
        ([1], [-1], [0], [0]),
        ([1], [0], [16], [0]),
        ([1], [0], [-1], [0]),
        ([1], [0], [model.spec.context], [0]),
        ([1], [0], [0], [1]),
        ([1], [0], [0], [-1]),
        ([], [], [], []),
        ([1, 2], [0], [0, 1], [0]),
    ):
        with pytest.raises(ValueError):
            forward(tokens, rows, positions, wanted)
    assert forward([1], [0], [0], []).shape == (0, vocab)
    good = run.layers.pop()
    with pytest.raises(ValueError):
        forward([1], [0], [0])
    run.layers.append(good)
    keys = good.keys
    for bad in (keys.astype(np.float64), keys[:, :, :8], keys[::-1]):
        good.keys = bad
        with pytest.raises(ValueError):
            forward([1], [0], [0])
    good.keys = keys
    assert forward([1], [0], [0]).shape == (1, vocab)


def test_parameters_of_another_shape_are_refused():
    """Catches packing that reads beyond the end of an array."""
    decoder = runner_of("llama/tied").decoder
    library = open_library(SETS[0])
    for name in ("layers.0.mlp.up.weight", "embedding.weight", "final_norm.weight"):
        parameters = parameters_of(decoder)
        parameters[name] = parameters[name][..., :-1]
        with pytest.raises(ValueError, match=name):
            pack(decoder.spec, INT4, parameters, library)
    del parameters["final_norm.weight"]
    with pytest.raises(KeyError, match="final_norm"):
        pack(decoder.spec, INT4, parameters, library)
