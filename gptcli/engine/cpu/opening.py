"""A described model → a Runner of the kernels: weights packed once, kept, and mapped from then on.

Nothing here imports torch.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gptcli import atomic, identity, units
from gptcli.engine.cpu.binding.abi import Met
from gptcli.engine.cpu.binding.library import default_threads
from gptcli.engine.cpu.choice import KEPT, KernelChoice, Texts, choose
from gptcli.engine.cpu.packing import packed_file, told_kinds
from gptcli.engine.cpu.packing.chosen import DTYPES, kinds_of
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.notices import rounded_anew
from gptcli.engine.cpu.packing.origin import Origin, origin_of, packed_path
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.describe import Described
from gptcli.engine.host import memory
from gptcli.engine.runner import context_in_use
from gptcli.errors import ModelError, UsageError
from gptcli.types.compute import QUANTISED, Compute
from gptcli.types.events import Notice

#: What --activations names; by default answers do not depend on their rounding.
MET = {"auto": Met.INT16, "int8": Met.INT8, "int16": Met.INT16, "float32": Met.FLOAT32}
#: So long one process waits for another that packs, before it packs for itself.
_WAIT_SECONDS = 600
#: Bytes that are hashed in no time.
_SMALL = 1 << 26
#: What a system says of a full disk.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_kernels(described: Described, compute: Compute, texts: Texts = ()) -> KernelRunner | None:
    """The model in the kernels, None where torch has to run it. texts: see `rounding_for`.

    Raises UsageError for more context than the model has, and for texts where nothing is rounded;
    and the errors of `choose` and of reading weights. Adapters and the device are not looked at.
    """
    limit = context_in_use(described.spec, compute.ctx_size)
    choice = choose(described, compute.dtype, compute.cpu_features, texts, compute.kv_dtype)
    if choice is None:
        return None
    if texts and choice.name not in QUANTISED:
        reason = f"weighs nothing: {described.stored.place} runs as {choice.name}, without rounding"
        raise UsageError("--calibration", reason)
    threads = compute.threads or default_threads()
    packed, notices = _packed(described, choice, limit, threads)
    place = str(described.stored.place)
    notices = [*notices, *rounded_anew(place, choice.rounded, packed.changed)]
    model = KernelModel(
        packed,
        choice.library,
        context=limit,
        threads=compute.threads or 0,
        met=MET[compute.met_as],
    )
    if choice.changed is not None:
        notices = [*notices, *choice.changed.notices(place)]
    met = MET[compute.met_as]

    def tells() -> str:
        from gptcli.engine.cpu.fingerprint import fingerprint

        origin, kept = origin_of(described, choice.texts), _path(described, choice)
        return fingerprint(model, choice.kinds, origin, kept, met, choice.cache.name)

    return KernelRunner(
        model, described.spec, choice.name, limit, notices, tells, cache=choice.cache
    )


def _packed(
    described: Described, choice: KernelChoice, limit: int, threads: int
) -> tuple[PackedWeights, Sequence[Notice]]:
    """The packed weights, from their file, which is made where there is none that fits."""
    name, kinds, spec = choice.name, choice.kinds, described.spec
    path = _path(described, choice)
    origin = origin_of(described, choice.texts)

    def load(*, unseen: bool) -> PackedWeights | None:
        found = packed_file.load(path, spec, kinds, choice.library, origin, unseen=unseen)
        if found is not None:
            _check_memory(described, choice, found.begun, limit, threads)
        return found

    found = load(unseen=False)
    if found is not None:
        return found, ()
    with atomic.alone(path, _WAIT_SECONDS):
        found = load(unseen=True)
        if found is not None:
            return found, ()
        from gptcli.engine.cpu.packing import made_file
        from gptcli.engine.cpu.packing.pack import pack
        from gptcli.engine.cpu.packing.parameters import Parameters
        from gptcli.engine.cpu.packing.quantise import Rounding
        from gptcli.engine.cpu.run.calibration import rounding_for

        # As torch has a model in bfloat16: all of it is.
        parameters = Parameters(described, exact=name != "bfloat16")
        plan = spec, kinds, parameters
        _check_memory(described, choice, choice.held(spec), limit, threads)
        if identity.settled(origin.files) != origin.stamp:
            raise _changed(described)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            rounding = rounding_for(
                name, *plan, threads=threads, directory=path.parent, texts=choice.texts
            )
        except ValueError as error:
            raise ModelError(str(described.stored.place), str(error)) from None
        hashed = _hashed(choice, origin)
        try:
            made_file.make(
                path,
                spec,
                kinds,
                choice.library,
                origin,
                parameters,
                threads=threads,
                rounding=rounding,
                hashed=hashed,
                grids=choice.grids,
                told=None if choice.kept is None else told_kinds.as_text(choice.kept, spec),
            )
            found = load(unseen=False)
            if found is not None:
                return found, ()
            reason = "the file was changed by another"
        except OSError as error:
            # A full or read-only disk: packed weights are a convenience.
            reason = _why(path, choice.bytes(spec), error)
    _check_memory(described, choice, choice.bytes(spec), limit, threads)
    packed = pack(*plan, choice.library, threads=threads, rounding=Rounding(rounding.weights))
    if identity.stamp(origin.files) != origin.stamp:
        raise _changed(described)
    text = f"packed weights are not kept, but made at each start: {reason}"
    return packed, [Notice(str(path.parent), text)]


def _path(described: Described, choice: KernelChoice) -> Path:
    """Where the packed weights are kept."""
    name, kinds = choice.name, choice.kinds
    known = name in QUANTISED or (name in DTYPES and kinds == kinds_of(name, described.spec))
    return packed_path(described.directory, name if known else KEPT, choice.texts)


def _why(path: Path, size: int, error: OSError) -> str:
    if error.errno in FULL:
        free = shutil.disk_usage(next(each for each in path.parents if each.is_dir())).free
        return f"they need {units.size(size)} of disk, and {units.size(free)} are free"
    return error.strerror or str(error)


def _hashed(choice: KernelChoice, origin: Origin) -> bool:
    """Whether packed weights are to be told by their content, too.

    Where numbers are moved only, packing takes no longer than hashing both does.
    """
    return choice.name in QUANTISED or sum(file.stat().st_size for file in origin.files) < _SMALL


def _check_memory(
    described: Described, choice: KernelChoice, weights: int, limit: int, threads: int
) -> None:
    memory.check(
        str(described.stored.place),
        described.spec,
        weights,
        scratch=choice.scratch(described.spec, limit, threads),
        dtype=choice.name,
        item=choice.cache.itemsize,
        context=limit,
        device="cpu",
    )


def _changed(described: Described) -> ModelError:
    return ModelError(str(described.stored.place), "was changed while it was being read")
