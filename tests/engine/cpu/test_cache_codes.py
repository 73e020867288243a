"""Keys and values kept as codes, against torch that rounds so, and against themselves."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from gptcli.engine.cpu.run.codes import (
    MOST_KEY,
    MOST_VALUE,
    keys_of_codes,
    rotated,
    rounded_keys,
    rounded_values,
    values_of_codes,
)
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.state import model_state
from gptcli.engine.state.keys_values import KeysValues
from gptcli.engine.state.pages import PagedRow
from gptcli.errors import UsageError
from tests.cli.helpers import run
from tests.engine.cpu.helpers import every_set, needs_kernels
from tests.engine.cpu.small import SPEC, small_model
from tests.engine.helpers import GOLDENS, rows_of, runner_of, whole
from tests.opening import open_kernels

pytestmark = needs_kernels
LONG = replace(SPEC, context=400)
CODES = np.dtype(np.int8)
#: Grouped heads, a window beside none, sinks in a window, and attention beside or among mixers.
CASES = ("llama/head_dim", "gemma3_text/two_ropes", "gpt_oss/plain", "falcon_h1/multiplied")


def small_runner(instructions: str = "", **flags) -> KernelRunner:
    model = small_model(instructions or "auto", spec=LONG, threads=2, **flags)
    return KernelRunner(model, LONG, "float32", 400, cache=CODES)


class Rounded(KeysValues):
    """What torch keeps, rounded as codes are."""

    def append(self, key, value, lengths):
        key, value = rounded_keys(key.numpy()), rounded_values(value.numpy())
        return super().append(torch.from_numpy(key), torch.from_numpy(value), lengths)


@pytest.mark.parametrize("case", CASES)
def test_kernels_are_torch_that_rounds_so(case, monkeypatch):
    """Catches codes, scales or a rotation at the wrong place; queries that are not rotated.

    Numbers that are not quite the same may become another code: that is a fraction of what all
    codes change.
    """
    runner, row = open_kernels(GOLDENS / case, dtype="float32", kv_dtype="int8"), rows_of(case)[0]
    slow, exact = runner_of(case), whole(case)[0].numpy()
    monkeypatch.setattr(model_state, "KeysValues", Rounded)
    expected = slow.all_logits(row, slow.new_state()).numpy()
    found = runner.all_logits(row, runner.new_state())
    off, cost = np.sqrt(np.mean((found - expected) ** 2)), np.sqrt(np.mean((found - exact) ** 2))
    assert 0 < 4 * off < cost < 0.5


@every_set
def test_numbers_come_back_from_their_codes(instructions):
    """Catches lower bits of another feature or position, and scales of another head."""
    runner, exact = small_runner(instructions), small_model(instructions, spec=LONG, threads=1)
    plain = KernelRunner(exact, LONG, "float32", 400)
    ids = [(7 * i + 3) % LONG.vocab for i in range(37)]
    states = runner.new_state(), plain.new_state()
    for each, state in zip((runner, plain), states, strict=True):
        each.prefill([ids], state)
    # The first layer's depend on nothing that was rounded.
    kept, true = (state.layers[0] for state in states)
    groups = true.keys[:, :, :48].reshape(1, 2, 3, 20, 16).swapaxes(3, 4)
    keys, values = groups.reshape(1, 2, 48, 20)[:, :, :37], true.values[:, :, :37]
    turned = rotated(keys)
    for ours, theirs, most in (
        (rotated(keys_of_codes(kept.keys, 37, 20)), turned, MOST_KEY),
        (values_of_codes(kept.values, 37, 20), values, MOST_VALUE),
    ):
        step = np.abs(theirs).max(axis=-1, keepdims=True) / most
        assert (np.abs(ours - theirs) <= 0.51 * step).all()
    assert np.abs(rotated(turned) - keys).max() < 1e-6


@every_set
def test_a_token_has_the_same_numbers_on_every_way(instructions):
    """Catches a code that depends on what is computed beside it: not a bit may be different."""
    runner, chance = small_runner(instructions), random.Random(4)
    rows = [[chance.randrange(LONG.vocab) for _ in range(n)] for n in (150, 1, 70)]
    alone = [runner.all_logits(row, runner.new_state()) for row in rows]
    for chunk in (1, 7, 64):
        state = runner.new_state()
        parts = list(runner.logits_in_parts(rows[0], state, chunk=chunk, rows=chunk))
        np.testing.assert_array_equal(np.concatenate(parts), alone[0])
        assert state.truncate([65])
        rest = np.concatenate(list(runner.logits_in_parts(rows[0][65:], state)))
        np.testing.assert_array_equal(rest, alone[0][65:])
    together = runner.prefill(rows, runner.new_state(3))
    np.testing.assert_array_equal(together, [each[-1] for each in alone])
    paged = runner.new_pages(20)
    paged.rows = [PagedRow(), PagedRow(), PagedRow()]
    found = runner.run(rows, paged, range(sum(map(len, rows))))
    np.testing.assert_array_equal(found, np.concatenate(alone))


def test_what_is_no_number_is_not_rounded_away():
    """Catches an infinity of a broken model that becomes a code, and an answer of nothing."""
    runner = small_runner()
    place = runner.model.packed
    clean = runner.all_logits([1, 2, 3], runner.new_state())
    assert np.isfinite(clean).all()
    place.vector("layers.0.attention_norm.weight")[:] = np.nan
    assert np.isnan(runner.all_logits([1, 2, 3], runner.new_state())).all()


def test_bytes_are_counted_as_they_are_held():
    """Catches memory that is told as if a key had a byte for each feature, and no scale."""
    runner = small_runner()
    state = runner.new_state()
    state.reserve([256])
    assert state.bytes == LONG.cache_bytes(256, runner.facts.itemsize)
    assert LONG.token_bytes(1) == 2 * 2 * (40 + 4 + 32 + 4)
    assert LONG.token_bytes(2) == 2 * 2 * 2 * 40


@pytest.mark.parametrize(
    ("case", "flags", "reason"),
    [
        ("deepseek_v3/groups", {}, "--kv-dtype: int8 is not for this model"),
        ("llama/tied", {"cpu_features": "none"}, "--kv-dtype: int8 needs the CPU kernels"),
    ],
)
def test_what_cannot_be_kept_so_is_refused(case, flags, reason):
    """Catches a flag that is not obeyed and says nothing."""
    with pytest.raises(UsageError, match=reason):
        open_kernels(GOLDENS / case, kv_dtype="int8", **flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), None),
        (("--kv-dtype", "float32"), None),
        (("--kv-dtype", "int8"), "int8"),
        (("--kv-dtype", "bfloat16"), "bfloat16"),
    ],
)
def test_what_they_are_kept_in_is_said_where_it_is_another(tiny_model, flags, said):
    """Catches numbers of a cache that rounds which look like those of one that does not."""
    given = ("-m", str(tiny_model), "--dtype", "float32", *flags, "the cat sat")
    rank = json.loads(run("top-k", "--json", *given).text)
    whole = json.loads(run("complete", "--json", "-n", "2", *given).text)
    assert rank.get("kv_dtype") == whole.get("kv_dtype") == said
    stats = run("complete", "--stats", "-n", "2", *given).err
    assert (f"float32 with keys and values in {said} on cpu" in stats) == (said is not None)
