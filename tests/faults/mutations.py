"""How files are broken: values that no reader hopes for, in place of those that are there."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

from gptcli.engine.describe import describe
from gptcli.engine.open import open_runner
from gptcli.engine.runner import Runner
from gptcli.types.compute import Compute

#: Written as they are: numbers and texts that `json.dumps` would refuse or mend.
RAW = ["1e400", "-1e400", "-0", "-0.0", "NaN", "Infinity", "1" * 400, "1" * 5000, '"\\ud800"']
RAW += ["[" * 300 + "]" * 300, '{"a":1,"a":2}', "1.0e-320", "0x10", "01", "", "tru", "'a'"]
VALUES: list[Any] = [None, True, False, 0, 1, -1, 2, 3, 7, 64, 2**24, 2**24 + 1, 2**31, 2**32 - 1]
VALUES += [2**53, 2**63, 2**64, -(2**63), 10**300, 0.0, -0.0, 0.5, 1.0, 1.5, 1e-300, 1e300, -1e9]
VALUES += ["", "x", "0", "1e9", "default", "none", "a" * 2000, "\0", "\x1b[2J", "‮", "../x", "🙂"]
VALUES += [[], {}, [[]], [{}], [1], [0] * 100, ["a", 1, None], {"a": 1}, {"": []}, [-1, 2**64]]
VALUES += ["\u2028", [True], [[1, 2], [3, 4]], {"type": "yarn"}, {"rope_type": "dynamic"}]


def value(rng: random.Random, like: Any = None) -> Any:
    """One of VALUES, or a near relative of what was there."""
    if isinstance(like, bool) or rng.random() < 0.6:
        # A copy: it may itself be changed where it stands.
        return copy.deepcopy(rng.choice(VALUES))
    if isinstance(like, int):
        return rng.choice([like + 1, like - 1, -like, like * 2, like // 2, float(like), str(like)])
    if isinstance(like, float):
        return rng.choice([-like, like * 1e9, like / 1e9, int(like), str(like)])
    if isinstance(like, str):
        return rng.choice([like[:-1], like + "x", like.upper(), [like], like * 50])
    if isinstance(like, list):
        several = [like[:-1], like * 3, like[::-1], [like], {str(k): k for k in range(3)}]
        return copy.deepcopy(rng.choice(several))
    return copy.deepcopy(rng.choice(VALUES))


def places(held: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in an object of JSON."""
    found: list[tuple[Any, Any]] = []
    inside = held.items() if isinstance(held, dict) else enumerate(held)
    for key, each in inside:
        found.append((held, key))
        if isinstance(each, (dict, list)):
            found += places(each)
    return found


def object_of(rng: random.Random, held: dict[str, Any], more: dict[str, list[Any]]) -> bytes:
    """An object of JSON with one to three changes; more: fields that may be added, and values."""
    changed = copy.deepcopy(held)
    raw = None
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        kind = rng.random()
        if kind < 0.3 and more:
            name = rng.choice(sorted(more))
            changed[name] = copy.deepcopy(rng.choice([*more[name], value(rng)]))
            continue
        at = places(changed)
        if not at:
            break
        holder, key = rng.choice(at)
        if kind < 0.4:
            del holder[key]
        elif kind < 0.5:
            other, from_ = rng.choice(at)
            holder[key] = copy.deepcopy(other[from_])
        elif kind < 0.6:
            holder[key] = "@raw@"
            raw = rng.choice(RAW)
        else:
            holder[key] = value(rng, holder[key])
    text = json.dumps(changed)
    if raw is not None:
        text = text.replace('"@raw@"', raw)
    return data(rng, text.encode()) if rng.random() < 0.05 else text.encode()


def data(rng: random.Random, held: bytes, first: int = 0) -> bytes:
    """Bytes with a few flipped, cut, doubled or put in, from `first` on."""
    changed = bytearray(held)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(first, len(changed)) if len(changed) > first else first
        kind = rng.random()
        if kind < 0.6 and at < len(changed):
            changed[at] = rng.choice(
                [0, 1, 0x7F, 0x80, 0xFF, changed[at] ^ (1 << rng.randrange(8))]
            )
        elif kind < 0.75:
            del changed[at:]
        elif kind < 0.85:
            del changed[at : at + rng.randint(1, 9)]
        else:
            changed[at:at] = rng.randbytes(rng.randint(1, 9))
    return bytes(changed)


def run(directory: Path, rng: random.Random) -> None:
    """Open the model, by the kernels or by torch, and run a few tokens of it."""
    import torch

    torch.set_num_threads(1)
    features = rng.choice(["auto", "none"])
    dtype = rng.choice(["auto", "auto", "float32", "bfloat16"])
    described = describe(directory)
    _ = described.notices
    runner = open_runner(described, Compute(threads=1, cpu_features=features, dtype=dtype))
    tokens(runner)


def tokens(runner: Runner) -> None:
    """A few tokens, as many as the context holds and of those that there are."""
    ids = [min(token, runner.spec.vocab - 1) for token in (1, 2, 3)]
    runner.prefill([ids[: runner.limit]], runner.new_state(1))
