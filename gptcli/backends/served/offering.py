"""What a server has to say of a model that it has opened, for whoever finds it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from gptcli.backends import Backend, open_backend
from gptcli.backends.local import LocalBackend
from gptcli.backends.served.standing import states_of
from gptcli.formats.gguf import index
from gptcli.models import hub_cache
from gptcli.models.hub_cache import Repo
from gptcli.models.resolve import Foreign, resolve
from gptcli.tasks import seen
from gptcli.types.compute import QUANTISED, Compute
from gptcli.types.events import Notice, Progress
from gptcli.types.served import Greeting


def offered(
    compute: Compute,
) -> Generator[Progress | Notice, None, tuple[Backend, Greeting]]:
    """Open a model as `open_backend` does, and say what it is to others.

    Files that change while they are read are noticed by the states of before.
    """
    told: list[Notice] = []

    def note(step: Progress | Notice) -> Progress | Notice:
        if isinstance(step, Notice):
            told.append(step)
        return step

    opening = open_backend(compute, weights=False)
    noted: Generator[Progress | Notice, None, Backend] = seen(opening, note)
    backend = yield from noted
    if not isinstance(backend, LocalBackend):
        return backend, Greeting((), notices=tuple(told))
    model = backend.model
    reference = resolve(compute.model)
    files = [model.path, *index.files_of(model.path)]
    files += compute.added
    if compute.calibration is not None and compute.dtype in QUANTISED:
        files.append(compute.calibration.expanduser())
    ref = _ref(reference) if isinstance(reference, Repo) else None
    by_name = isinstance(reference, Foreign) or (isinstance(reference, Repo) and ref is None)
    stands_on = states_of([*files, *([ref] if ref else [])])
    model.load()
    of_weights = (*model.described.notices, *model.runner.notices)
    yield from of_weights
    path = str(model.path) if by_name else None
    return backend, Greeting(stands_on, path, tuple(told), of_weights)


def _ref(repo: Repo) -> Path | None:
    """The file that says which commit of a repository is meant, where the name means no file."""
    if hub_cache.find(repo) is None:
        return None
    return repo.folder / "refs" / repo.revision
