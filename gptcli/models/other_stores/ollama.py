"""Ollama's store: manifests by name, blobs by digest.

`manifests/registry.ollama.ai/library/NAME/TAG` is JSON whose layers name `blobs/sha256-…`, files
without a suffix, of which the one of type `…image.model` is a GGUF file. What ollama adds in other
layers, its own form of template, settings and a system prompt, is not the file's.
https://github.com/ollama/ollama/blob/main/docs/faq.mdx
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.gguf import header
from gptcli.models.other_stores.base import Kept, from_variable, home
from gptcli.plain import dataclass

_REGISTRY, _LIBRARY, _LATEST = "registry.ollama.ai", "library", "latest"
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}")
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_KIND = "application/vnd.ollama.image."
#: Bytes of a manifest; real ones have two thousand.
_LIMIT = 1 << 20
_MOST = 10_000
#: Services of some distributions keep it there.
_SHARED = ("/usr/share/ollama/.ollama/models", "/var/lib/ollama/models", "/var/lib/ollama")


@dataclass(frozen=True)
class Ollama:
    """Ollama's store; its names are those that ollama takes."""

    prefix: str = "ollama"
    tool: str = "Ollama"

    def roots(self) -> list[Path]:
        """Where it may be, whether it is or not."""
        given = from_variable("OLLAMA_MODELS")
        return given or [*home(".ollama", "models"), *map(Path, _SHARED)]

    def listing(self) -> Iterator[Kept]:
        """See Store.listing."""
        seen = set()
        for root in self.roots():
            for manifest in _manifests(root):
                name = _shown(manifest.relative_to(root / "manifests").parts)
                if name in seen:
                    continue
                seen.add(name)
                try:
                    path, _ = _opened(root, manifest, f"{self.prefix}:{name}")
                    yield Kept(name, path, path.stat().st_size)
                except ModelError as error:
                    yield Kept(name, None, None, error.reason)
                except OSError as error:
                    yield Kept(name, None, None, error.strerror)

    def find(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """See Store.find."""
        subject = f"{self.prefix}:{name}"
        parts = _parts(name)
        if parts is None:
            raise ModelError(subject, "is not a name of ollama's", "ollama:NAME or ollama:NAME:TAG")
        for root in self.roots():
            manifest = root.joinpath("manifests", *parts)
            try:
                if manifest.is_file():
                    return _opened(root, manifest, subject)
            except OSError as error:
                raise ModelError(str(error.filename or manifest), error.strerror or "") from None
        raise ModelError(subject, "is not in ollama's store", "gptcli models list --all")


def _parts(name: str) -> tuple[str, ...] | None:
    """Registry, namespace, name and tag, None where one cannot be a directory's name."""
    path, _, tag = name.partition(":")
    found = path.split("/")
    if len(found) == 1:
        found = [_LIBRARY, *found]
    if len(found) == 2:
        found = [_REGISTRY, *found]
    found.append(tag or _LATEST)
    whole = len(found) == 4 and all(_NAME.fullmatch(each) for each in found)
    return tuple(found) if whole else None


def _shown(parts: tuple[str, ...]) -> str:
    """As short as ollama shows it."""
    *place, name, tag = parts
    place = place[1:] if place[:1] == [_REGISTRY] else place
    place = [] if place == [_LIBRARY] else place
    return f"{'/'.join([*place, name])}:{tag}"


def _manifests(root: Path) -> Iterator[Path]:
    with suppress(OSError):
        for count, path in enumerate(sorted((root / "manifests").glob("*/*/*/*"))):
            if count < _MOST and path.is_file() and not path.name.startswith("."):
                yield path


def _opened(root: Path, manifest: Path, subject: str) -> tuple[Path, tuple[str, ...]]:
    """The GGUF file of a manifest, and what to tell of it. Raises ModelError."""
    said = jsonfile.read(manifest, _LIMIT)
    layers = said.get("layers")
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise ModelError(str(manifest), "is not a manifest of ollama: it has no list of layers")
    kinds: dict[str, list[dict[str, Any]]] = {}
    for layer in layers:
        kind = str(layer.get("mediaType")).partition(";")[0].removeprefix(_KIND)
        kinds.setdefault(kind, []).append(layer)
    if "adapter" in kinds:
        raise ModelError(subject, "has an adapter in ollama's own form, which is not supported")
    models = kinds.get("model", [])
    if len(models) != 1:
        raise ModelError(subject, f"has {len(models) or 'no'} GGUF files in its manifest, not one")
    digest = _DIGEST.fullmatch(str(models[0].get("digest")))
    if digest is None:
        raise ModelError(str(manifest), "names a file that is no blob of the store")
    blob = root / "blobs" / f"sha256-{digest[1]}"
    if not blob.is_file():
        raise ModelError(str(manifest), f"names {blob.name[:19]}…, which is not in the store")
    if not header.is_gguf(blob):
        raise ModelError(str(blob), "is not a GGUF file")
    told: tuple[str, ...] = ()
    if "system" in kinds or "messages" in kinds:
        told = ("ollama's system prompt for it is not used; --system gives one",)
    return blob, told


OLLAMA = Ollama()
