"""A GGUF file → a directory with all that a model has beside its weights, which stay there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gptcli import identity
from gptcli.formats.gguf import index
from gptcli.models import manifest
from gptcli.models.gguf import model as gguf_model
from gptcli.models.gguf.placing import placed
from gptcli.models.gguf.plan import stored_dtype


def write(
    path: Path,
    files: Sequence[Path],
    target: Path,
    name: str,
    source: str,
    licence: str | None = None,
) -> manifest.Manifest:
    """Writes the model of the GGUF file `path` into `target`, manifest last, which it returns.

    files: the file and its other parts; those in `target` itself are the directory's own. licence:
    used where the file itself names none. Raises ModelError for a file that is broken, not
    supported, or changed meanwhile; OSError where `target` cannot be written.
    """
    stamp = identity.settled(files)
    found = gguf_model.read(path)
    takes = found.plan.takes
    written = gguf_model.write(found, target, stored_dtype(found.header, takes), small=True)
    tensors = {take.name: placed(found.header, take) for take in takes}
    outside = None if all(file.parent == target for file in files) else stamp
    further = [found.header.tensors[name].size for name in sorted(found.plan.further)]
    index.write(target, files, outside, tensors, further)
    written[index.NAME] = gguf_model.stored_file((target / index.NAME).read_bytes())
    made = manifest.Manifest(name, source, found.licence or licence, written, outside)
    manifest.write(target, made)
    return made
